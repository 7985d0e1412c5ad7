import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { choose, splitName } from "./apps";
import type { Repl } from "./api-types";
import { nextIngress } from "./commands/clusters";
import { placeIn, quoted } from "./commands/names";
import { main } from "./stele";

const GOLDEN = "./golden";
const NOW = Date.parse("2026-01-01T00:01:00.000Z");

const hello: Repl = {
  id: "habc234defgh",
  name: "hello",
  owner: "demo",
  policy: "auto",
  data: { mode: "auto" },
  clusterId: "east",
  generation: 3,
  createdAt: "2026-01-01T00:00:00.000Z",
  host: "hello.demo.repl.test",
};
const nameServer = (instanceId: string, more: object) => ({
  instanceId,
  seq: 9,
  listening: [],
  queries: 0,
  logAgeSeconds: null,
  alive: true,
  seenSecondsAgo: 0,
  ...more,
});
const cluster = (id: string, ingress: string, repls: number) => ({
  id,
  state: "active",
  ingress: [ingress],
  httpPort: 8080,
  listen: [`${ingress}:8080`],
  apiUrl: null,
  repls,
});
const container = {
  clusterId: "east",
  replId: hello.id,
  generation: 3,
  state: "running",
  pid: 4711,
  port: 20001,
  startedAt: "2026-01-01T00:00:30.000Z",
  reason: null,
};
const migration = {
  id: "0b9e",
  replId: hello.id,
  from: "east",
  to: "west",
  mode: "overlap",
  phase: "completed",
  generation: 4,
  outcome: "completed",
  reason: null,
  steps: [
    { phase: "requested", at: "2026-01-01T00:00:00.000Z", ms: 4 },
    { phase: "booting", at: "2026-01-01T00:00:00.004Z", ms: 212.4 },
  ],
  holdMs: null,
  leftOut: ["run/app.sock"],
  createdAt: "2026-01-01T00:00:00.000Z",
  committedAt: "2026-01-01T00:00:00.300Z",
  finishedAt: "2026-01-01T00:00:01.400Z",
};
const proxy = {
  clusterId: "east",
  instanceId: "p1",
  listening: ["127.0.1.1:8080"],
  routes: 1,
  connections: 2,
  inFlight: 0,
  held: 3,
  heldBytes: 2048,
  holdsRefused: 17,
  requests: 1234,
  forwarded: 5,
};

const evacuation = {
  id: "e1",
  clusterId: "east",
  to: null,
  state: "running",
  reason: "1200 a minute is the limit",
  moved: 312,
  underWay: 8,
  remaining: 188,
  etaMs: 41_000,
  failed: [{ name: "notes", owner: "demo", failures: 2, reason: "busy" }],
  createdAt: "2026-01-01T00:00:00.000Z",
  finishedAt: null,
};
const ended = {
  ...evacuation,
  moved: 499,
  remaining: 1,
  underWay: 0,
  etaMs: null,
  state: "incomplete",
  reason: "1 cannot be moved: each has failed 5 times",
  finishedAt: "2026-01-01T00:01:00.000Z",
};
const finished = { ...ended, moved: 500, remaining: 0, state: "done", reason: null, failed: [] };

const answers: Record<string, unknown> = {
  "GET /v1/evacuations": { items: [evacuation, { ...ended, clusterId: "west" }, finished] },
  "GET /v1/evacuations/e1": finished,
  "POST /v1/evacuations/e1/pause": { ...evacuation, state: "paused", reason: null },
  "POST /v1/evacuations/plan": {
    clusterId: "east",
    items: [
      { name: "hello", owner: "demo", mode: "asleep", bytes: 1_536, to: "west" },
      { name: "notes", owner: "demo", mode: null, bytes: null, to: "west" },
    ],
    moving: 1,
    bytes: 1_536,
  },
  "PATCH /v1/clusters/east": { ...cluster("east", "127.0.1.1", 2), state: "cordoned" },
  "GET /v1/repls": {
    items: [hello, { ...hello, id: "n", name: "notes", data: { mode: "files" } }],
  },
  "GET /v1/repls/by-name/demo/hello": hello,
  "GET /v1/clusters": { items: [cluster("east", "127.0.1.1", 2), cluster("west", "127.0.2.1", 0)] },
  "GET /v1/containers": { items: [container] },
  "GET /v1/proxies": { items: [proxy] },
  "GET /v1/dns/instances": {
    items: [
      nameServer("d1", { listening: ["127.0.0.1:5300"], queries: 77, logAgeSeconds: 1.6 }),
      nameServer("d2", { alive: false, seenSecondsAgo: 31.2 }),
    ],
  },
  "GET /v1/dns/queries": {
    items: [
      { id: hello.id, name: "hello", owner: "demo", queries: 4711 },
      { id: "n", name: "notes", owner: "demo", queries: 12 },
    ],
    instanceId: "d1",
  },
  "GET /v1/migrations": { items: [{ ...migration, outcome: "open", phase: "booting" }] },
  "POST /v1/migrations": { ...migration, outcome: "open", steps: [] },
  "GET /v1/migrations/0b9e/watch": migration,
  "GET /v1/domains": {
    items: [
      {
        hostname: "www.example.com",
        replId: hello.id,
        target: "t",
        zone: null,
        status: "active",
        proofName: "_stele.www.example.com",
        proof: "stele-domain=x",
        addresses: ["127.0.1.1"],
        reason: null,
      },
    ],
  },
  "GET /v1/tombstones": {
    items: [
      {
        clusterId: "west",
        replId: hello.id,
        name: "hello",
        owner: "demo",
        generation: 3,
        to: "east",
        since: "2025-12-31T12:00:00.000Z",
        hits: 12,
        lastHitAt: "2026-01-01T00:00:30.000Z",
        goesAt: "2026-01-08T00:00:30.000Z",
      },
    ],
    unreachable: [{ clusterId: "north", reason: "it is away" }],
  },
  "GET /v1/events/dead": {
    items: [
      {
        id: "5f1d",
        subscription: "containers-repl-moved",
        payload: "{}",
        error: "Cannot read version 2 of repl.moved: expected 1",
        times: 2,
        firstAt: "2026-01-01T00:00:00.000Z",
        lastAt: "2026-01-01T00:00:30.000Z",
        clusterIds: ["east", "west"],
      },
    ],
    dropped: 1,
    unreachable: [],
  },
  "POST /v1/events/dead/5f1d/replay": { id: "5f1d", outcome: "handled", error: "" },
  "GET /v1/dns/zones": { items: [{ name: "repl.test", serial: 1, names: 2 }] },
  "GET /v1/dns/zones/repl.test/rrsets": {
    items: [{ zone: "repl.test", name: "www.repl.test", type: "TXT", ttl: 60, values: ["a", "b"] }],
  },
  "PUT /v1/dns/zones/repl.test/rrsets/%40/TXT": {},
  "GET /v1/dns/keys": {
    items: [
      {
        name: "ns2",
        algorithm: "hmac-sha256",
        transfer: true,
        update: false,
        zones: ["*"],
        names: [],
        types: [],
      },
      {
        name: "certbot",
        algorithm: "hmac-sha512",
        transfer: false,
        update: true,
        zones: ["repl.test"],
        names: ["_acme-challenge.*"],
        types: ["TXT"],
      },
    ],
  },
  "POST /v1/dns/keys": { name: "certbot", algorithm: "hmac-sha256", secret: "c2VjcmV0" },
  "PUT /v1/dns/challenges": { revision: 9, everywhere: false, missing: ["ns2-9"] },
  "DELETE /v1/dns/challenges": { revision: 10, everywhere: true, missing: [] },
  "GET /v1/dns/secondaries": {
    items: [{ zone: "repl.test", address: "192.0.2.1:53", key: "ns2", heardSerial: 7 }],
  },
  "PUT /v1/dns/zones/repl.test/secondaries/192.0.2.1%3A53": {},
  "GET /v1/dns/zones/repl.test/file": {
    zone: "repl.test",
    serial: 7,
    text: "$ORIGIN repl.test.\n",
  },
  "PUT /v1/dns/zones/example.org": { name: "example.org", serial: 9, names: 1 },
  "DELETE /v1/dns/zones/example.org": {},
  "PUT /v1/dns/zones/repl.test/file": { serial: 9, rrsets: 3, added: 1, changed: 2, removed: 0 },
  "GET /v1/repls/habc234defgh/logs": {
    items: [
      { at: null, line: "one" },
      { at: "2026-01-01T00:00:00.000Z", line: "two" },
    ],
    next: 8,
  },
};

let server: Server;
let directory: string;
let address: string;
const seen: Array<{
  readonly request: string;
  readonly authorization: string;
  readonly body: string;
}> = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "stele-cli-"));
  writeFileSync(join(directory, "token"), "secret\n");
  seen.length = 0;
  server = createServer(
    (request, response) =>
      void answer(request).then(([status, body]) => {
        response
          .writeHead(status, { "content-type": "application/json" })
          .end(JSON.stringify(body));
      }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

async function answer(message: IncomingMessage): Promise<[number, unknown]> {
  let body = "";
  for await (const chunk of message) body += String(chunk);
  const request = `${message.method} ${new URL(message.url ?? "", "http://api").pathname}`;
  const { authorization = "" } = message.headers;
  seen.push({ request, authorization, body });
  if (authorization !== "Bearer secret") return [401, { code: "unauthenticated", message: "no" }];
  const known = answers[request];
  if (known !== undefined) return [200, known];
  return [404, { code: "not_found", message: `no answer to ${request}`, details: null }];
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function stele(line: string, env: Record<string, string> = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await main(line.split(" "), {
    root: directory,
    env: {
      STELE_API: address,
      STELE_TOKEN_FILE: "token",
      STELE_DNS: "127.0.0.1:1",
      ...env,
    },
    isTty: false,
    columns: () => 80,
    write: (text) => (out += text),
    complain: (text) => (err += text),
    now: () => NOW,
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

describe("what the commands print", () => {
  it.each([
    "status",
    "ls",
    "clusters ls",
    "domain ls",
    "dns ls",
    "dns queries",
    "dns-keys ls",
    "dns-keys add certbot --update",
    "secondaries ls",
    "logs hello.demo",
    "move hello west",
    "evacuations",
    "evacuate east",
    "evacuate east --dry-run",
    "evacuate pause east",
    "cordon east",
    "tombstones",
    "events dead",
    "events replay all",
  ])("%s", async (line) => {
    const { code, out, err } = await stele(line);
    expect([code, err]).toEqual([0, ""]);
    const name = line.replaceAll(/[ .]/g, "-");
    await expect(out).toMatchFileSnapshot(`${GOLDEN}/out-${name}.txt`);
  });

  it.each([
    "status",
    "ls",
    "clusters ls",
    "domain ls",
    "dns ls",
    "move hello west",
    "evacuate east",
  ])("%s --json is JSON", async (line) => {
    const { code, out } = await stele(`${line} --json`);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toBeTypeOf("object");
  });

  it("where says so when the name server is silent", async () => {
    const { code, out } = await stele("where hello.demo");
    expect(code).toBe(0);
    expect(out).toContain("127.0.0.1:1 does not answer for hello.demo.repl.test A");
  });

  it("logs --json is a line of JSON for each line", async () => {
    const { out } = await stele("logs hello --json");
    const lines = out.trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { line: string }).line)).toEqual([
      "one",
      "two",
    ]);
  });
});

describe("what the commands ask", () => {
  it("the API with the token of the file", async () => {
    await stele("ls");
    expect(seen.every(({ authorization }) => authorization === "Bearer secret")).toBe(true);
  });

  it("to bring an app back, for a move without a destination", async () => {
    const { code } = await stele("move hello --undo --no-wait");
    expect(code).toBe(0);
    expect(seen.at(-1)?.body).toBe(JSON.stringify({ replId: hello.id, undo: true }));
  });

  it("encodes what goes into a path", async () => {
    const { code } = await stele("dns set @ txt one two --ttl 5");
    expect(code).toBe(0);
    expect(seen.at(-1)).toMatchObject({
      request: "PUT /v1/dns/zones/repl.test/rrsets/%40/TXT",
      body: JSON.stringify({ ttl: 5, values: ['"one"', '"two"'] }),
    });
  });
});

describe("keys", () => {
  it("are asked for with what they may do", async () => {
    await stele("dns-keys add certbot --update --names _acme-challenge.* --types TXT");
    expect(JSON.parse(seen.at(-1)!.body)).toEqual({
      name: "certbot",
      algorithm: "hmac-sha256",
      transfer: false,
      update: true,
      zones: ["*"],
      names: ["_acme-challenge.*"],
      types: ["TXT"],
    });
    const nothing = await stele("dns-keys add certbot");
    expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining("could do nothing")]);
    await stele("secondaries add repl.test 192.0.2.1:53 ns2");
    expect(seen.at(-1)?.request).toBe("PUT /v1/dns/zones/repl.test/secondaries/192.0.2.1%3A53");
  });
});

describe("DNS-01 values", () => {
  it("are said to be answered, and by whom not yet", async () => {
    const put = await stele("dns challenge put _acme-challenge.a.test v1 --ttl 60");
    expect(JSON.parse(seen.at(-1)!.body)).toMatchObject({ value: "v1", ttlSeconds: 60 });
    expect(put.out).toContain('_acme-challenge.a.test TXT "v1" is answered\nnot yet at: ns2-9');
    const removed = await stele("dns challenge rm _acme-challenge.a.test v1");
    expect(removed.out).toBe('_acme-challenge.a.test TXT "v1" is removed\n');
  });
});

describe("domain add", () => {
  const add = async (zone: string | null): Promise<string> => {
    const target = `${hello.id}.id.repl.test`;
    const proof = { proofName: "_stele.example.org", proof: "stele-domain=x" };
    const domain = { hostname: "example.org", target, zone, status: "pending", ...proof };
    answers["POST /v1/domains"] = { ...domain, addresses: ["127.0.1.1", "::1"], reason: null };
    return (await stele("domain add example.org hello")).out;
  };

  it("says what to set in a zone of ours", async () => {
    await expect(await add("example.org")).toMatchFileSnapshot(`${GOLDEN}/domain-add-ours.txt`);
  });

  it("says what to set where others keep the zone", async () => {
    await expect(await add(null)).toMatchFileSnapshot(`${GOLDEN}/domain-add-elsewhere.txt`);
  });
});

describe("zones", () => {
  it("are made and removed by name", async () => {
    await stele("dns zone add example.org");
    expect(seen.at(-1)?.request).toBe("PUT /v1/dns/zones/example.org");
    expect((await stele("dns zone rm example.org")).out).toBe("example.org is removed\n");
    expect(seen.at(-1)?.request).toBe("DELETE /v1/dns/zones/example.org");
  });
});

describe("zone files", () => {
  it("are written to standard output or to a file, and read from one", async () => {
    const shown = await stele("dns export repl.test");
    expect(shown).toMatchObject({ code: 0, out: "$ORIGIN repl.test.\n" });
    const file = join(directory, "repl.test.zone");
    await stele(`dns export repl.test ${file}`);
    const { code, out } = await stele(`dns import repl.test ${file}`);
    expect([code, out]).toEqual([0, "repl.test: 1 RRsets added, 2 changed, 0 removed, serial 9\n"]);
    expect(seen.at(-1)?.body).toBe(JSON.stringify({ text: "$ORIGIN repl.test.\n", dryRun: false }));
    const missing = await stele(`dns import repl.test ${file}.gone`);
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining("ENOENT")]);
  });
});

describe("failures", () => {
  it.each([
    ["where nothing", 1, 'stele: there is no app "nothing": stele ls lists them\n'],
    ["rm hello.ann", 1, "stele: no answer to GET /v1/repls/by-name/ann/hello\n"],
    [
      "move hello west --mode fly",
      2,
      'stele: --mode "fly": asleep, overlap, handoff, stop-copy are the modes\n',
    ],
    [
      "clusters set east",
      2,
      "stele: nothing to change: give --state, --ingress, --listen or --key\n",
    ],
    [
      "clusters add x --listen 8080",
      2,
      'stele: --listen "8080": expected an address and a port, such as 127.0.3.1:8080\n',
    ],
    [
      "evacuate east --to west",
      1,
      "stele: east is being evacuated already: cancel that first to change it\n",
    ],
    ["uncordon east", 1, "stele: east is being evacuated: stele evacuate cancel east first\n"],
    ["move hello", 2, "stele: stele move <app>: give either a cluster or --undo\n"],
    ["move hello west --undo", 2, "stele: stele move <app>: give either a cluster or --undo\n"],
    ["events replay 77", 1, "stele: no answer to POST /v1/events/dead/77/replay\n"],
    ["demo --seconds 1", 2, 'stele: --seconds "1": at least 5\n'],
    ["deploy /nowhere/at/all", 1, 'stele: cannot deploy "/nowhere/at/all": it is no directory\n'],
  ])("%s", async (line, code, message) => {
    const ran = await stele(line);
    expect([ran.code, ran.err]).toEqual([code, message]);
  });

  it("a platform that does not run is said in one line", async () => {
    await new Promise((resolve) => server.close(resolve));
    expect(await stele("ls")).toEqual({
      code: 1,
      out: "",
      err: `stele: the platform is not running at ${address}: start it with npm start\n`,
    });
  });

  it("an address that is none is a matter of usage", async () => {
    const { code, err } = await stele("ls", { STELE_API: "here" });
    expect([code, err]).toEqual([
      2,
      'stele: STELE_API="here": expected such as http://127.0.0.1:4000\n',
    ]);
  });

  it("a missing and a wrong token are told apart", async () => {
    const missing = await stele("ls", { STELE_TOKEN_FILE: "none" });
    expect(missing.err).toContain("asks for a token: name its file in STELE_TOKEN_FILE");
    writeFileSync(join(directory, "wrong"), "guess");
    const wrong = await stele("ls", { STELE_TOKEN_FILE: "wrong" });
    expect(wrong.err).toContain("refuses the token in");
  });
});

describe("names", () => {
  it("splits name.owner, also out of a whole host", () => {
    expect(splitName("Hello.demo")).toEqual({ name: "hello", owner: "demo" });
    expect(splitName("hello.demo.repl.localhost")).toEqual({ name: "hello", owner: "demo" });
    expect(splitName("hello")).toBeUndefined();
    expect(splitName("hello.")).toBeUndefined();
  });

  it("prefers the default owner, and asks where several others have the name", () => {
    const of = (owner: string): Repl => ({ ...hello, owner });
    expect(choose([of("ann"), of("demo")], "hello").owner).toBe("demo");
    expect(choose([of("ann")], "hello").owner).toBe("ann");
    expect(() => choose([of("ann"), of("ben")], "hello")).toThrow(
      '"hello" may be hello.ann, hello.ben: say which',
    );
  });

  it.each([
    [["repl.test"], "www", "repl.test", "www"],
    [["repl.test"], "@", "repl.test", "@"],
    [["repl.test"], "repl.test.", "repl.test", "@"],
    [["repl.test", "a.repl.test"], "x.a.repl.test", "a.repl.test", "x"],
    [["xn--bcher-kva.test", "test"], "W.B\u00fccher.test", "xn--bcher-kva.test", "w"],
  ])("in %j, %s is in %s as %s", (zones, text, zone, name) => {
    expect(placeIn(zones, text)).toEqual({ zone, name });
  });

  it("asks for the zone where it cannot know it", () => {
    expect(() => placeIn(["a.test", "b.test"], "www")).toThrow("--zone is missing");
    expect(() => placeIn(["a.test"], "www.c.test.")).toThrow("is in no zone of ours: a.test");
    expect(() => placeIn([], "www")).toThrow("there is no zone");
  });

  it.each([
    ["hello world", '"hello world"'],
    ['"as it is"', '"as it is"'],
    ['a "b" \\', '"a \\"b\\" \\\\"'],
    ["é", '"\\195\\169"'],
    ["", '""'],
    ["x".repeat(300), `"${"x".repeat(255)}" "${"x".repeat(45)}"`],
  ])("puts the text %j in quotes", (text, expected) => {
    expect(quoted(text)).toBe(expected);
  });

  it("finds the next loopback address for a cluster", () => {
    const at = (...ingress: string[]) => ({
      ...cluster("c", "", 0),
      state: "active" as const,
      ingress,
    });
    expect(nextIngress([])).toEqual(["127.0.1.1"]);
    expect(nextIngress([at("127.0.1.1"), at("127.0.3.1")])).toEqual(["127.0.2.1"]);
    expect(() => nextIngress([at("192.0.2.1")])).toThrow("--ingress is missing");
  });
});
