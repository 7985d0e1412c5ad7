import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { DatabaseModel } from "../app-model";
import { migrate } from "./migrate";
import { openClient } from "./sql-client";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";

let server: TestPostgres;
let root: string;
let count = 0;
let name: string;

beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());

beforeEach(() => {
  name = `notes_${++count}`;
  root = mkdtempSync(join(tmpdir(), "stele-migrate-"));
  mkdirSync(join(root, "schema"));
  return () => rmSync(root, { recursive: true, force: true });
});

const write = (file: string, sql: string): void => writeFileSync(join(root, "schema", file), sql);

function database(): DatabaseModel {
  return {
    name,
    service: null,
    at: { file: "db.ts", line: 1 },
    migrationsDir: "schema",
    migrationSource: null,
  };
}

function run(): Promise<void> {
  return migrate({
    root,
    databases: [database()],
    configs: { [name]: server.config(name) },
    maintenanceDatabase: "postgres",
  });
}

async function ask(text: string): Promise<unknown[]> {
  const sql = openClient(server.config(name), 1);
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

describe("migrate()", () => {
  it("creates the database, applies every migration in the order of numbers, and once", async () => {
    write("2_more.up.sql", "insert into step values (2)");
    write("10_last.up.sql", "insert into step values (10); -- rollback is only a word here");
    write("1_first.up.sql", "create table step (n int);\ninsert into step values (1);");
    write("1_first.down.sql", "drop table step");
    await run();
    await run();
    expect(await ask("select n from step")).toEqual([{ n: 1 }, { n: 2 }, { n: 10 }]);
    expect(await ask("select version, dirty from schema_migrations")).toEqual([
      { version: "10", dirty: false },
    ]);
  });

  it("goes on from where an earlier run ended", async () => {
    write("1_first.up.sql", "create table step (n int)");
    await run();
    write("2_more.up.sql", "insert into step values (2)");
    await run();
    expect(await ask("select n from step")).toEqual([{ n: 2 }]);
  });

  it("undoes a migration that fails, and says where", async () => {
    write("1_first.up.sql", "create table step (n int);");
    write("2_bad.up.sql", "insert into step values (2);\ninsert into nowhere values (2);");
    await expect(run()).rejects.toThrow(
      /Cannot migrate "notes_\d+": schema\/2_bad.up.sql:2: relation "nowhere" does not exist/,
    );
    expect(await ask("select * from step")).toEqual([]);
    expect(await ask("select version, dirty from schema_migrations")).toEqual([
      { version: "1", dirty: false },
    ]);
    write("2_bad.up.sql", "insert into step values (2);");
    await run();
    expect(await ask("select n from step")).toEqual([{ n: 2 }]);
  });

  it("runs what no transaction can hold", async () => {
    write("1_first.up.sql", "create table step (n int)");
    write("2_index.up.sql", "create index concurrently step_n on step (n)");
    await run();
    expect(await ask("select version, dirty from schema_migrations")).toEqual([
      { version: "2", dirty: false },
    ]);
  });

  it("stops at a dirty row", async () => {
    write("1_first.up.sql", "create table step (n int)");
    await run();
    await ask("update schema_migrations set dirty = true");
    await expect(run()).rejects.toThrow(/migration 1 failed halfway. Repair the database by hand/);
  });

  it("refuses a database that is newer than the program", async () => {
    write("1_first.up.sql", "create table step (n int)");
    await run();
    await ask("update schema_migrations set version = 7");
    await expect(run()).rejects.toThrow(/is at migration 7, newer than the newest one here, 1/);
  });

  it.each([
    ["1_other.up.sql", /have the same number/],
    ["2-other.up.sql", /migration 2-other.up.sql has no valid name/],
  ])("refuses %s", async (file, message) => {
    write("1_first.up.sql", "select 1");
    write(file, "select 1");
    await expect(run()).rejects.toThrow(message);
  });

  it("is done once by two that start together", async () => {
    write("1_first.up.sql", "create table step (n int); insert into step values (1)");
    await Promise.all([run(), run(), run()]);
    expect(await ask("select n from step")).toEqual([{ n: 1 }]);
  });
});
