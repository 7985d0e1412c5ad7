import type postgres from "postgres";

import type { DatabaseConfig } from "./infra-config";
import { ensureDatabase } from "./sql/migrate";
import { openClient } from "./sql/sql-client";

/** The last run of each cron job, in the database that the processes of an application share. */
export class CronStore {
  private readonly sql: postgres.Sql;

  private constructor(config: DatabaseConfig) {
    this.sql = openClient(config, 1);
  }

  static async open(config: DatabaseConfig): Promise<CronStore> {
    await ensureDatabase(config, "postgres");
    const store = new CronStore(config);
    await store.sql`
      create table if not exists cron_run (
        cron text primary key,
        due_at timestamptz not null
      )`;
    return store;
  }

  /** Whether this run is the caller's: of all processes that ask for it, the first gets it. */
  async take(cron: string, dueAt: Date): Promise<boolean> {
    const rows = await this.sql`
      insert into cron_run as last (cron, due_at) values (${cron}, ${dueAt})
      on conflict (cron) do update set due_at = excluded.due_at
        where last.due_at < excluded.due_at
      returning 1`;
    return rows.length === 1;
  }

  async close(): Promise<void> {
    await this.sql.end({ timeout: 1 });
  }
}
