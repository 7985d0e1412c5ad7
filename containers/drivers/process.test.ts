import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { freePort } from "../../shared/__tests__/free-port";
import { until } from "../test-until";
import type { ContainerRef, ContainerSpec, Exit, Incarnation } from "./driver";
import { shellCommand } from "./launch";
import { isDead, processStat } from "./proc";
import { ProcessDriver } from "./process";

const isLinux = process.platform === "linux";
const isRoot = process.getuid?.() === 0;
const UID = 23_456;

const ref: ContainerRef = { clusterId: "east", replId: "aaaaaaaaaaaa", generation: 1 };
const never = new AbortController().signal;
const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path)) ?? null;
const launcher = { path: "/usr/local/bin:/usr/bin:/bin", setpriv, staticServer: "" };

let root: string;
let driver: ProcessDriver;
let exits: Exit[];
let incarnations: Incarnation[];
let strangers: Server[];

function newDriver(): ProcessDriver {
  return new ProcessDriver(root, launcher, {
    onExit: (_ref, exit) => exits.push(exit),
    onIncarnation: (_ref, incarnation) => incarnations.push(incarnation),
  });
}

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "stele-process-")));
  chmodSync(root, 0o755);
  exits = [];
  incarnations = [];
  strangers = [];
  driver = newDriver();
});

afterEach(async () => {
  for (const left of await driver.list()) await driver.stop(left, 0);
  driver.close();
  for (const server of strangers) server.close();
  rmSync(root, { recursive: true });
});

function listenOn(port: number, host = "127.0.0.1"): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    strangers.push(server);
    server.listen(port, host, () => resolve((server.address() as { port: number }).port));
  });
}

async function spec(file: string, source: string, command: string): Promise<ContainerSpec> {
  const directory = mkdtempSync(join(root, "app-"));
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, file), source, { mode: 0o644 });
  return {
    ref,
    directory,
    logFile: join(root, "log.0"),
    command,
    env: {},
    port: await freePort(),
    uid: null,
    startTimeoutMs: 10_000,
  };
}

const node = (source: string): Promise<ContainerSpec> => spec("app.mjs", source, "node app.mjs");
const python = (source: string): Promise<ContainerSpec> => spec("app.py", source, "python3 app.py");

async function start(one: ContainerSpec): Promise<{ host: string; port: number; pid: number }> {
  let pid = 0;
  const spawned = async (incarnation: Incarnation): Promise<void> => void (pid = incarnation.pid);
  const { upstream } = await driver.start(one, spawned, never);
  return { ...upstream, pid };
}

async function read({ host, port }: { host: string; port: number }): Promise<string> {
  const address = host.includes(":") ? `[${host}]` : host;
  return await (await fetch(`http://${address}:${port}/`)).text();
}

const HELLO = `import { createServer } from "node:http";
const server = createServer((_, response) => response.end("hello"));`;
const PYTHON = `import http.server, os, sys
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *args): pass
def serve(host, port): http.server.ThreadingHTTPServer((host, port), Hello).serve_forever()
`;

describe("finding the web server", () => {
  it("on $PORT, from Node and from Python", async () => {
    const one = await node(`${HELLO} server.listen(process.env.PORT);`);
    expect(await read(await start(one))).toBe("hello");
    await driver.stop(ref, 1_000);
    const two = await python(`${PYTHON}\nserve("127.0.0.1", int(os.environ["PORT"]))`);
    const at = await start(two);
    expect(at).toMatchObject({ host: "127.0.0.1", port: two.port });
    expect(await read(at)).toBe("hello");
  });

  it("on IPv6 loopback only", async () => {
    const one = await node(`${HELLO} server.listen(process.env.PORT, "::1");`);
    const at = await start(one);
    expect(at).toMatchObject({ host: "::1", port: one.port });
    expect(await read(at)).toBe("hello");
  });

  it("when it takes its time, and opens another port first", async () => {
    const one = await node(`${HELLO}
      import { createServer as plain } from "node:net";
      plain().listen(0, "127.0.0.1");
      setTimeout(() => server.listen(process.env.PORT), 100);`);
    expect(await start(one)).toMatchObject({ port: one.port });
  });

  it.runIf(isLinux)("where it listens when it ignores $PORT", async () => {
    const fixed = await freePort();
    const one = await python(`${PYTHON}\nserve("0.0.0.0", ${fixed})`);
    const at = await start(one);
    expect(at).toMatchObject({ host: "127.0.0.1", port: fixed });
    expect(await read(at)).toBe("hello");
  });

  it.runIf(isLinux)("never takes another process's server for the app's", async () => {
    const one = await node("setInterval(() => {}, 1000);");
    await listenOn(one.port);
    await expect(start(one)).rejects.toThrow(`port ${one.port} is held by a process that is not`);
    expect(await driver.list()).toEqual([]);
  });

  it("gives up in time, and says so", async () => {
    const one = { ...(await node("setInterval(() => {}, 1000);")), startTimeoutMs: 300 };
    await expect(start(one)).rejects.toThrow("did not listen on $PORT");
    expect(driver.isRunning(ref)).toBe(false);
  });

  it.runIf(isLinux)(
    "in the child that a server leaves behind, at the start and later",
    async () => {
      const one = await python(`${PYTHON}
if os.fork() > 0: os._exit(0)
serve("127.0.0.1", int(os.environ["PORT"]))`);
      const at = await start(one);
      expect(await read(at)).toBe("hello");
      await until("the child is the one to watch", () => incarnations.length === 1);
      expect(incarnations[0]?.pid).not.toBe(at.pid);
      expect(exits).toEqual([]);
      process.kill(incarnations[0]?.pid ?? 0, "SIGKILL");
      await until("its end is told", () => exits.length === 1);
    },
  );
});

describe("ending", () => {
  it("lets the app finish, and asks no more of one that does not", async () => {
    // It listens last: whoever finds it listening may end it.
    const polite = await node(`${HELLO} import { writeFileSync } from "node:fs";
      process.on("SIGTERM", () => { writeFileSync("finished", ""); process.exit(0); });
      server.listen(process.env.PORT);`);
    await start(polite);
    await driver.stop(ref, 2_000);
    expect(existsSync(join(polite.directory, "finished"))).toBe(true);
    const deaf = await node(`${HELLO} process.on("SIGTERM", () => {});
      server.listen(process.env.PORT);`);
    const { pid } = await start(deaf);
    await driver.stop(ref, 50);
    expect(isDead(processStat(pid)) || !isLinux).toBe(true);
    expect(exits).toEqual([]);
  });

  it("tells of a crash with its reason", async () => {
    const one = await node(`${HELLO} server.listen(process.env.PORT);
      setTimeout(() => process.exit(7), 100);`);
    await start(one);
    await until("told", () => exits.length === 1);
    expect(exits).toEqual([{ reason: "exit code 7" }]);
    expect(driver.isRunning(ref)).toBe(false);
  });

  it.runIf(isLinux)("ends processes that left the session", async () => {
    const one = await python(`${PYTHON}
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        time.sleep(60)
    os._exit(0)
serve("127.0.0.1", int(os.environ["PORT"]))`);
    await start(one);
    await driver.stop(ref, 1_000);
    expect(await driver.list()).toEqual([]);
  });
});

describe("adoption", () => {
  it.runIf(isLinux)("takes over what is the same process, and sees its end", async () => {
    const one = await node(`${HELLO} server.listen(process.env.PORT);`);
    let incarnation: Incarnation = { pid: 0, identity: "" };
    const spawned = async (it: Incarnation): Promise<void> => void (incarnation = it);
    const { upstream } = await driver.start(one, spawned, never);
    driver.close();
    driver = newDriver();
    expect(driver.isRunning(ref)).toBe(false);
    expect(await driver.list()).toEqual([ref]);
    const remembered = { ref, ...incarnation, upstream };
    expect(await driver.adopt({ ...remembered, identity: "another boot:1" })).toBe(false);
    expect(await driver.adopt({ ...remembered, ref: { ...ref, generation: 2 } })).toBe(false);
    expect(await driver.adopt({ ...remembered, pid: process.pid })).toBe(false);
    expect(await driver.adopt(remembered)).toBe(true);
    expect(await driver.probe(ref)).toBe(true);
    process.kill(incarnation.pid, "SIGKILL");
    await until("its end is told", () => exits.length > 0);
  });

  it.runIf(isLinux)("is not misled by the folders of another platform", async () => {
    const one = await node(`${HELLO} server.listen(process.env.PORT);`);
    await start(one);
    const other = new ProcessDriver(join(root, "other"), launcher, {
      onExit: () => undefined,
      onIncarnation: () => undefined,
    });
    expect(await other.list()).toEqual([]);
    await other.stop(ref, 0);
    expect(await driver.probe(ref)).toBe(true);
  });
});

describe("isolation", () => {
  it("hides the platform's environment", async () => {
    process.env["STELE_TEST_TOKEN"] = "secret";
    const one = await node(`import { writeFileSync } from "node:fs";
      console.log(JSON.stringify(process.env)); process.exit(1)`);
    await expect(start(one)).rejects.toThrow("exit code 1 before it listened");
    const said = readFileSync(one.logFile, "utf8");
    expect(said).not.toContain("STELE_TEST_TOKEN");
    expect(JSON.parse(said)).toMatchObject({ PORT: String(one.port), HOST: "127.0.0.1" });
  });

  it.runIf(isLinux && isRoot && setpriv)("runs as a user of its own, for good", async () => {
    const one = {
      ...(await node(`import { execSync } from "node:child_process";
        console.log(process.getuid(), process.getgroups().join());
        console.log(execSync("grep NoNewPrivs /proc/self/status").toString()); process.exit(1)`)),
      uid: UID,
    };
    await expect(start(one)).rejects.toThrow("exit code 1");
    const said = readFileSync(one.logFile, "utf8");
    expect(said).toContain(`${UID} ${UID}\n`);
    expect(said).toMatch(/NoNewPrivs:\s*1/);
    expect(spawnSync("pgrep", ["-u", String(UID)]).stdout?.toString() ?? "").toBe("");
  });
});

describe("shellCommand", () => {
  it.each([
    ["node server.js", "exec node server.js"],
    ["FOO=1 node server.js", "FOO=1 node server.js"],
    ["make && node server.js", "make && node server.js"],
    ["node $MAIN", "node $MAIN"],
    ["stele:static", "exec node '/a/it'\\''s.mjs'"],
  ])("%s", (command, expected) => {
    expect(shellCommand(command, "/a/it's.mjs")).toBe(expected);
  });
});
