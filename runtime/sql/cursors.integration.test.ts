import { SQLDatabase } from "encore.dev/storage/sqldb";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";

/** Any database of the application will do: nothing of it is touched. */
const db = new SQLDatabase("containers");

/** What the pool of these tests has (runtime/testing.ts, CONNECTIONS_PER_DATABASE). */
const CONNECTIONS = 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const open = async (): Promise<unknown> =>
  (
    await db.queryRow<{ n: number }>`
      select count(*) as n from pg_stat_activity
      where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()`
  )?.n;

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error("Waited 10 s in vain");
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function firstOf(rows: number): Promise<number> {
  for await (const row of db.rawQuery<{ g: number }>(
    `select g, repeat('x', 100) as filling from generate_series(1, ${rows}) g`,
  )) {
    return row.g;
  }
  return 0;
}

describe("a loop over rows that is left early", () => {
  it("reads no more of a million rows than it took, and its connection is free at once", async () => {
    await firstOf(1);
    collectGarbage();
    const before = process.memoryUsage();
    const started = performance.now();
    expect(await firstOf(1_000_000)).toBe(1);
    const took = performance.now() - started;
    const after = process.memoryUsage();
    // A thousand rows of a hundred bytes, not a million.
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(2e7);
    expect(await open()).toBe(0);
    process.stdout.write(
      `figure: a loop left after the first of 10^6 rows: ${took.toFixed(1)} ms\n`,
    );
  });

  it("leaves the pool whole, however often", async () => {
    for (let n = 0; n < CONNECTIONS * 3; n++) await firstOf(5_000);
    await Promise.all(Array.from({ length: CONNECTIONS * 3 }, () => firstOf(5_000)));
    expect(await open()).toBe(0);
  });

  it("is left by an error too", async () => {
    const failing = async (): Promise<void> => {
      for await (const row of db.query<{ g: number }>`
        select g from generate_series(1, 100000) g`) {
        if (row.g === 3) throw new Error("enough");
      }
    };
    await expect(failing()).rejects.toThrow("enough");
    expect(await open()).toBe(0);
  });
});

describe("a loop over rows", () => {
  it("gives all of them, of any number and type", async () => {
    for (const count of [0, 1, 999, 1_000, 1_001, 2_000, 12_345]) {
      const seen: number[] = [];
      for await (const row of db.query<{ g: number }>`
        select g from generate_series(1, ${count}::int) g`) {
        seen.push(row.g);
      }
      expect(seen).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    }
    await db.exec`create type pg_temp_mood as enum ('calm')`;
    const moods: unknown[] = [];
    for await (const row of db.query`
      select 'calm'::pg_temp_mood as m from generate_series(1, 3000)`) {
      moods.push(row["m"]);
    }
    await db.exec`drop type pg_temp_mood`;
    expect(moods).toEqual(Array.from({ length: 3_000 }, () => "calm"));
  });

  it("may run other statements inside, in a transaction too", async () => {
    await using tx = await db.begin();
    await tx.exec`create temp table seen (g int) on commit drop`;
    for await (const row of tx.query<{ g: number }>`select g from generate_series(1, 2500) g`) {
      if (row.g % 500 === 0) await tx.exec`insert into seen values (${row.g})`;
    }
    expect(await tx.queryRow`select count(*) as n from seen`).toEqual({ n: 5 });
    await tx.commit();
  });

  it("lends its connection to others when all are in use", async () => {
    const loops = Array.from({ length: CONNECTIONS }, async () => {
      let rows = 0;
      for await (const row of db.query<{ g: number }>`select g from generate_series(1, 3000) g`) {
        // Every connection is out with a reader when these ask for one.
        if (row.g <= 3) await db.queryRow`select 1 as one`;
        rows++;
      }
      return rows;
    });
    expect(await Promise.all(loops)).toEqual(loops.map(() => 3_000));
  });

  it("holds no locks while its reader works", async () => {
    await db.exec`create table locked (id int primary key, n int not null)`;
    try {
      await db.exec`insert into locked select g, 0 from generate_series(1, 3000) g`;
      for await (const row of db.query<{ id: number }>`
        update locked set n = 1 returning id`) {
        if (row.id === 1) await db.exec`update locked set n = 2 where id = 3000`;
      }
      expect(await db.queryRow`select n from locked where id = 3000`).toEqual({ n: 2 });
    } finally {
      await db.exec`drop table locked`;
    }
  });

  it("fails in the middle where the statement does", async () => {
    const seen: number[] = [];
    const failing = async (): Promise<void> => {
      for await (const row of db.query<{ g: number }>`
        select g, 1 / (2500 - g) as v from generate_series(1, 5000) g`) {
        seen.push(row.g);
      }
    };
    await expect(failing()).rejects.toThrow(/division by zero/);
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index + 1));
    expect(await open()).toBe(0);
  });
});

describe("what a program lost hold of", () => {
  it("goes back to the pool: transactions, connections, loops", async () => {
    const lose = async (): Promise<void> => {
      await (
        await db.begin()
      ).exec`select 1`;
      await (
        await db.acquire()
      ).exec`select 1`;
      await db.query`select g from generate_series(1, 100000) g`.next();
    };
    for (let n = 0; n < 6; n++) await lose();
    await until(async () => (await open()) === 0);
    // Thrice as many as there are connections.
    const all = Array.from({ length: CONNECTIONS * 3 }, (_, index) => index);
    const found = await Promise.all(all.map((n) => db.queryRow`select ${n}::int as n`));
    expect(found).toEqual(all.map((n) => ({ n })));
  });
});

describe("await using", () => {
  const count = async (): Promise<unknown> => db.queryRow`select count(*) as n from used`;

  it("rolls a transaction back at the end of its scope, by an error too, unless it committed", async () => {
    await db.exec`create table used (n int)`;
    try {
      {
        await using tx = await db.begin();
        await tx.exec`insert into used values (1)`;
      }
      const failing = async (): Promise<void> => {
        await using tx = await db.begin();
        await tx.exec`insert into used values (2)`;
        throw new Error("no");
      };
      await expect(failing()).rejects.toThrow("no");
      expect(await count()).toEqual({ n: 0 });
      {
        await using tx = await db.begin();
        await tx.exec`insert into used values (3)`;
        await tx.commit();
      }
      expect(await count()).toEqual({ n: 1 });
      expect(await open()).toBe(0);
    } finally {
      await db.exec`drop table used`;
    }
  });
});
