import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";

/** A new connection that takes longer than this will not come. */
const CONNECT_TIMEOUT_S = 10;

/** How long to wait before reconnecting: short, since a local Postgres restarts within a second. */
const backoffS = (attempt: number): number => Math.min(0.02 * 2 ** attempt, 0.5);

type Options = postgres.Options<Record<string, postgres.PostgresType>> & {
  readonly socket: () => Socket;
};

/** How postgres.js reaches `config`'s server. */
export function clientOptions(config: DatabaseConfig, max: number): Options {
  return {
    socket: () => openSocket(config),
    ssl: tlsOptions(config),
    database: config.database,
    username: config.username,
    password: config.password,
    max,
    connect_timeout: CONNECT_TIMEOUT_S,
    backoff: backoffS,
    fetch_types: false,
    // A connection that is closed by its age or idleness could be inside a transaction.
    max_lifetime: null,
    idle_timeout: undefined,
    onnotice: () => {},
    connection: { application_name: "stele", DateStyle: "ISO" },
  };
}

/**
 * A socket that reports a failure when it is closed, not before. Between the two events postgres.js
 * accepts queries for the connection that it will never answer.
 */
class ServerSocket extends Socket {
  private failure: unknown = null;

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === "error") {
      this.failure = args[0];
      return true;
    }
    if (event === "close" && this.failure !== null) super.emit("error", this.failure as Error);
    return super.emit(event as "close", ...(args as [boolean]));
  }
}

function openSocket({ socketDir, host, port }: DatabaseConfig): Socket {
  const socket = new ServerSocket();
  if (socketDir !== null) socket.connect({ path: join(socketDir, `.s.PGSQL.${port}`) });
  else socket.connect({ host, port, noDelay: true });
  return socket;
}

function tlsOptions({ tls, host }: DatabaseConfig): NonNullable<Options["ssl"]> {
  if (tls === null) return false;
  return {
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.verifyHostname ? { servername: host } : { checkServerIdentity: () => undefined }),
    rejectUnauthorized: tls.verifyCa,
  };
}

/** Ordinary postgres.js client, with its own conversion of values. */
export function openClient(
  config: DatabaseConfig,
  max: number,
  settings: Readonly<Record<string, string>> = {},
): postgres.Sql {
  const options = clientOptions(config, max);
  return postgres({ ...options, connection: { ...options.connection, ...settings } });
}

/** A URL with which `postgres(url)` of postgres.js, or any other driver, reaches the database. */
export function connectionUrl(config: DatabaseConfig): string {
  const user = `${encodeURIComponent(config.username)}:${encodeURIComponent(config.password)}`;
  const database = encodeURIComponent(config.database);
  if (config.socketDir !== null) {
    const host = encodeURIComponent(socketAlias(config.socketDir)).replace("%2C", ",");
    return `postgresql://${user}@${host}/${database}`;
  }
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const tls = config.tls === null ? "disable" : config.tls.verifyCa ? "verify-full" : "require";
  return `postgresql://${user}@${host}:${config.port}/${database}?sslmode=${tls}`;
}

/** What follows the name of a socket's folder in its alias. */
export const ALIAS_SUFFIX = ",";

const aliases = new Map<string, string>();

/**
 * Another name of a socket's folder, ending in a comma. postgres.js decodes the host of a URL, and so
 * sees that it is a path, only where it has a comma in it; everything else takes the name as it is.
 */
function socketAlias(socketDir: string): string {
  const beside = socketDir + ALIAS_SUFFIX;
  if (existsSync(beside)) return beside;
  const known = aliases.get(socketDir);
  if (known !== undefined) return known;
  const dir = mkdtempSync(join(tmpdir(), "stele-"));
  const alias = join(dir, `s${ALIAS_SUFFIX}`);
  symlinkSync(socketDir, alias);
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  aliases.set(socketDir, alias);
  return alias;
}
