import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chown,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import type { DatabaseConfig } from "./infra-config";
import { findBinaries } from "./pg-binaries";
import { chooseIdentity, type Identity } from "./pg-identity";
import { ALIAS_SUFFIX, openClient } from "./sql-client";

const run = promisify(execFile);

/** Where a server is and who may enter: a database's config without the database. */
export type ServerAddress = Omit<DatabaseConfig, "database" | "maxConnections">;

export interface PostgresServer {
  readonly address: ServerAddress;
  /** The database to connect to when none of ours exists yet. */
  readonly maintenanceDatabase: string;
  /** Idempotent; resolves when no process of the server is left. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** The cluster's files; created when missing. Its parent holds the log. */
  readonly dataDir: string;
  /** Where the socket is; in the temporary folder when the path is too long for a socket. */
  readonly socketDir: string;
  readonly password: string;
  /** End the server even when this process is killed. For tests; otherwise the next start adopts it. */
  readonly endWithParent?: boolean;
  /** For tests: what happens where user namespaces are refused. */
  readonly noNamespace?: boolean;
}

const SUPERUSER = "stele";

/** `sun_path` has 108 bytes on Linux and 104 on macOS, with a closing zero. */
const SOCKET_PATH_MAX = 103;
const SOCKET_NAME = ".s.PGSQL.5432";

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 5;
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

/**
 * Starts the PostgreSQL that npm installed, on a Unix socket only, or adopts one that an earlier
 * process left behind on the same data. It has a session of its own, so that Ctrl-C in the terminal
 * does not reach it: it must outlive what still writes.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const native = await findBinaries();
  await mkdir(dirname(options.dataDir), { recursive: true, mode: 0o700 });
  const identity = await chooseIdentity({ ...options, native });
  const socketDir = await makeSocketDir(options.socketDir, identity);
  const address: ServerAddress = {
    host: "localhost",
    port: 5432,
    socketDir,
    tls: null,
    username: SUPERUSER,
    password: options.password,
  };
  if (!(await exists(join(identity.dataDir, "PG_VERSION")))) await initialise(options, identity);
  const dataDir = await realpath(identity.dataDir);
  await checkVersion(dataDir, identity);
  const adopted = await adopt(dataDir, address);
  const server = adopted ?? (await launch(options, dataDir, identity, address));
  const stop = async (): Promise<void> => {
    await server.stop();
    if (socketDir !== options.socketDir) await removeSocketDir(socketDir);
  };
  return { address, maintenanceDatabase: "postgres", stop };
}

/** A server of the user's own, from `postgres://user:password@host:port/database?sslmode=…`. */
export function externalPostgres(databaseUrl: string): PostgresServer {
  let url: URL;
  try {
    url = new URL(databaseUrl);
    if (!/^postgres(ql)?:$/.test(url.protocol) || url.hostname === "") throw new Error();
  } catch {
    throw new Error(
      "Cannot use DATABASE_URL: expected postgres://user:password@host:port/database",
    );
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[|\]$/g, "");
  const mode = url.searchParams.get("sslmode") ?? "disable";
  const address: ServerAddress = {
    host,
    port: Number(url.port || 5432),
    socketDir: host.startsWith("/") ? host : null,
    tls: ["disable", "allow", "prefer"].includes(mode) ? null : tlsOf(mode),
    username: decodeURIComponent(url.username) || "postgres",
    password: decodeURIComponent(url.password),
  };
  const database = decodeURIComponent(url.pathname.slice(1)) || address.username;
  return { address, maintenanceDatabase: database, stop: () => Promise.resolve() };
}

function tlsOf(mode: string): ServerAddress["tls"] {
  const verifyCa = mode.startsWith("verify");
  return { ca: null, cert: null, key: null, verifyCa, verifyHostname: mode === "verify-full" };
}

/** The folder of the socket, with its alias for postgres.js beside it; see `connectionUrl`. */
async function makeSocketDir(wanted: string, { uid, gid }: Identity): Promise<string> {
  const longest = join(wanted + ALIAS_SUFFIX, SOCKET_NAME);
  const fits = Buffer.byteLength(longest) <= SOCKET_PATH_MAX && uid === undefined;
  const dir = fits ? wanted : shortDir(wanted);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { uid: owner, mode } = await stat(dir);
  const mine = process.getuid?.() ?? owner;
  if ((owner !== mine && owner !== uid) || (mode & 0o077) !== 0) {
    throw new Error(`Cannot use "${dir}" for the database's socket: it belongs to somebody else`);
  }
  if (uid !== undefined && gid !== undefined) await chown(dir, uid, gid);
  const alias = dir + ALIAS_SUFFIX;
  if (!(await exists(alias))) await symlink(basename(dir), alias).catch(ignoreExisting);
  return dir;
}

/** Nothing stays in the temporary folder. */
async function removeSocketDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await rm(dir + ALIAS_SUFFIX, { force: true });
}

function shortDir(wanted: string): string {
  const hash = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  return join(tmpdir(), `stele-${process.getuid?.() ?? 0}-${hash}`);
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** Into a folder beside, renamed when it is whole: a crash in between leaves nothing half-made. */
async function initialise(options: PostgresOptions, identity: Identity): Promise<void> {
  const target = identity.dataDir;
  const fresh = `${target}.new`;
  const passwordFile = `${target}.password`;
  await rm(fresh, { recursive: true, force: true });
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (identity.uid !== undefined) await chown(passwordFile, identity.uid, identity.gid ?? 0);
  try {
    const [command, args] = commandOf(identity, "initdb", [
      `--pgdata=${fresh}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      // The password is random and long: more rounds would only make connecting slow.
      "--set=scram_iterations=1",
      "--no-instructions",
    ]);
    await run(command, args, { uid: identity.uid, gid: identity.gid, env: environment() });
    await rename(fresh, target);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`Cannot create the database in "${target}": ${lastLine(stderr) || error}`);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
}

async function checkVersion(dataDir: string, { binDir }: Identity): Promise<void> {
  const data = (await readFile(join(dataDir, "PG_VERSION"), "utf8")).trim();
  const marker = join(dirname(binDir), "share", "postgresql", "postgres.bki");
  const [line = ""] = (await readFile(marker, "utf8")).split("\n", 1);
  const [, programs] = /PostgreSQL (\d+)/.exec(line) ?? [];
  if (programs !== undefined && programs !== data) {
    throw new Error(
      `Cannot open the data in "${dataDir}": it is of PostgreSQL ${data}, not ${programs}; ` +
        "move it away to begin anew",
    );
  }
}

interface Running {
  stop(): Promise<void>;
}

/** A server that survived the process which started it. One that does not answer is ended. */
async function adopt(dataDir: string, address: ServerAddress): Promise<Running | null> {
  const pidFile = join(dataDir, "postmaster.pid");
  const lines = (await readFile(pidFile, "utf8").catch(() => "")).split("\n");
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return null;
  if (!isAlive(pid)) return null; // PostgreSQL itself clears such a file, and checks more than the pid.
  if (!(await isPostmaster(pid, dataDir))) {
    await rm(pidFile, { force: true }); // The number was given to another program since.
    return null;
  }
  const stop = (): Promise<void> => stopPid(pid);
  if (lines[4] === address.socketDir && (await answers(address))) return { stop: guard(pid, stop) };
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

async function launch(
  options: PostgresOptions,
  dataDir: string,
  identity: Identity,
  address: ServerAddress,
): Promise<Running> {
  const logPath = join(dirname(options.dataDir), "postgres.log");
  const log = await openLog(logPath);
  const settings = { ...SETTINGS, unix_socket_directories: address.socketDir as string };
  const [command, args] = commandOf(identity, "postgres", [
    "-D",
    dataDir,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  const child = spawn(command, args, {
    cwd: dataDir,
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
    uid: identity.uid,
    gid: identity.gid,
    env: environment(),
  });
  child.unref();
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(`it ended with ${signal ?? code}`));
  });
  await log.close();
  const pid = child.pid;
  if (pid === undefined) throw new Error(`Cannot start PostgreSQL: ${await exited}`);
  const watchdog = options.endWithParent ? endWithParent(pid) : null;
  const stop = async (): Promise<void> => {
    watchdog?.kill("SIGKILL");
    await stopPid(pid, exited);
  };
  try {
    await ready(address, exited);
  } catch (error) {
    await stop();
    const last = lastLine(await readFile(logPath, "utf8").catch(() => ""));
    throw new Error(`Cannot start PostgreSQL: ${(error as Error).message}; its log says: ${last}`);
  }
  return { stop: guard(pid, stop) };
}

/** Makes `stop` run once, and sees to it that a sudden end of this process ends the server too. */
function guard(pid: number, stop: () => Promise<void>): () => Promise<void> {
  const atExit = (): void => signal(pid, "SIGINT");
  process.once("exit", atExit);
  let stopped: Promise<void> | null = null;
  return () => {
    stopped ??= stop().finally(() => process.removeListener("exit", atExit));
    return stopped;
  };
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

async function ready(address: ServerAddress, exited: Promise<string>): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let ended: string | null = null;
  void exited.then((why) => (ended = why));
  const socket = join(address.socketDir as string, SOCKET_NAME);
  for (;;) {
    if (ended !== null) throw new Error(ended);
    if (performance.now() > deadline) throw new Error(`not ready in ${START_TIMEOUT_MS / 1000} s`);
    if ((await exists(socket)) && (await answers(address))) return;
    await sleep(POLL_MS);
  }
}

async function answers(address: ServerAddress): Promise<boolean> {
  const config = { ...address, database: "postgres", maxConnections: 1 };
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

async function stopPid(pid: number, exited?: Promise<unknown>): Promise<void> {
  const gone = exited ?? waitForEnd(pid);
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

async function waitForEnd(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(POLL_MS);
}

function signal(pid: number, name: NodeJS.Signals): void {
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

function commandOf(
  { prefix, binDir }: Identity,
  program: string,
  args: readonly string[],
): [string, string[]] {
  const [command, ...rest] = [...prefix, join(binDir, program), ...args];
  return [command as string, rest];
}

/** PostgreSQL must not be led astray by PG* variables, nor see secrets. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, LC_ALL: "C", TZ: "UTC" };
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

function lastLine(text: string | undefined): string {
  return text?.trim().split("\n").at(-1) ?? "";
}
