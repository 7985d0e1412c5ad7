import { mkdir, realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { findBinaries } from "./pg-binaries";
import { chooseIdentity } from "./pg-identity";
import { ensureCluster, SUPERUSER } from "./pg-init";
import { adopt, launch, type Running, type ServerAddress, signal } from "./pg-process";
import { makeSocketDir, removeSocketDir } from "./pg-socket";

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
  /** Told when the server ended by itself, and what became of it. */
  readonly report?: (line: string) => void;
  /** For tests: what happens where user namespaces are refused. */
  readonly noNamespace?: boolean;
}

/** A server that cannot be started again so often in a row is given up. */
const RESTARTS_MAX = 5;
const RESTART_PAUSE_MS = 500;

/**
 * Starts the PostgreSQL that npm installed, on a Unix socket only, or adopts one that an earlier
 * process left behind on the same data. It has a session of its own, so that Ctrl-C in the terminal
 * does not reach it: it must outlive what still writes. A server that dies is started again; one
 * that somebody stopped is left alone.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const native = await findBinaries();
  const wanted = { dataDir: resolve(options.dataDir), socketDir: resolve(options.socketDir) };
  await mkdir(dirname(wanted.dataDir), { recursive: true, mode: 0o700 });
  const identity = await chooseIdentity({ ...options, ...wanted, native });
  const socketDir = await makeSocketDir(wanted.socketDir, identity);
  const address: ServerAddress = {
    host: "localhost",
    port: 5432,
    socketDir,
    tls: null,
    username: SUPERUSER,
    password: options.password,
  };
  await ensureCluster(identity, options.password);
  const dataDir = await realpath(identity.dataDir);
  const start = (): Promise<Running> =>
    launch({
      identity: { ...identity, dataDir },
      address,
      logPath: join(dirname(wanted.dataDir), "postgres.log"),
      endWithParent: options.endWithParent ?? false,
    });
  const running = (await adopt(dataDir, address)) ?? (await start());
  const report = options.report ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const supervisor = new Supervisor(running, start, report);
  const stop = async (): Promise<void> => {
    await supervisor.stop();
    if (socketDir !== wanted.socketDir) await removeSocketDir(socketDir);
  };
  return { address, maintenanceDatabase: "postgres", stop };
}

/** Keeps one server running until it is told to stop. */
class Supervisor {
  private stopped: Promise<void> | null = null;
  private restarting: Promise<void> = Promise.resolve();

  constructor(
    private running: Running,
    private readonly start: () => Promise<Running>,
    private readonly report: (line: string) => void,
  ) {
    // A sudden end of this process, by an uncaught error, must not leave the server behind.
    process.once("exit", this.atExit);
    this.watch();
  }

  stop(): Promise<void> {
    this.stopped ??= this.restarting
      .then(() => this.running.stop())
      .finally(() => process.removeListener("exit", this.atExit));
    return this.stopped;
  }

  private readonly atExit = (): void => signal(this.running.pid, "SIGINT");

  private watch(): void {
    void this.running.ended.then(({ why, inOrder }) => {
      if (this.stopped === null && !inOrder) this.restarting = this.restart(why);
    });
  }

  private async restart(why: string): Promise<void> {
    this.report(`PostgreSQL is gone (${why}): starting it again`);
    for (let attempt = 1; attempt <= RESTARTS_MAX && this.stopped === null; attempt++) {
      try {
        this.running = await this.start();
        this.watch();
        return;
      } catch (error) {
        this.report((error as Error).message);
        await sleep(RESTART_PAUSE_MS, undefined, { ref: false });
      }
    }
  }
}

/** A server of the user's own, from `postgres://user:password@host:port/database?sslmode=…`. */
export function externalPostgres(databaseUrl: string): PostgresServer {
  let url: URL;
  try {
    url = new URL(databaseUrl);
    if (!/^postgres(ql)?:$/.test(url.protocol) || hostOf(url) === "") throw new Error();
  } catch {
    throw new Error(
      "Cannot use DATABASE_URL: expected postgres://user:password@host:port/database",
    );
  }
  const host = hostOf(url);
  const mode = url.searchParams.get("sslmode") ?? "disable";
  const address: ServerAddress = {
    host,
    port: Number(url.port || 5432),
    socketDir: host.startsWith("/") ? host : null,
    tls: ["disable", "allow", "prefer"].includes(mode) ? null : tlsOf(mode),
    username: decodeURIComponent(url.username) || (url.searchParams.get("user") ?? "postgres"),
    password: decodeURIComponent(url.password) || (url.searchParams.get("password") ?? ""),
  };
  const database = decodeURIComponent(url.pathname.slice(1)) || address.username;
  return { address, maintenanceDatabase: database, stop: () => Promise.resolve() };
}

/** `postgres:///database?host=/run/postgresql` is how libpq writes a socket. */
function hostOf(url: URL): string {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  return host.replace(/^\[|\]$/g, "");
}

function tlsOf(mode: string): ServerAddress["tls"] {
  const verifyCa = mode.startsWith("verify");
  return { ca: null, cert: null, key: null, verifyCa, verifyHostname: mode === "verify-full" };
}
