import { type ChildProcess, execFile, spawn } from "node:child_process";
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import type { DatabaseConfig } from "../infra-config";
import { commandOf, environment, lastLine } from "./pg-command";
import type { Identity } from "./pg-identity";
import { SOCKET_NAME } from "./pg-socket";
import { openClient } from "../sql/sql-client";

const run = promisify(execFile);

/** Where a server is and who may enter: a database's config without the database. */
export type ServerAddress = Omit<DatabaseConfig, "database" | "maxConnections" | "minConnections">;

export interface End {
  /** "it ended with SIGKILL" */
  readonly why: string;
  /** It was asked to end, and did so in order. */
  readonly inOrder: boolean;
}

/** A server process, of this process or of an earlier one. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<End>;
  /** Fast shutdown, then immediate, then by force; resolves when it has ended. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 5;
/** How often to look whether a server that is not our child still lives. */
const WATCH_MS = 250;
/** After a fast shutdown request: wait this long, then ask for an immediate one. */
const FAST_STOP_MS = 2_500;
const IMMEDIATE_STOP_MS = 1_000;
const LOG_MAX_BYTES = 5_000_000;

/** For a laptop: small memory, nothing for replicas, durable as usual. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  max_connections: "200",
  shared_buffers: "32MB",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "256MB",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_min_messages: "warning",
};

/** A server that survived the process which started it. One that does not answer is ended. */
export async function adopt(dataDir: string, address: ServerAddress): Promise<Running | null> {
  const pidFile = join(dataDir, "postmaster.pid");
  const lines = (await readFile(pidFile, "utf8").catch(() => "")).split("\n");
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return null;
  if (!isAlive(pid)) return null; // PostgreSQL itself clears such a file, and checks more than the pid.
  if (!(await isPostmaster(pid, dataDir))) {
    await rm(pidFile, { force: true }); // The number was given to another program since.
    return null;
  }
  const stop = (): Promise<void> => stopPid(pid, waitForEnd(pid, POLL_MS));
  if (lines[4] === address.socketDir && (await answers(address))) {
    return { pid, stop, ended: waitForEnd(pid, WATCH_MS) };
  }
  await stop();
  return null;
}

async function isPostmaster(pid: number, dataDir: string): Promise<boolean> {
  const found =
    process.platform === "linux"
      ? await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
      : await run("ps", ["-p", String(pid), "-o", "command="]).then(
          ({ stdout }) => stdout,
          () => "",
        );
  return found.includes("postgres") && found.includes(dataDir);
}

export interface LaunchOptions {
  readonly identity: Identity;
  readonly address: ServerAddress;
  readonly logPath: string;
  readonly endWithParent: boolean;
}

/** Starts a server in a session of its own and waits until it answers. */
export async function launch(options: LaunchOptions): Promise<Running> {
  const { identity, address, logPath, endWithParent: bound } = options;
  const { child, ended } = await spawnServer(identity, address, logPath);
  const { pid } = child;
  if (pid === undefined) throw new Error(`Cannot start PostgreSQL: ${(await ended).why}`);
  const watchdog = bound ? endWithParent(pid) : null;
  const stop = async (): Promise<void> => {
    watchdog?.kill("SIGKILL");
    await stopPid(pid, ended);
  };
  try {
    await ready(address, ended);
    return { pid, ended, stop };
  } catch (error) {
    await stop();
    const last = lastLine(await readFile(logPath, "utf8").catch(() => ""));
    throw new Error(`Cannot start PostgreSQL: ${(error as Error).message}; its log says: ${last}`);
  }
}

async function spawnServer(
  identity: Identity,
  address: ServerAddress,
  logPath: string,
): Promise<{ child: ChildProcess; ended: Promise<End> }> {
  const log = await openLog(logPath);
  const settings = { ...SETTINGS, unix_socket_directories: quote(address.socketDir) };
  const [command, args] = commandOf(identity, "postgres", [
    "-D",
    identity.dataDir,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  const child = spawn(command, args, {
    cwd: identity.dataDir,
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
    uid: identity.uid,
    gid: identity.gid,
    env: environment(),
  });
  child.unref();
  const ended = new Promise<End>((resolve) => {
    child.once("error", (error) => resolve({ why: error.message, inOrder: false }));
    child.once("exit", (code, name) => {
      resolve({ why: `it ended with ${name ?? code}`, inOrder: code === 0 });
    });
  });
  await log.close();
  return { child, ended };
}

/** A path as one element of a list setting, whatever is in it. */
function quote(path: string | null): string {
  return `"${(path ?? "").replaceAll('"', '""')}"`;
}

/** A shell that waits for our end of a pipe to close, which a killed process cannot prevent. */
function endWithParent(pid: number): ChildProcess {
  const script = 'read -r _; kill -INT "$1"';
  const child = spawn("/bin/sh", ["-c", script, "sh", String(pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return child;
}

async function ready(address: ServerAddress, ended: Promise<End>): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let why: string | null = null;
  void ended.then((end) => (why = end.why));
  const socket = join(address.socketDir as string, SOCKET_NAME);
  for (;;) {
    if (why !== null) throw new Error(why);
    if (performance.now() > deadline) throw new Error(`not ready in ${START_TIMEOUT_MS / 1000} s`);
    if ((await exists(socket)) && (await answers(address))) return;
    await sleep(POLL_MS);
  }
}

async function answers(address: ServerAddress): Promise<boolean> {
  const config = { ...address, database: "postgres", maxConnections: 1, minConnections: 0 };
  const sql = openClient(config, 1);
  try {
    await sql`select 1`;
    return true;
  } catch {
    return false;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function stopPid(pid: number, gone: Promise<unknown>): Promise<void> {
  for (const [name, patience] of [
    ["SIGINT", FAST_STOP_MS],
    ["SIGQUIT", IMMEDIATE_STOP_MS],
    ["SIGKILL", IMMEDIATE_STOP_MS],
  ] as const) {
    signal(pid, name);
    const timer = new AbortController();
    const patient = sleep(patience, "late", { signal: timer.signal }).catch(() => "late");
    const ended = await Promise.race([gone.then(() => "gone"), patient]);
    timer.abort();
    if (ended === "gone") return;
  }
}

/** For a server that is no child of ours; does not keep this process alive. */
async function waitForEnd(pid: number, everyMs: number): Promise<End> {
  while (isAlive(pid)) await sleep(everyMs, undefined, { ref: false });
  return { why: "it ended", inOrder: false };
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function openLog(path: string) {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_MAX_BYTES) await rename(path, `${path}.1`);
  return open(path, "a", 0o600);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
