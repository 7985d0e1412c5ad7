import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import type { DatabaseConfig } from "../infra-config";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { Forwarder } from "./forwarder";
import { SQLDatabase } from "./databases";
import { ensureDatabase } from "./migrate";
import { openClient } from "./sql-client";
import { Pool } from "./sql-pool";
import { QueryArgs } from "./statements";

let server: TestPostgres;
let config: DatabaseConfig;
const pools: Pool[] = [];

beforeAll(async () => {
  server = await startTestPostgres();
  config = server.config("alpha");
  await ensureDatabase(config, "postgres");
});
afterAll(() => server.stop());
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function makePool(more: Partial<DatabaseConfig>): Pool {
  const pool = new Pool({ ...config, ...more });
  pools.push(pool);
  return pool;
}

async function connections(): Promise<number> {
  const sql = openClient({ ...config, database: "postgres" }, 1);
  try {
    const [row] =
      await sql`select count(*)::int as n from pg_stat_activity where datname = 'alpha'`;
    return row?.["n"] as number;
  } finally {
    await sql.end();
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error("Waited 10 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("a pool", () => {
  it("opens max_connections and no more", async () => {
    const pool = makePool({ maxConnections: 3 });
    await Promise.all(
      Array.from({ length: 30 }, () => pool.use((client) => client.say("select 1"))),
    );
    expect(await connections()).toBe(3);
  });

  it("has min_connections before anybody asks", async () => {
    makePool({ maxConnections: 9, minConnections: 4 });
    await until(async () => (await connections()) === 4);
  });

  it("lets a bounded number wait, first come first served, and refuses more in clear words", async () => {
    const pool = makePool({ maxConnections: 1 });
    const held = await pool.acquire();
    const order: number[] = [];
    const waiting = Array.from({ length: 5_000 }, (_, index) =>
      pool.use(() => Promise.resolve(void order.push(index))),
    );
    await expect(pool.acquire()).rejects.toMatchObject({
      code: "unavailable",
      message: 'No connection to "alpha": all 1 are in use, and 5000 queries wait for one',
    });
    pool.release(held);
    await Promise.all(waiting);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  it("tells those who wait when it is closed", async () => {
    const pool = makePool({ maxConnections: 1 });
    await pool.acquire();
    const waiting = pool.acquire();
    await pool.close();
    await expect(waiting).rejects.toThrow("the connection pool is closed");
  });

  it("replaces a connection on which too many statements were prepared", async () => {
    const pool = makePool({ maxConnections: 1 });
    const first = await pool.acquire();
    for (let n = 0; n <= 2_000; n++) first.texts.add(`select ${n}`);
    pool.release(first);
    expect(await pool.acquire()).not.toBe(first);
  });
});

describe("ENCORE_SQL_STATEMENT_TIMEOUT_MS", () => {
  const none = new QueryArgs([]);

  const withTimeout = async (
    ms: string,
    use: (db: SQLDatabase) => Promise<void>,
  ): Promise<void> => {
    process.env["ENCORE_SQL_STATEMENT_TIMEOUT_MS"] = ms;
    const one = { ...config, maxConnections: 1 };
    const db = new SQLDatabase("alpha", one, new Forwarder({}), (text) => text);
    try {
      await use(db);
    } finally {
      delete process.env["ENCORE_SQL_STATEMENT_TIMEOUT_MS"];
      await db.close();
    }
  };

  it("ends a statement that takes longer, and leaves its connection usable", async () => {
    await withTimeout("50", async (db) => {
      const pid = (await db.queryRow("select pg_backend_pid() as v", none))?.values()["v"];
      await expect(db.query("select pg_sleep(60)", none)).rejects.toMatchObject({
        code: "deadline_exceeded",
        message: "db error: canceling statement due to statement timeout",
      });
      const row = await db.queryRow("select pg_backend_pid() as v", none);
      expect(row?.values()["v"]).toBe(pid);
    });
  });

  it("counts a transaction's statements one by one, and lets a slow reader be slow", async () => {
    await withTimeout("200", async (db) => {
      const tx = await db.begin();
      for (let n = 0; n < 3; n++) await tx.query("select pg_sleep(0.1)", none);
      await tx.commit();
      const cursor = await db.stream("select g from generate_series(1, 1500) g", none);
      for (let n = 0; n < 1_000; n++) await cursor.next();
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await cursor.next())?.values()).toEqual({ g: 1_001 });
      await cursor.close();
    });
  });

  it("is refused unless it is a number", async () => {
    await withTimeout("1s", async (db) => {
      await expect(db.query("select 1", none)).rejects.toThrow(
        /ENCORE_SQL_STATEMENT_TIMEOUT_MS "1s"/,
      );
    });
  });
});
