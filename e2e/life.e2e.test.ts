import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Platform, SCRIPT, until, ZONE } from "./platform";
import { get } from "./visitor";

interface ContainerItem {
  readonly state: string;
  readonly pid: number | null;
}

/** Processes whose environment or command line names the folder: Postgres, apps, the platform itself. */
function processesOf(directory: string): string[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        const state = /^\d+ \(.*\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        const cwd = readlinkSync(`/proc/${pid}/cwd`);
        return state !== "Z" && (line.includes(directory) || cwd.startsWith(directory));
      } catch {
        return false;
      }
    });
}

function run(args: readonly string[], env: Record<string, string>) {
  return spawnSync(process.execPath, [SCRIPT, ...args], {
    encoding: "utf8",
    env: { ...process.env, NODE_ENV: "", VITEST: "", ...env },
    timeout: 60_000,
  });
}

describe("a platform's life", () => {
  let platform: Platform;
  let host: string;

  beforeAll(async () => {
    platform = await Platform.start();
    const repl = await platform.deploy("examples/hello", "hello", "east");
    host = repl.host;
  });
  afterAll(() => platform.stop());

  const hello = () => get(platform.ingressOf("east"), platform.httpPort, host, "/");

  it("serves what was deployed, by its name", async () => {
    expect(host).toBe(`hello.demo.${ZONE}`);
    expect((await hello()).status).toBe(200);
  });

  it("keeps its data to itself", () => {
    expect(statSync(platform.directory).mode & 0o777).toBe(0o700);
    expect(statSync(platform.tokenFile).mode & 0o777).toBe(0o600);
  });

  it("refuses a second start beside it, in one line", () => {
    const second = run(["--bare"], platform.env);
    expect(second.status).toBe(1);
    expect(second.stderr.trim().split("\n")).toHaveLength(1);
    expect(second.stderr).toContain(String(platform.pid));
  });

  it("ends at SIGTERM, leaves no process, and finds its data again", async () => {
    const startedAt = performance.now();
    expect(await platform.terminate()).toBe(0);
    console.info(
      `figure: SIGTERM to exit ${Math.round(performance.now() - startedAt)} ms (goal 5000)`,
    );
    await until("no process is left", () => processesOf(platform.directory).length === 0);

    await platform.boot();
    await until("hello answers again", async () => (await hello()).status === 200);
  });

  it("recovers from kill -9 of the whole, and adopts the app that still runs", async () => {
    const running = async () => {
      const path = "/v1/containers";
      const { items } = await platform.api<{ items: ContainerItem[] }>("GET", path);
      return items.filter(({ state }) => state === "running");
    };
    await until("hello runs", async () => (await hello()).status === 200);
    const before = await running();
    await platform.terminate("SIGKILL");
    await platform.boot();
    await until("hello answers again", async () => (await hello()).status === 200);
    const after = await running();
    expect(after).toHaveLength(1);
    expect(after[0]?.pid).toBe(before[0]?.pid);
  });

  it("outlives its Postgres: requests are served, and a new repl is made", async () => {
    const pidFile = join(platform.stateDir, "pg", "data", "postmaster.pid");
    const [pid = ""] = readFileSync(pidFile, "utf8").split("\n");
    // In a user namespace the file has the pid as everybody sees it: pids have no namespace here.
    process.kill(Number(pid), "SIGKILL");
    expect((await hello()).status).toBe(200);
    const repl = await until("a repl can be made again", () =>
      platform.deploy("examples/hello", "second", "west"),
    );
    const answer = await get(platform.ingressOf("west"), platform.httpPort, repl.host, "/");
    expect(answer.status).toBe(200);
  });
});

describe("a start that cannot work", () => {
  const directory = () => mkdtempSync(join(tmpdir(), "stele-e2e-"));

  it("names every bad setting at once", () => {
    const result = run([], {
      STELE_DIR: directory(),
      STELE_DNS_LISTEN: "nowhere",
      STELE_API_LISTEN: "127.0.0.1:99999",
      STELE_UNHEARD_OF: "1",
    });
    expect(result.status).toBe(1);
    for (const name of ["STELE_DNS_LISTEN", "STELE_API_LISTEN", "STELE_UNHEARD_OF"]) {
      expect(result.stderr).toContain(name);
    }
  });

  it("says which port is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    const port = bound && typeof bound === "object" ? bound.port : 0;
    const folder = directory();
    const result = spawnSyncAside(folder, port);
    const { status, stderr } = await result;
    server.close();
    expect(status).toBe(1);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(String(port));
    await until("no process is left", () => processesOf(folder).length === 0);
  });

  it("says that it cannot write to its folder", () => {
    const result = run(["--bare"], { STELE_DIR: "/proc/stele" });
    expect(result.status).toBe(1);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect(result.stderr).toContain("/proc/stele");
    expect(existsSync("/proc/stele")).toBe(false);
  });

  it("says that Node is too old", () => {
    // The version is what the process says of itself: a preloaded module makes it say another.
    const old =
      'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"18.20.0"})';
    const result = spawnSync(process.execPath, ["--import", old, SCRIPT, "--bare"], {
      encoding: "utf8",
    });
    expect(result.status).toBe(1);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
    expect(result.stderr).toContain("18.20.0");
  });

  it("prints every setting for --help", () => {
    const { status, stdout } = run(["--help"], {});
    expect(status).toBe(0);
    for (const name of [
      "STELE_ZONE",
      "STELE_DNS_LISTEN",
      "STELE_MOVE_DRAIN_MS",
      "LOCAL_CLUSTERS",
    ]) {
      expect(stdout).toContain(name);
    }
  });
});

/** As `run`, without blocking this process, whose server holds the port. */
function spawnSyncAside(
  folder: string,
  port: number,
): Promise<{ status: number | null; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [SCRIPT, "--bare"], {
      env: {
        ...process.env,
        NODE_ENV: "",
        VITEST: "",
        STELE_DIR: folder,
        STELE_API_LISTEN: `127.0.0.1:${port}`,
        STELE_DNS_LISTEN: "127.0.0.1:0",
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += String(chunk)));
    child.on("close", (status) => resolve({ status, stderr }));
  });
}
