import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { onExit } from "./drain";
import { externalPostgres, type PostgresServer, startPostgres } from "./postgres/postgres";
import { openClient } from "./sql/sql-client";

export interface ServerOptions {
  /** Where the data of a server of ours is kept. */
  readonly stateDir: string;
  /** A server of the user's own. */
  readonly databaseUrl?: string;
  /** Where the password is that several servers share; otherwise beside the data. */
  readonly passwordFile?: string;
}

/** The PostgreSQL of a state folder, or the user's own; ours ends with this process. */
export async function startServer(options: ServerOptions): Promise<PostgresServer> {
  if (options.databaseUrl !== undefined) {
    const server = externalPostgres(options.databaseUrl);
    await checkServer(server);
    return server;
  }
  const dir = join(options.stateDir, "pg");
  const dataDir = join(dir, "data");
  const starting = startPostgres({
    dataDir,
    socketDir: join(dir, "s"),
    password: readPassword(options.passwordFile ?? join(dir, "password"), dataDir),
  });
  // Registered before it has started: Ctrl-C may come in between.
  onExit(() =>
    starting.then(
      (server) => server.stop(),
      () => {},
    ),
  );
  return starting;
}

async function checkServer({
  address,
  maintenanceDatabase: database,
}: PostgresServer): Promise<void> {
  const sql = openClient({ ...address, database, maxConnections: 1, minConnections: 0 }, 1);
  try {
    await sql`select 1`;
  } catch (error) {
    throw new Error(`Cannot use the server of DATABASE_URL: ${(error as Error).message}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function readPassword(path: string, dataDir: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  if (existsSync(dataDir)) {
    throw new Error(`Cannot open the database in "${dataDir}": its password "${path}" is gone`);
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const password = randomBytes(24).toString("base64url");
  writeFileSync(path, `${password}\n`, { mode: 0o600 });
  return password;
}
