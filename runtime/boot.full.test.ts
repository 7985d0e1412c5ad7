import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { startTestPostgres } from "./postgres/test-postgres";

const HERE = join(process.cwd(), "runtime", "__tests__");

let root: string;
const running: Launch[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "stele boot-"));
  cpSync(join(HERE, "notes"), root, { recursive: true });
  symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
});
afterEach(async () => {
  for (const launch of running.splice(0)) await launch.end("SIGKILL");
  const pid = postmaster();
  if (pid !== null && isAlive(pid)) process.kill(pid, "SIGQUIT");
  await until(() => pid === null || !isAlive(pid));
  rmSync(root, { recursive: true, force: true });
});

class Launch {
  output = "";
  readonly ended: Promise<number | null>;

  constructor(private readonly child: ChildProcess) {
    child.stdout?.on("data", (data: Buffer) => (this.output += String(data)));
    child.stderr?.on("data", (data: Buffer) => (this.output += String(data)));
    this.ended = once(child, "close").then(([code]) => code as number | null);
    running.push(this);
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** The API's address. */
  async ready(): Promise<string> {
    let code: number | null | undefined;
    void this.ended.then((found) => (code = found));
    await until(() => /ready \S+/.test(this.output) || code !== undefined);
    const [, address] = /ready (\S+)/.exec(this.output) ?? [];
    if (address === undefined) throw new Error(`it ended with ${code}: ${this.output}`);
    return `http://${address}`;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }
}

function launch(listen: string, env: NodeJS.ProcessEnv = {}): Launch {
  const { NODE_ENV: _, ...inherited } = process.env;
  const clean = Object.entries(inherited).filter(([name]) => !/^(ENCORE|STELE|VITEST)/.test(name));
  const child = spawn(process.execPath, [join(HERE, "boot-app.mjs"), root, listen], {
    env: { ...Object.fromEntries(clean), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Launch(child);
}

async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

function postmaster(): number | null {
  const file = join(root, "state", "pg", "data", "postmaster.pid");
  return existsSync(file) ? Number(readFileSync(file, "utf8").split("\n")[0]) : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 25_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("the condition did not come true in 25 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const add = async (api: string, text: string): Promise<number> =>
  (await fetch(`${api}/notes`, { method: "POST", body: JSON.stringify({ text }) })).status;

const list = async (api: string): Promise<{ greeting: string; items: unknown[] }> =>
  (await (await fetch(`${api}/notes`)).json()) as { greeting: string; items: unknown[] };

describe("boot()", () => {
  it("serves, ends without leaving a process, and finds its data again", async () => {
    const address = await freeAddress();
    const first = launch(address);
    const api = await first.ready();
    expect(await add(api, "one")).toBe(200);
    const heard = { greeting: "hello", items: [{ text: "one", heard: 1 }] };
    await until(async () => JSON.stringify(await list(api)) === JSON.stringify(heard));
    expect(statSync(join(root, "state")).mode & 0o777).toBe(0o700);
    const pid = postmaster() as number;
    expect(isAlive(pid)).toBe(true);
    expect(await first.end("SIGTERM")).toBe(0);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(root, "state", "lock"))).toBe(false);
    expect(await list(await launch(address).ready())).toEqual(heard);
  });

  it("refuses a second start in one line, and starts after kill -9", async () => {
    const address = await freeAddress();
    const first = launch(address);
    const api = await first.ready();
    expect(await add(api, "one")).toBe(200);
    const second = launch(address);
    expect(await second.ended).toBe(1);
    expect(second.output).toMatch(new RegExp(`^Already running with pid ${first.pid} .*\n$`));
    const pid = postmaster() as number;
    await first.end("SIGKILL");
    expect(isAlive(pid)).toBe(true);
    const third = launch(address);
    expect((await list(await third.ready())).items).toHaveLength(1);
    expect(await third.end("SIGINT")).toBe(0);
    expect(isAlive(pid)).toBe(false);
  });

  it("says in one line that the port is taken, and leaves nothing behind", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const refused = launch(`127.0.0.1:${port}`);
    expect(await refused.ended).toBe(1);
    expect(refused.output).toBe(`Cannot listen on 127.0.0.1:${port}: the port is taken\n`);
    expect(postmaster()).toBeNull();
    server.close();
  });

  it("says in one line that it cannot write", async () => {
    writeFileSync(join(root, "state"), "a file is in the way");
    const refused = launch(await freeAddress());
    expect(await refused.ended).toBe(1);
    expect(refused.output).toMatch(/^Cannot write to ".*\/state": ENOTDIR\n$/);
    rmSync(join(root, "state"));
  });

  it("stops Postgres when a migration fails", async () => {
    writeFileSync(join(root, "notes", "schema", "2_bad.up.sql"), "selec 1");
    const refused = launch(await freeAddress());
    expect(await refused.ended).toBe(1);
    expect(refused.output).toMatch(
      /^Cannot migrate "notes": notes\/schema\/2_bad.up.sql:1: syntax/,
    );
    expect(postmaster()).toBeNull();
  });

  it("leaves nothing behind when it is ended while it starts", async () => {
    const early = launch(await freeAddress());
    await until(() => existsSync(join(root, "state", "pg", "password")));
    expect(await early.end("SIGTERM")).toBe(143);
    expect(postmaster()).toBeNull();
    expect(existsSync(join(root, "state", "lock"))).toBe(false);
  });

  it("says in one line that the server of DATABASE_URL cannot be reached", async () => {
    const url = `postgres://u:p@${await freeAddress()}/x`;
    const refused = launch(await freeAddress(), { DATABASE_URL: url });
    expect(await refused.ended).toBe(1);
    expect(refused.output).toMatch(/^Cannot use the server of DATABASE_URL: .*ECONNREFUSED.*\n$/);
  });

  it("uses the server of DATABASE_URL, and starts none", async () => {
    const server = await startTestPostgres();
    try {
      const { socketDir, username, password } = server.config("postgres");
      const query = new URLSearchParams({ host: socketDir ?? "", user: username, password });
      const url = `postgres:///postgres?${query}`;
      const own = launch(await freeAddress(), { DATABASE_URL: url });
      const api = await own.ready();
      expect(await add(api, "one")).toBe(200);
      expect((await list(api)).items).toHaveLength(1);
      expect(existsSync(join(root, "state", "pg"))).toBe(false);
      expect(await own.end("SIGTERM")).toBe(0);
    } finally {
      await server.stop();
    }
  });
});
