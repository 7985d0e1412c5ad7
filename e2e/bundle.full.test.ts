import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { openNameServer } from "../cli/resolve";
import { Image, type ImageProcess, TOKEN } from "./image";
import { Load } from "./load";
import { freePort } from "../shared/__tests__/free-port";
import { type Migration, type Repl, until, ZONE } from "./platform";

const INGRESS = { east: "127.0.111.1", west: "127.0.112.1" } as const;
const DRAIN_SECONDS = 5;
/** So many of each kind are served before the move begins. */
const WARM_REQUESTS = 50;
const ALL = ["clusters", "containers", "dns", "migrations", "proxy"];

let image: Image;
let state: string;
let apps: string;
let httpPort: number;
let dnsPort: number;

beforeAll(async () => {
  image = await Image.build();
  state = mkdtempSync(join(tmpdir(), "stele-e2e-"));
  apps = mkdtempSync(join(tmpdir(), "stele-e2e-apps-"));
  [httpPort, dnsPort] = [await freePort(), await freePort()];
});
afterAll(async () => {
  await image.close();
  for (const directory of [state, apps]) rmSync(directory, { recursive: true, force: true });
});

function start(
  services: readonly string[],
  gateways: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<ImageProcess> {
  return image.start({
    services,
    gateways,
    // Above the drain, as docs/operations.md asks for.
    shutdownSeconds: DRAIN_SECONDS + 3,
    env: {
      STELE_DIR: state,
      STELE_APPS_DIR: apps,
      STELE_TOKEN_FILE: join(state, "token"),
      STELE_HOP_SECRET_FILE: join(state, "hop-secret"),
      STELE_DNS_SNAPSHOT: join(state, "dns-snapshot.json"),
      STELE_ZONE: ZONE,
      STELE_DNS_LISTEN: `127.0.0.1:${dnsPort}`,
      STELE_MOVE_DRAIN_MS: "1s",
      STELE_SHUTDOWN_DRAIN_MS: `${DRAIN_SECONDS}s`,
      ...env,
    },
  });
}

/** Whether something accepts connections there. */
function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    socket.once("connect", () => socket.destroy());
  });
}

async function answersNames(): Promise<boolean> {
  const server = openNameServer(`127.0.0.1:${dnsPort}`);
  try {
    return (await server.query(ZONE, "SOA")).rcode === "NOERROR";
  } catch {
    return false;
  } finally {
    server.close();
  }
}

describe("the bundle", () => {
  it("holds the services, and nothing of the runtime that runs it here", () => {
    const inputs = Object.keys(image.metafile.inputs);
    expect(inputs).toEqual(expect.arrayContaining(ALL.map((name) => `${name}/encore.service.ts`)));
    expect(inputs.filter((input) => /^(runtime|laptop|cli|e2e)\//.test(input))).toEqual([]);
  });

  it("asks nobody where it lies: only Encore's own entry point does", () => {
    const code = readFileSync(image.bundle, "utf8");
    expect(code.match(/.*import\.meta.*/g)).toEqual([
      expect.stringMatching(/^await run\d*\(import\.meta\.url\);$/),
    ]);
  });
});

describe("SIGTERM under load", () => {
  let whole: ImageProcess;

  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${whole.apiPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  async function deploy(example: string, owner: string, cluster: string): Promise<Repl> {
    const repl = await api<Repl>("POST", "/v1/repls", { name: example, owner, cluster });
    const directory = join(process.cwd(), "examples", example);
    await api("PUT", `/v1/repls/${repl.id}/release`, { directory });
    return repl;
  }

  beforeEach(async () => {
    whole = await start(ALL, ["api-gateway"]);
    await whole.healthy();
    for (const [id, address] of Object.entries(INGRESS)) {
      const listen = [`${address}:${httpPort}`];
      await api("POST", "/v1/clusters", { id, ingress: [address], httpPort, listen });
      await until(`the proxy of ${id} listens`, () => isOpen(address, httpPort));
    }
  });
  afterEach(() => whole.child.kill("SIGKILL"));

  it.each(["overlap", "handoff"])("in a move by %s: nothing that was asked fails", async (mode) => {
    const hello = await deploy("hello", mode, "west");
    const notes = await deploy("notes", mode, "east");
    const load = new Load();
    for (const [what, kept] of [
      ["visitors on kept connections", true],
      ["visitors on new connections", false],
    ] as const) {
      for (const address of Object.values(INGRESS)) {
        const at = { address, port: httpPort, kept };
        const hosts = [hello.host, notes.host];
        let turn = 0;
        const ask = () => ({ host: hosts[turn++ % 2] ?? "", path: "/" });
        load.http({ ...at, what: `${what} of ${address}`, lanes: 3, ask });
      }
    }
    const headers = { authorization: `Bearer ${TOKEN}` };
    const host = `127.0.0.1:${whole.apiPort}`;
    const at = { address: "127.0.0.1", port: whole.apiPort };
    const list = () => ({ host, path: "/v1/repls", headers });
    load.http({ ...at, what: "API calls on kept connections", kept: true, lanes: 2, ask: list });
    load.http({ ...at, what: "API calls on new connections", kept: false, lanes: 2, ask: list });
    load.dns(hello.host, dnsPort, 2);

    await until("everybody is at it", () =>
      load.tallies.every(({ served }) => served >= WARM_REQUESTS),
    );
    const { id } = await api<Migration>("POST", "/v1/migrations", {
      replId: notes.id,
      to: "west",
      mode,
    });
    const wanted = mode === "handoff" ? ["freezing", "delta", "booting"] : ["booting", "verifying"];
    await until(
      "the move is under way",
      async () => wanted.includes((await api<Migration>("GET", `/v1/migrations/${id}`)).phase),
      10_000,
      0,
    );
    const startedAt = performance.now();
    load.terminated();
    const code = await whole.terminate();
    const stoppedMs = performance.now() - startedAt;
    const tallies = await load.stop();
    console.info(
      `figure: SIGTERM in a move by ${mode}: ended with ${code} after ${Math.round(stoppedMs)} ms;`,
      ...tallies.map(
        ({ what, served, servedLate, turnedAway, failures }) =>
          `\n  ${what}: ${served} served, ${servedLate} of them later, ${turnedAway} turned away,` +
          ` ${failures.length} failed`,
      ),
    );
    expect(
      tallies.flatMap(({ what, failures }) => failures.map((why) => `${what}: ${why}`)),
    ).toEqual([]);
    for (const { what, served } of tallies) expect([what, served > 0]).toEqual([what, true]);
    expect(code).toBe(0);
    expect(stoppedMs).toBeLessThan((DRAIN_SECONDS + 3) * 1000);
  });
});

// On the databases as the tests above have left them: east and west are registered.
describe("a process that hosts", () => {
  const open = () =>
    Promise.all([
      ...Object.values(INGRESS).map((address) => isOpen(address, httpPort)),
      isOpen("127.0.0.1", dnsPort),
    ]);

  it("only dns opens the name server and no proxy", async () => {
    const only = await start(["dns"]);
    await only.healthy();
    await until("names are answered", answersNames);
    expect(await open()).toEqual([false, false, true]);
    expect(await only.terminate()).toBe(0);
  });

  it("only containers and proxy opens the proxy of its cluster, and no other", async () => {
    const only = await start(["containers", "proxy"], [], { LOCAL_CLUSTERS: "west" });
    await only.healthy();
    await until("west's proxy listens", () => isOpen(INGRESS.west, httpPort));
    expect(await open()).toEqual([false, true, false]);
    expect(await only.terminate()).toBe(0);
  });

  it("only clusters and migrations opens neither", async () => {
    const only = await start(["clusters", "migrations"], ["api-gateway"]);
    await only.healthy();
    const url = `http://127.0.0.1:${only.apiPort}/v1/ready`;
    await until("it is ready", async () => (await fetch(url)).ok);
    expect(await open()).toEqual([false, false, false]);
    expect(await only.terminate()).toBe(0);
  });
});
