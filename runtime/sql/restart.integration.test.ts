import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { ensureDatabase } from "./migrate";
import { parseInfraConfig } from "../infra-config";
import { type PostgresServer, startPostgres } from "../postgres/postgres";
import { Databases, type SQLDatabase } from "./databases";
import { QueryArgs } from "./statements";

const dir = mkdtempSync(join(tmpdir(), "stele-restart-"));
const CONNECTIONS = 8;
const CLIENTS = 24;

/** Longer than this nothing may take, with a server that is back within a second or two. */
const PATIENCE_MS = 15_000;

let server: PostgresServer;
let databases: Databases;
let db: SQLDatabase;

const start = (): Promise<PostgresServer> =>
  startPostgres({
    dataDir: join(dir, "pg", "data"),
    socketDir: join(dir, "pg", "s"),
    password: "p",
    endWithParent: true,
    report: () => {},
  });

const pid = (): number =>
  Number(readFileSync(join(dir, "pg", "data", "postmaster.pid"), "utf8").split("\n")[0]);

const none = new QueryArgs([]);

beforeAll(async () => {
  server = await start();
  const { address } = server;
  const infra = parseInfraConfig({
    sql_servers: [
      {
        host: address.socketDir,
        databases: {
          alpha: { username: address.username, password: "p", max_connections: CONNECTIONS },
        },
      },
    ],
  });
  await ensureDatabase(infra.databases["alpha"] as never, "postgres");
  databases = new Databases({} as never, infra, (text) => text);
  db = databases.sqlDatabase("alpha");
  await db.query("create table ticket (id text primary key)", none);
});
afterAll(async () => {
  await databases.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not so in ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

type Work = (id: string) => Promise<void>;

/** What services do with a database; each ends with the ticket in the table. */
const WORK: Record<string, Work> = {
  statement: async (id) => {
    await db.query("insert into ticket values ($1)", new QueryArgs([id]));
  },
  transaction: async (id) => {
    const tx = await db.begin();
    try {
      await tx.query("insert into ticket values ($1)", new QueryArgs([id]));
      await tx.query("select count(*) from ticket", none);
    } catch (error) {
      await tx.rollback().catch(() => {});
      throw error;
    }
    await tx.commit();
  },
  loop: async (id) => {
    const cursor = await db.stream("select g from generate_series(1, 3000) g", none);
    for (let n = 0; n < 2_000; n++) await cursor.next();
    await cursor.close();
    await db.query("insert into ticket values ($1)", new QueryArgs([id]));
  },
  connection: async (id) => {
    const connection = await db.acquire();
    try {
      await connection.query("insert into ticket values ($1)", new QueryArgs([id]));
    } finally {
      await connection.close();
    }
  },
};

class Load {
  readonly kept: string[] = [];
  readonly failed: { readonly what: string; readonly error: Error & { code?: string } }[] = [];
  private stopped = false;
  private readonly clients: Promise<void>[];

  constructor(name: string) {
    const kinds = Object.keys(WORK);
    this.clients = Array.from({ length: CLIENTS }, (_, index) =>
      this.run(kinds[index % kinds.length] as string, `${name}-${index}`),
    );
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.clients);
  }

  private async run(what: string, name: string): Promise<void> {
    for (let n = 0; !this.stopped; n++) {
      const id = `${name}-${n}`;
      try {
        await within(what, (WORK[what] as Work)(id));
        this.kept.push(id);
      } catch (error) {
        this.failed.push({ what, error: error as Error });
        // As a caller would: it tries again, but not at once.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
}

/** A service's own client on the connection string, beside the pool. */
class Listener {
  private readonly heard = new Set<string>();
  private readonly sql = postgres(db.connString(), {
    max: 1,
    onnotice: () => {},
    backoff: () => 0.05,
  });

  static async open(): Promise<Listener> {
    const listener = new Listener();
    await listener.sql.listen("news", (payload) => void listener.heard.add(payload));
    await listener.hears("first");
    return listener;
  }

  /** Says it until it is heard: what is said between two connections is lost. */
  hears(payload: string): Promise<void> {
    return until(async () => {
      const args = new QueryArgs([payload]);
      await db.query("select pg_notify('news', $1)", args).catch(() => {});
      return this.heard.has(payload);
    });
  }

  close(): Promise<void> {
    return this.sql.end({ timeout: 1 });
  }
}

const RESTARTS: Record<string, () => Promise<void>> = {
  "kill -9": async () => {
    const before = pid();
    process.kill(before, "SIGKILL");
    await until(() => {
      try {
        return pid() !== before;
      } catch {
        return false;
      }
    });
  },
  "a fast shutdown": async () => {
    await server.stop();
    server = await start();
  },
};

describe.each(Object.keys(RESTARTS))("after %s of Postgres under load", (name) => {
  it("what was in flight is unavailable, nothing hangs, and everything works again", async () => {
    const news = await Listener.open();
    const load = new Load(name);
    await until(() => load.kept.length > 200);
    const sleeping = db.query("select pg_sleep(60)", none).then(
      () => null,
      (error: unknown) => error,
    );
    await (RESTARTS[name] as () => Promise<void>)();
    const back = load.kept.length;
    await until(() => load.kept.length > back + 200);
    await news.hears("again");
    await load.stop();
    await news.close();

    expect(await within("a statement that ran", sleeping)).toMatchObject({ code: "unavailable" });
    const codes = new Set(load.failed.map(({ error }) => error.code));
    expect([...codes], load.failed[0]?.error.message).toEqual(["unavailable"]);
    // As many at once as ever: no connection was lost to the pool.
    const all = Array.from({ length: CONNECTIONS }, () => db.begin());
    for (const tx of await within("the whole pool", Promise.all(all))) await tx.rollback();
    const cursor = await db.query("select id from ticket", none);
    const there = new Set<unknown>();
    for (let row = await cursor.next(); row; row = await cursor.next()) {
      there.add(row.values()["id"]);
    }
    expect(load.kept.filter((id) => !there.has(id))).toEqual([]);
  });
});
