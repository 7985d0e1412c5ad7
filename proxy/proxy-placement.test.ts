import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { HOLD_BOUNDS } from "./core/hold";
import { LIMITS } from "./core/limits";
import { HopKeys } from "./hop-keys";
import { Bench, get, HOST, ok, Origin, REPL } from "./scripted";

let bench: Bench;
let origin: Origin;

beforeEach(async () => {
  bench = await Bench.open();
  origin = await Origin.open();
});

afterEach(() => {
  bench.close();
  origin.close();
});

describe("names", () => {
  it.each([
    "app.demo.repl.test",
    "APP.Demo.Repl.Test:8080",
    "app--demo.repl.test",
    `${REPL}.id.repl.test`,
    "www.example.org",
    "app.demo.repl.test.",
  ])("serves %s", async (host) => {
    bench.serve(origin);
    bench.hostname({ hostname: "www.example.org", replId: REPL });
    origin.serve((head) => ok(/\r\nHost: (.*)\r\n/.exec(head)?.[1] ?? ""));
    const client = await bench.client();
    client.send(get("/").replace(HOST, host));
    await client.until(`\r\n\r\n${host}`);
  });

  it.each(["192.0.2.1", "[::1]:80", "localhost", "repl.test", "a.b.c.repl.test", "x.repl.test"])(
    "knows no app at %s, and asks nobody",
    async (host) => {
      const client = await bench.client();
      client.send(get("/", "Accept: text/html,*/*\r\n").replace(HOST, host));
      const answer = await client.until("</html>\n");
      expect(answer).toMatch(/^HTTP\/1\.1 404 .*Content-Type: text\/html.*no-store/s);
      expect(bench.asked).toEqual([]);
      client.send(get("/").replace(HOST, host));
      expect(await client.until("}\n")).toMatch(/404 .*application\/json.*"code":"not_found"/s);
    },
  );
});

describe("the authority", () => {
  it("is asked once for a host that nothing is known of, then 404", async () => {
    bench.onLookup = () => ({ found: false, replId: "", clusterId: "", generation: 0 });
    const client = await bench.client();
    client.send(get("/1") + get("/2"));
    for (let round = 0; round < 2; round++) {
      expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 404 /);
    }
    expect(bench.queries).toEqual([{ replId: "", name: "app", owner: "demo", hostname: "" }]);
  });

  it("is never taken for a 404 when it cannot be reached", async () => {
    bench.onLookup = () => undefined;
    const client = await bench.client();
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 503 .*Retry-After: 2\r\n/s);
  });

  it.each([
    ["a route tells of", "tombstone"],
    ["a move that was called off has left", "none"],
  ] as const)("is asked again for a repl that %s, since that one exists", async (_, state) => {
    bench.route({ state });
    bench.onLookup = () => {
      if (bench.queries.length === 1) return undefined;
      return { found: true, replId: REPL, clusterId: "east", generation: 1 };
    };
    const client = await bench.client();
    client.send(get("/"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);
    origin.serve(() => ok("here"));
    bench.serve(origin);
    await client.until("here");
  });

  it("holds a request for a repl that lives here, until its route comes", async () => {
    bench.onLookup = () => ({ found: true, replId: REPL, clusterId: "east", generation: 1 });
    const client = await bench.client();
    client.send(get("/"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);
    origin.serve(() => ok("here"));
    bench.serve(origin);
    await client.until("here");
  });
});

describe("sleeping repls", () => {
  it("are woken once for all who wait, bodies included", async () => {
    bench.route({});
    origin.serve((head) => ok(head.split(" ")[1] as string));
    const clients = await Promise.all([1, 2, 3].map(() => bench.client()));
    clients.forEach((client, index) => {
      client.send(`POST /${index} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`);
    });
    await bench.when("three held requests", () => bench.proxy.stats().held === 3);
    expect(bench.asked).toEqual([{ kind: "wake", key: REPL }]);
    bench.serve(origin);
    bench.proxy.woke(REPL, "running");
    await Promise.all(clients.map((client, index) => client.until(`\r\n\r\n/${index}`)));
  });

  it.each([
    ["failed", "wake_failed"],
    ["none", "no_container"],
  ] as const)("that cannot start are answered 503: %s", async (outcome, code) => {
    bench.route({});
    bench.onWake = () => outcome;
    const client = await bench.client();
    client.send(get("/"));
    const answer = await client.until("}\n");
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*Retry-After: 5\r\n/s);
    expect(answer).toContain(`"code":"${code}"`);
  });

  it("are asked for again when whoever starts them was away", async () => {
    bench.route({});
    bench.onWake = () => {
      if (bench.asked.length === 1) return "unreachable";
      bench.serve(origin);
      return "running";
    };
    origin.serve(() => ok("awake"));
    const client = await bench.client();
    client.send(get("/"));
    await client.until("awake");
  });
});

describe("a freeze", () => {
  it("holds requests with their head and one read, and releases them in order", async () => {
    const held = await Bench.open();
    held.route({ state: "frozen" });
    origin.serve(() => ok("x"));
    const clients = [];
    for (let index = 0; index < 40; index++) {
      const client = await held.client();
      client.send(get(`/${index}`));
      clients.push(client);
      await held.when("a held request", () => held.proxy.stats().held === index + 1);
    }
    held.serve(origin);
    const answers = await Promise.all(clients.map((client) => client.until("\r\n\r\nx")));
    expect(answers[0]).toMatch(/Server-Timing: hold;dur=\d+/);
    const firsts = origin.wires.slice(0, 16).map(({ first }) => first.split(" ")[1]);
    expect(firsts).toEqual(Array.from({ length: 16 }, (_, index) => `/${index}`));
    held.close();
  });

  it("does not take a held upload into memory", async () => {
    bench.route({ state: "frozen" });
    const client = await bench.client();
    const size = 32_000_000;
    client.send(`PUT / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n\r\n`);
    client.socket.write(Buffer.alloc(size, "u"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);
    await bench.when("a full pipe", () => client.socket.writableLength > 0);
    bench.serve(origin);
    const app = await origin.accept();
    await app.head();
    await app.when("the whole body", (wire) => wire.received.length === size);
    app.send(ok("got it"));
    await client.until("got it");
  });

  it("lets what is in flight finish, and says when nothing is left", async () => {
    bench.serve(origin);
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    bench.route({ state: "frozen", version: 7 });
    expect(bench.acks.at(-1)).toEqual({ version: 2, busy: [REPL] });
    app.send(ok("late"));
    await client.until("late");
    await bench.when("an acknowledgement", () => bench.acks.at(-1)?.busy.length === 0);
    await app.end();
  });

  it("that is undone finds its connections again", async () => {
    bench.serve(origin);
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    bench.route({ state: "frozen" });
    bench.serve(origin);
    expect(bench.acks.at(-1)?.busy).toEqual([]);
    app.send(ok("kept"));
    await client.until("kept");
    client.send(get("/2"));
    await app.head();
  });

  it("ends in 503 when it outlives its budget", async () => {
    const short = await Bench.open({ holdMs: 150 });
    short.route({ state: "frozen" });
    const client = await short.client();
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 503 .*Retry-After: 2\r\n/s);
    short.close();
  });

  it("is over for all in the order in which they came, newcomers last", async () => {
    bench.route({ state: "frozen" });
    const length = 3 * LIMITS.releaseBatch;
    const newcomer = await bench.client();
    for (let n = 0; n < length; n++) {
      (await bench.client()).send(get(`/${n}`));
      await bench.when("one more held", () => bench.proxy.stats().held === n + 1);
    }
    bench.serve(origin);
    // Released in batches: whoever comes between two of them does not overtake those who waited.
    newcomer.send(get(`/${length}`));
    // The app answers nobody, so that each gets a connection of its own, in the order of the dials.
    const paths = (): number[] =>
      origin.wires.map(({ first }) => Number(first.split(" ")[1]?.slice(1)));
    await bench.when("all at the app", () => paths().filter((path) => path >= 0).length > length);
    expect(paths()).toEqual(Array.from({ length: length + 1 }, (_, n) => n));
  });

  it.each([
    ["requests of an app", { perRepl: 2 }],
    ["bytes of an app", { bytesPerRepl: 2_900 }],
    ["requests of a cluster", { perCluster: 2 }],
    ["bytes of a cluster", { bytesPerCluster: 2_900 }],
  ])("is bounded in %s: the newest is told to come back", async (_what, bounds) => {
    const small = await Bench.open({ holdBounds: { ...HOLD_BOUNDS, ...bounds } });
    const large = `Cookie: ${"x".repeat(1_000)}\r\n`;
    small.route({ state: "frozen" });
    const first = await small.client();
    first.send(get("/1", large));
    (await small.client()).send(get("/2", large));
    await small.when("two held", () => small.proxy.stats().held === 2);
    expect(small.proxy.stats().heldBytes).toBeLessThanOrEqual(2_900);
    const newest = await small.client();
    newest.send(get("/3", large));
    const answer = await newest.until("}\n");
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*Retry-After: \d+\r\n/s);
    expect(answer).toContain('"code":"hold_full"');
    expect(small.proxy.stats()).toMatchObject({ held: 2, holdsRefused: 1 });
    // Whoever was let in has a promise; a visitor who leaves makes room.
    first.destroy();
    await small.when("one left", () => small.proxy.stats().held === 1);
    newest.send(get("/4", large));
    await small.when("two held again", () => small.proxy.stats().held === 2);
    origin.serve((head) => ok(head.split(" ")[1] as string));
    small.serve(origin);
    await newest.until("\r\n\r\n/4");
    await small.when("none held", () => small.proxy.stats().heldBytes === 0);
    small.close();
  });

  it("bounds what an app may wait for in all ways together", async () => {
    const small = await Bench.open({ holdBounds: { ...HOLD_BOUNDS, perRepl: 1 } });
    small.peer("west", 1);
    // Its peer refuses: the request waits for that.
    small.route({ state: "tombstone", peer: "west" });
    const first = await small.client();
    first.send(get("/1"));
    await small.when("one waits", () => small.proxy.stats().held === 1);
    const second = await small.client();
    second.send(get("/2"));
    expect(await second.until("}\n")).toMatch(/^HTTP\/1\.1 503 .*"code":"hold_full"/s);
    small.close();
  });

  it("refuses the newest when too many wait", async () => {
    bench.route({ state: "frozen" });
    const length = LIMITS.heldPerRepl;
    const clients = await Promise.all(Array.from({ length }, () => bench.client()));
    for (const client of clients) client.send(get("/"));
    await bench.when("a full queue", () => bench.proxy.stats().held === length);
    const last = await bench.client();
    last.send(get("/"));
    expect(await last.until("}\n")).toMatch(/^HTTP\/1\.1 503 .*"code":"hold_full"/s);
  });

  it("forgets a held request whose visitor leaves", async () => {
    bench.route({ state: "frozen" });
    const client = await bench.client();
    client.send(get("/"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);
    client.destroy();
    await bench.when("an empty queue", () => bench.proxy.stats().held === 0);
  });

  it("is obeyed by a proxy without a lease: it dials nobody", async () => {
    bench.serve(origin);
    bench.proxy.lease(0);
    const client = await bench.client();
    client.send(get("/"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);
    expect(origin.wires.length).toBe(0);
    origin.serve(() => ok("leased"));
    bench.proxy.lease(Infinity);
    await client.until("leased");
  });
});

describe("a route that went", () => {
  it("is found by its name when it comes again, without a question", async () => {
    origin.serve(() => ok("again"));
    bench.serve(origin);
    bench.route({ state: "none", generation: 2 });
    bench.serve(origin, { generation: 3 });
    const client = await bench.client();
    client.send(get("/"));
    await client.until("again");
    expect(bench.queries).toEqual([]);
  });
});

describe("tombstones", () => {
  let west: Bench;

  beforeEach(async () => {
    west = await Bench.open({ clusterId: "west" });
    bench.peer("west", west.port);
    west.peer("east", bench.port);
    bench.route({ state: "tombstone", generation: 2, peer: "west" });
  });

  afterEach(() => west.close());

  it("forward, and the app sees the visitor and not the other cluster", async () => {
    west.serve(origin, { generation: 2 });
    const client = await bench.client();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`);
    const app = await origin.accept();
    const head = await app.head();
    await app.until("abc");
    expect(head).toContain("X-Forwarded-For: 127.0.0.1\r\n");
    expect(head).not.toMatch(/stele-hop/i);
    app.send(ok("far"));
    const answer = await client.until("far");
    const id = /X-Request-Id: (\S+)/.exec(head)?.[1] ?? "none";
    expect(answer).toContain(`X-Request-Id: ${id}\r\n`);
    expect(answer).not.toContain("Connection: close");
    expect(bench.proxy.stats().forwarded).toBe(1);
  });

  it("are counted, and when they are gone the authority is asked: nobody is failed", async () => {
    west.serve(origin, { generation: 2 });
    origin.serve(() => ok("far"));
    const client = await bench.client();
    for (let request = 0; request < 3; request++) {
      client.send(get("/"));
      await client.until("far");
    }
    expect(bench.proxy.takeHits()).toMatchObject([{ byTombstone: 3 }]);
    bench.onLookup = () => ({ found: true, replId: REPL, clusterId: "west", generation: 2 });
    bench.route({ state: "none", generation: 2 });
    client.send(get("/"));
    await client.until("far");
    expect(bench.asked).toMatchObject([{ kind: "lookup" }]);
    expect(bench.proxy.takeHits().every(({ byTombstone }) => byTombstone === 0)).toBe(true);
  });

  it("take over what was held at the source, and its deadline with it", async () => {
    bench.route({ state: "frozen", generation: 1 });
    const clients = await Promise.all([1, 2, 3].map(() => bench.client()));
    for (const client of clients) client.send(get("/"));
    await bench.when("three held requests", () => bench.proxy.stats().held === 3);
    west.route({ state: "staged", generation: 2, peer: "east" });
    bench.route({ state: "tombstone", generation: 2, peer: "west" });
    await west.when("three held requests", () => west.proxy.stats().held === 3);
    origin.serve(() => ok("moved"));
    west.serve(origin, { generation: 2 });
    await Promise.all(clients.map((client) => client.until("moved")));
  });

  it("nudge visitors who came over the cluster's own ingress to ask DNS again", async () => {
    bench.peer("east", bench.port, ["127.0.0.1"]);
    west.serve(origin, { generation: 2 });
    origin.serve(() => ok("far"));
    const client = await bench.client();
    client.send(get("/"));
    expect(await client.until("far")).toContain("Connection: close\r\n");
    await client.end();
  });

  it("forward WebSockets, and the peer's freeze reaches the visitor", async () => {
    west.serve(origin, { generation: 2 });
    const client = await bench.client();
    client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi");
    await client.until("\x81\x02hi");
    client.send("up");
    await app.until("up");
    west.route({ state: "frozen", generation: 2 });
    await client.until("\x88\x02\x03\xf4");
    await client.end();
  });

  it("are held at a destination that was not told of the commit yet", async () => {
    west.route({ state: "staged", generation: 2, peer: "east" });
    const client = await bench.client();
    client.send(get("/"));
    await west.when("a held request", () => west.proxy.stats().held === 1);
    origin.serve(() => ok("active"));
    west.serve(origin, { generation: 2 });
    await client.until("active");
  });

  it("send a visitor of a staged route back to the source", async () => {
    west.route({ state: "staged", generation: 3, peer: "east" });
    bench.serve(origin, { generation: 2 });
    origin.serve(() => ok("source"));
    const client = await west.client();
    client.send(get("/"));
    await client.until("source");
  });

  it("that are stale ask, and a loop ends in 508", async () => {
    west.route({ state: "tombstone", generation: 2, peer: "east" });
    let generation = 2;
    west.onLookup = () => ({
      found: true,
      replId: REPL,
      clusterId: "east",
      generation: ++generation,
    });
    bench.onLookup = () => ({
      found: true,
      replId: REPL,
      clusterId: "west",
      generation: ++generation,
    });
    const client = await bench.client();
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 508 /);
    expect(bench.proxy.stats().requests + west.proxy.stats().requests).toBe(4);
  });

  it("ask anew where an answer that was kept is older than what they prove", async () => {
    const placed = (clusterId: string, generation: number) => ({
      found: true,
      replId: REPL,
      clusterId,
      generation,
    });
    // West was told that the repl lives in east, a moment before it moved from there to west.
    bench.serve(origin, { generation: 1 });
    origin.serve(() => ok("served"));
    west.onLookup = () => placed("east", 1);
    const early = await west.client();
    early.send(`GET / HTTP/1.1\r\nHost: ${REPL}.id.repl.test\r\n\r\n`);
    await early.until("served");
    bench.route({ state: "tombstone", generation: 2, peer: "west" });
    west.onLookup = () => placed("west", 2);
    const client = await bench.client();
    client.send(get("/"));
    await west.when("a held request", () => west.proxy.stats().held === 1);
    west.serve(origin, { generation: 2 });
    expect(await client.until("served")).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("find the new home when the peer refuses", async () => {
    const north = await Bench.open({ clusterId: "north" });
    bench.peer("north", north.port);
    north.serve(origin, { generation: 5 });
    origin.serve(() => ok("north"));
    west.close();
    bench.onLookup = () => ({ found: true, replId: REPL, clusterId: "north", generation: 5 });
    const client = await bench.client();
    client.send(get("/"));
    await client.until("north");
    north.close();
  });

  it("wait for a peer that is away as long as a hold, and then answer 503", async () => {
    const short = await Bench.open({ holdMs: 400 });
    short.peer("west", west.port);
    short.route({ state: "tombstone", generation: 2, peer: "west" });
    short.onLookup = () => ({ found: true, replId: REPL, clusterId: "west", generation: 2 });
    west.close();
    const client = await short.client();
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 503 .*"code":"peer_unreachable"/s);
    expect(short.queries.length).toBeGreaterThan(1);
    short.close();
  });

  it("try the next address of a peer with several proxies, whatever the method", async () => {
    bench.peer("west", west.port, ["127.0.0.9", "127.0.0.1"]);
    west.serve(origin, { generation: 2 });
    origin.serve(() => ok("second"));
    const client = await bench.client();
    for (let request = 0; request < 2; request++) {
      client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`);
      await client.until("second");
    }
    expect(bench.queries).toEqual([]);
    expect(bench.proxy.stats()).toMatchObject({ forwarded: 3, held: 0 });
  });

  it("reach a peer that was away for a moment", async () => {
    const { port } = west;
    west.close();
    bench.onLookup = () => ({ found: true, replId: REPL, clusterId: "west", generation: 2 });
    const client = await bench.client();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`);
    await bench.when("a question about the peer", () => bench.queries.length > 0);
    const again = new Bench({ clusterId: "west" });
    await again.proxy.listen(`127.0.0.1:${port}`);
    again.proxy.lease(Infinity);
    again.serve(origin, { generation: 2 });
    origin.serve(() => ok("back"));
    await client.until("back");
    again.close();
  });
});

describe("hop fields", () => {
  const keys = new HopKeys("test secret");
  const hop = {
    from: "west",
    to: "east",
    replId: REPL,
    minGeneration: 1,
    hops: 1,
    at: Date.now(),
    holdUntil: 0,
    clientIp: "192.0.2.7",
    proto: "https" as const,
    requestId: "request-1",
  };
  const request = { method: "GET", hostname: HOST, target: "/a" };

  async function ask(field: string, path = "/a"): Promise<string> {
    origin.serve((head) => ok(head));
    bench.serve(origin);
    const client = await bench.client();
    client.send(get(path, `Stele-Hop: ${field}\r\n`));
    await client.when("an answer", ({ received }) => /\r\n\r\n|\}\n/.test(received));
    return client.until("\r\n\r\n").then(async (head) => head + client.received);
  }

  it("are believed when their MAC is right", async () => {
    bench.serve(origin);
    const client = await bench.client();
    client.send(get("/a", `Stele-Hop: ${keys.sign(hop, request)}\r\n`));
    const head = await (await origin.accept()).head();
    expect(head).toContain("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n");
    expect(head).toContain("X-Request-Id: request-1\r\n");
    expect(head).not.toMatch(/stele-hop/i);
  });

  it.each([
    [
      "a changed MAC",
      () => keys.sign(hop, request).replace(/.$/, (last) => (last === "0" ? "1" : "0")),
    ],
    ["a changed generation", () => keys.sign(hop, request).replace("g=1", "g=9")],
    ["another target", () => keys.sign(hop, { ...request, target: "/b" })],
    ["another method", () => keys.sign(hop, { ...request, method: "POST" })],
    ["another host", () => keys.sign(hop, { ...request, hostname: "x.demo.repl.test" })],
    ["another cluster", () => keys.sign({ ...hop, to: "north" }, request)],
    ["an old one", () => keys.sign({ ...hop, at: hop.at - 31_000 }, request)],
    ["another repl", () => keys.sign({ ...hop, replId: "zzzzzzzzzzzz" }, request)],
    ["another secret", () => new HopKeys("other").sign(hop, request)],
    ["too many hops", () => keys.sign({ ...hop, hops: 4 }, request)],
    ["rubbish", () => "v=1"],
  ])("with %s are refused 403", async (_what, field) => {
    expect(await ask(field())).toMatch(/^HTTP\/1\.1 403 .*"code":"hop_refused"/s);
    expect(origin.wires.length).toBe(0);
  });
});

describe("a drain", () => {
  it("finishes what is in flight, closes the rest, and accepts nothing new", async () => {
    bench.serve(origin);
    const busy = await bench.client();
    const idle = await bench.client();
    busy.send(get("/"));
    const app = await origin.accept();
    await app.head();
    const drained = bench.proxy.drain(2_000);
    app.send(ok("last"));
    expect(await busy.until("last")).toContain("Connection: close\r\n");
    await idle.end();
    busy.destroy();
    await drained;
    expect(bench.proxy.listening).toEqual([]);
  });

  it("serves what was held, by the cluster that drains beside it, and no newcomer", async () => {
    const west = await Bench.open({ clusterId: "west" });
    bench.peer("west", west.port);
    west.peer("east", bench.port);
    bench.route({ state: "frozen", generation: 1 });
    const held = await bench.client();
    held.send(get("/"));
    await bench.when("a held request", () => bench.proxy.stats().held === 1);

    const drained = [bench.proxy.drainVisitors(4_000), west.proxy.drainVisitors(4_000)];
    await drained[1];
    const newcomer = await west.client();
    newcomer.send(get("/"));
    await newcomer.end();
    expect(newcomer.received).toBe("");

    origin.serve(() => ok("moved"));
    west.serve(origin, { generation: 2 });
    bench.route({ state: "tombstone", generation: 2, peer: "west" });
    expect(await held.until("moved")).toContain("Connection: close\r\n");
    held.destroy();
    await drained[0];
    await Promise.all([bench.proxy.drain(1_000), west.proxy.drain(1_000)]);
    expect([bench.proxy.listening, west.proxy.listening]).toEqual([[], []]);
  });
});
