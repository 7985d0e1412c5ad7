import { readFile } from "node:fs/promises";
import { join } from "node:path";

import postgres from "postgres";

import type { DatabaseModel } from "../app-model";
import type { DatabaseConfig } from "../infra-config";
import { listMigrations, type MigrationFile, type MigrationSource } from "./migration-files";
import { openClient } from "./sql-client";

export interface Migration {
  readonly version: number;
  readonly file: string;
  readonly sql: string;
}

export interface MigrateOptions {
  /** The application's root, to which `migrationsDir` is relative. */
  readonly root: string;
  readonly databases: readonly DatabaseModel[];
  /** By logical name; a database that is not in it is not ours to migrate. */
  readonly configs: Readonly<Record<string, DatabaseConfig>>;
  /** A database of the same server that exists, for creating others. */
  readonly maintenanceDatabase: string;
}

/**
 * Brings every database up to its newest migration, and creates it when it is missing. The version is
 * kept where Encore's CLI keeps it (golang-migrate's table, one row), so both may take turns. Where
 * there is nothing to do it costs one round trip for each database, all at once.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const results = await Promise.allSettled(
    options.databases.map(async (database) => {
      const config = options.configs[database.name];
      if (!config) return;
      const migrations = await readMigrations(options.root, database);
      await migrateOne(config, options.maintenanceDatabase, database.name, migrations);
    }),
  );
  const faults = results.flatMap((result) =>
    result.status === "rejected" ? [(result.reason as Error).message] : [],
  );
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** Creates the database when it is missing. */
export async function ensureDatabase(config: DatabaseConfig, maintenance: string): Promise<void> {
  const sql = await connect(config, maintenance);
  await sql.end();
}

/** The `up` migrations of a database in order. Refuses wrong names and numbers that occur twice. */
export async function readMigrations(root: string, database: DatabaseModel): Promise<Migration[]> {
  const { name, migrationsDir, migrationSource } = database;
  if (migrationsDir === null) return [];
  const dir = join(root, migrationsDir);
  return Promise.all(
    listed(name, dir, migrationSource).map(async ({ version, file }) => ({
      version,
      file: `${migrationsDir}/${file}`,
      sql: await readFile(join(dir, file), "utf8"),
    })),
  );
}

function listed(name: string, dir: string, source: MigrationSource): MigrationFile[] {
  try {
    return listMigrations(dir, source);
  } catch (error) {
    throw new Error(`Cannot migrate "${name}": ${(error as Error).message}`);
  }
}

async function migrateOne(
  config: DatabaseConfig,
  maintenance: string,
  name: string,
  migrations: readonly Migration[],
): Promise<void> {
  const sql = await connect(config, maintenance);
  try {
    const newest = migrations.at(-1)?.version ?? 0;
    if ((await readVersion(sql, name, newest)) === newest) return;
    await sql`select pg_advisory_lock(${LOCK_KEY}::bigint)`;
    await sql.unsafe(CREATE_TABLE);
    const current = await readVersion(sql, name, newest);
    for (const migration of migrations) {
      if (migration.version > current) await apply(sql, name, migration);
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Any fixed number: it keeps two programs that start at once from migrating together. */
const LOCK_KEY = "7308325564126921569";

const CREATE_TABLE =
  "create table if not exists schema_migrations " +
  "(version bigint not null primary key, dirty boolean not null)";

const UNDEFINED_TABLE = "42P01";
const UNDEFINED_DATABASE = "3D000";
const DUPLICATE_DATABASE = "42P04";
const UNIQUE_VIOLATION = "23505";

/** 0 before the first migration. */
async function readVersion(sql: postgres.Sql, name: string, newest: number): Promise<number> {
  const rows = await sql<{ version: string; dirty: boolean }[]>`
    select version, dirty from schema_migrations order by version desc limit 1`.catch(
    (error: unknown) => {
      if (isPostgresError(error, UNDEFINED_TABLE)) return [];
      throw error;
    },
  );
  const version = Number(rows[0]?.version ?? 0);
  if (rows[0]?.dirty) {
    throw new Error(
      `Cannot migrate "${name}": migration ${version} failed halfway. Repair the database by hand, ` +
        "then set dirty to false in schema_migrations",
    );
  }
  if (version > newest) {
    throw new Error(
      `Cannot use the database "${name}": it is at migration ${version}, newer than the newest ` +
        `one here, ${newest}`,
    );
  }
  return version;
}

/** What Postgres refuses inside a transaction, or what ends one. */
const NOT_IN_TRANSACTION =
  /\b(concurrently|vacuum|alter\s+system|(create|drop)\s+(database|tablespace)|commit|rollback)\b/i;

async function apply(sql: postgres.Sql, name: string, migration: Migration): Promise<void> {
  const { version } = migration;
  const setVersion = (dirty: boolean): string =>
    "delete from schema_migrations; " +
    `insert into schema_migrations (version, dirty) values (${version}, ${dirty});`;
  try {
    if (NOT_IN_TRANSACTION.test(withoutComments(migration.sql))) {
      await sql.unsafe(setVersion(true));
      await sql.unsafe(migration.sql);
      await sql.unsafe(setVersion(false));
    } else {
      // One message is one transaction: it happens whole or not at all, and is never dirty.
      await sql.unsafe(`begin;\n${migration.sql}\n;${setVersion(false)} commit;`);
    }
  } catch (error) {
    const where = lineOf(migration.sql, error);
    const place = `${migration.file}${where === null ? "" : `:${where}`}`;
    throw new Error(`Cannot migrate "${name}": ${place}: ${(error as Error).message}`);
  }
}

function withoutComments(text: string): string {
  return text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ");
}

/** The line in the migration that the server's error points at. */
function lineOf(text: string, error: unknown): number | null {
  if (!(error instanceof postgres.PostgresError) || !error.position) return null;
  const offset = NOT_IN_TRANSACTION.test(withoutComments(text)) ? 0 : "begin;\n".length;
  return text.slice(0, Number(error.position) - offset).split("\n").length;
}

async function connect(config: DatabaseConfig, maintenance: string): Promise<postgres.Sql> {
  const sql = openClient(config, 1);
  try {
    await sql`select 1`;
    return sql;
  } catch (error) {
    await sql.end({ timeout: 1 });
    if (!isPostgresError(error, UNDEFINED_DATABASE)) {
      throw new Error(`Cannot open the database "${config.database}": ${(error as Error).message}`);
    }
    await create(config, maintenance);
    return openClient(config, 1);
  }
}

async function create(config: DatabaseConfig, maintenance: string): Promise<void> {
  const sql = openClient({ ...config, database: maintenance }, 1);
  try {
    await sql.unsafe(`create database "${config.database.replaceAll('"', '""')}"`);
  } catch (error) {
    // Another process was faster.
    if (isPostgresError(error, DUPLICATE_DATABASE) || isPostgresError(error, UNIQUE_VIOLATION)) {
      return;
    }
    const why = (error as Error).message;
    throw new Error(`Cannot create the database "${config.database}": ${why}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function isPostgresError(error: unknown, code: string): boolean {
  return error instanceof postgres.PostgresError && error.code === code;
}
