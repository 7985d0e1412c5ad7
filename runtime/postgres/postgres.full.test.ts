import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { externalPostgres, type PostgresServer, startPostgres } from "./postgres";
import { openClient } from "../sql/sql-client";

const roots: string[] = [];
const servers: PostgresServer[] = [];

function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), "stele-pg-"));
  roots.push(root);
  return root;
}

async function start(root: string, more: object = {}): Promise<PostgresServer> {
  const server = await startPostgres({
    dataDir: join(root, "pg", "data"),
    socketDir: join(root, "pg", "socket"),
    password: "a:b/c@d%e",
    ...more,
  });
  servers.push(server);
  return server;
}

async function ask(server: PostgresServer, text: string): Promise<unknown> {
  const config = { ...server.address, database: "postgres", maxConnections: 1, minConnections: 0 };
  const sql = openClient(config, 1);
  try {
    return (await sql.unsafe(text))[0];
  } finally {
    await sql.end();
  }
}

const pidOf = (root: string): number =>
  Number(readFileSync(join(root, "pg", "data", "postmaster.pid"), "utf8").split("\n")[0]);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("the condition did not come true in 10 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

describe("startPostgres()", () => {
  it("creates, stops without leaving a process, and starts again with the data", async () => {
    const root = makeRoot();
    const first = await start(root);
    await ask(first, "create table kept as select 7 as n");
    const pid = pidOf(root);
    await first.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(root, "pg", "data", "postmaster.pid"))).toBe(false);
    const second = await start(root);
    expect(await ask(second, "select n from kept")).toEqual({ n: 7 });
  });

  it("asks for the password, listens on no port, and speaks UTF-8 and UTC", async () => {
    const server = await start(makeRoot());
    const wrong = { ...server, address: { ...server.address, password: "wrong" } };
    await expect(ask(wrong, "select 1")).rejects.toThrow(/password authentication failed/);
    expect(await ask(server, "select current_setting('listen_addresses') as l")).toEqual({ l: "" });
    expect(
      await ask(
        server,
        "select current_setting('server_encoding') as e, current_setting('TimeZone') as z",
      ),
    ).toEqual({ e: "UTF8", z: "UTC" });
  });

  it("takes over a server that survived the process which started it", async () => {
    const root = makeRoot();
    const first = await start(root);
    servers.length = 0;
    const pid = pidOf(root);
    const second = await start(root);
    expect(pidOf(root)).toBe(pid);
    expect(await ask(second, "select 1 as n")).toEqual({ n: 1 });
    await second.stop();
    expect(isAlive(pid)).toBe(false);
    await first.stop();
  });

  it("starts the server again when it is killed, with what was committed", async () => {
    const root = makeRoot();
    const lines: string[] = [];
    const server = await start(root, { report: (line: string) => void lines.push(line) });
    await ask(server, "create table kept as select 7 as n");
    const pid = pidOf(root);
    process.kill(pid, "SIGKILL");
    await until(async () => {
      const found = await ask(server, "select n from kept").catch(() => null);
      return JSON.stringify(found) === '{"n":7}';
    });
    expect(pidOf(root)).not.toBe(pid);
    expect(lines).toEqual(["PostgreSQL is gone (it ended with SIGKILL): starting it again"]);
    await server.stop();
    expect(lines).toHaveLength(1);
  });

  it("recovers when the server and its supervisor were killed", async () => {
    const root = makeRoot();
    await (await start(root)).stop();
    const file = join(root, "pg", "data", "postmaster.pid");
    const dead = spawnSync("true").pid;
    writeFileSync(file, `${dead}\n${join(root, "pg", "data")}\n0\n5432\n\n\n`);
    expect(await ask(await start(root), "select 1 as n")).toEqual({ n: 1 });
  });

  it("ignores a pid file whose number belongs to another program by now", async () => {
    const root = makeRoot();
    await (await start(root)).stop();
    const other = spawn("sleep", ["60"]);
    try {
      const file = join(root, "pg", "data", "postmaster.pid");
      writeFileSync(file, `${other.pid}\n${join(root, "pg", "data")}\n0\n5432\n\n\n`);
      expect(await ask(await start(root), "select 1 as n")).toEqual({ n: 1 });
      expect(isAlive(other.pid as number)).toBe(true);
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("puts the socket elsewhere when its path would be too long", async () => {
    const root = makeRoot();
    const server = await start(root, { socketDir: join(root, "x".repeat(90)) });
    expect(server.address.socketDir?.length).toBeLessThan(90);
    expect(await ask(server, "select 1 as n")).toEqual({ n: 1 });
    await server.stop();
    expect(existsSync(server.address.socketDir as string)).toBe(false);
  });

  it("ends with its parent when asked to", async () => {
    const root = makeRoot();
    const server = await start(root, { endWithParent: true });
    const pid = pidOf(root);
    const watchdog = execFileSync("pgrep", ["-f", `read -r _.* ${pid}$`], { encoding: "utf8" });
    expect(Number(watchdog)).toBeGreaterThan(1);
    await server.stop();
    expect(isAlive(Number(watchdog))).toBe(false);
  });

  it("says what is wrong when the data is of another version", async () => {
    const root = makeRoot();
    await (await start(root)).stop();
    writeFileSync(join(root, "pg", "data", "PG_VERSION"), "12\n");
    await expect(start(root)).rejects.toThrow(/it is of PostgreSQL 12, not 18; move it away/);
  });

  it.skipIf(process.getuid?.() !== 0)(
    "works as another user where namespaces are refused",
    async () => {
      const root = makeRoot();
      const server = await start(root, { noNamespace: true });
      expect(await ask(server, "select 1 as n")).toEqual({ n: 1 });
      await server.stop();
      expect(await ask(await start(root, { noNamespace: true }), "select 2 as n")).toEqual({
        n: 2,
      });
      const data = execFileSync("realpath", [join(root, "pg", "data")], { encoding: "utf8" });
      roots.push(join(data.trim(), ".."));
    },
  );
});

describe("externalPostgres()", () => {
  it("reads a URL", () => {
    const { address, maintenanceDatabase } = externalPostgres(
      "postgres://u:p%40@db.test:6000/main",
    );
    expect(address).toMatchObject({ host: "db.test", port: 6000, username: "u", password: "p@" });
    expect(address.tls).toBeNull();
    expect(maintenanceDatabase).toBe("main");
  });

  it("reads a socket as libpq writes it", () => {
    const { address } = externalPostgres("postgres:///main?host=/run/postgresql&user=u");
    expect(address).toMatchObject({ socketDir: "/run/postgresql", username: "u" });
  });

  it.each(["", "postgres:///main", "mysql://x/y", "nonsense"])("refuses %j", (url) => {
    expect(() => externalPostgres(url)).toThrow(/expected postgres:/);
  });
});
