import { Socket } from "node:net";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";

import postgres from "postgres";

import type { DatabaseConfig, TlsConfig } from "../infra-config";

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
    ssl: config.tls === null ? false : tlsOptions(config.tls, config.host),
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

export function tlsOptions(tls: TlsConfig, host: string): ConnectionOptions {
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
