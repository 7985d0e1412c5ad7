import { AsyncLocalStorage } from "node:async_hooks";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { AppModel, SubscriptionModel } from "../app-model";
import { ensureDatabase } from "../sql/migrate";
import type { DatabaseConfig } from "../infra-config";
import { type Delivery, PubSub, type PubSubOptions } from "./pubsub";
import { openClient } from "../sql/sql-client";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";

let server: TestPostgres;
let count = 0;
let database: string;
const open: PubSub[] = [];

beforeAll(async () => {
  server = await startTestPostgres();
  await ensureDatabase(server.config("alpha"), "postgres");
});
afterAll(() => server.stop());
beforeEach(() => {
  database = `pubsub_${++count}`;
});
afterEach(async () => {
  await Promise.all(
    open.splice(0).map(async (pubsub) => {
      await pubsub.drain(AbortSignal.timeout(2_000));
      await pubsub.close();
    }),
  );
});

const POLICY: SubscriptionModel = {
  topic: "repl.moved",
  name: "first",
  service: "dns",
  at: { file: "subscriptions.ts", line: 1 },
  maxConcurrency: 2,
  ackDeadlineMs: 30_000,
  retentionMs: 604_800_000,
  minBackoffMs: 5,
  maxBackoffMs: 20,
  maxRetries: 2,
};

type Handler = (delivery: Delivery) => unknown;

/** A process: its own connections, its own handlers. */
function makeProcess(
  handlers: Record<string, Handler>,
  policy: Partial<SubscriptionModel> = {},
  options: PubSubOptions = {},
): PubSub {
  const names = Object.keys(handlers);
  const model = {
    topics: [{ name: "repl.moved", orderingAttribute: "key" }],
    subscriptions: names.map((name) => ({ ...POLICY, ...policy, name })),
  } as unknown as AppModel;
  const infra = server.infra(["alpha"], {
    pubsub: [
      {
        type: "nsq",
        hosts: "127.0.0.1:4150",
        topics: {
          "repl.moved": {
            name: `physical-${database}`,
            subscriptions: Object.fromEntries(names.map((name) => [name, { name: `p-${name}` }])),
          },
        },
      },
    ],
  });
  const databases: Record<string, DatabaseConfig> = {
    ...infra.databases,
    stele_pubsub: server.config(database),
  };
  const pubsub = new PubSub(model, { ...infra, databases }, options);
  for (const [subscriptionName, handler] of Object.entries(handlers)) {
    const registered = { topicName: "repl.moved", subscriptionName, handler: handler as never };
    void pubsub.subscription(registered, (delivery) => delivery).subscribe();
  }
  open.push(pubsub);
  return pubsub;
}

async function ask(text: string): Promise<Record<string, unknown>[]> {
  return askAt(database, text);
}

async function askAt(at: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = openClient(server.config(at), 1);
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("the condition did not come true in 10 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const isEmpty = async (): Promise<boolean> =>
  (await ask("select 1 from delivery limit 1")).length === 0;

describe("PubSub", () => {
  it("carries a message that is a text, or one of several shapes", async () => {
    const seen: unknown[] = [];
    const pubsub = makeProcess({ first: ({ payload }) => void seen.push(payload) });
    await pubsub.start();
    for (const message of ["hello", { kind: "a", n: 1 }, { kind: "b" }]) {
      await pubsub.topic("repl.moved").publish(message);
    }
    await until(() => seen.length === 3);
    expect(seen).toEqual(expect.arrayContaining(["hello", { kind: "a", n: 1 }, { kind: "b" }]));
  });

  it("starts without its database, and delivers once that is back", async () => {
    const [seen, lines]: [unknown[], string[]] = [[], []];
    const handlers = { first: ({ payload }: Delivery) => void seen.push(payload) };
    const before = makeProcess(handlers);
    await before.topic("repl.moved").publish("kept");
    await before.close();
    const allow = (is: boolean): Promise<unknown> =>
      askAt("postgres", `alter database "${database}" allow_connections ${is}`);
    await allow(false);
    const log = (_level: string, message: string): void => void lines.push(message);
    const pubsub = makeProcess(handlers, {}, { log });
    await pubsub.start();
    expect(lines).toEqual(["cannot reach pub/sub, trying again"]);
    await allow(true);
    await until(() => seen.length === 1);
    expect(seen).toEqual(["kept"]);
    expect(lines).toEqual(["cannot reach pub/sub, trying again", "pub/sub works"]);
  });

  it("delivers a message to every subscription, once it is started", async () => {
    const seen: Delivery[] = [];
    const note = (delivery: Delivery): void => void seen.push(delivery);
    const pubsub = makeProcess(
      { first: note, second: note },
      {},
      { attributes: () => ({ trace: "t1" }) },
    );
    const at = new Date(0);
    const id = await pubsub.topic("repl.moved").publish({ replId: "r1", at, big: 2 ** 53 });
    expect(seen).toEqual([]);
    await pubsub.start();
    await until(() => seen.length === 2);
    expect(seen.map(({ subscription }) => subscription).sort()).toEqual(["first", "second"]);
    expect(seen[0]).toMatchObject({
      service: "dns",
      topic: "repl.moved",
      id,
      attempt: 1,
      payload: { replId: "r1", at: "1970-01-01T00:00:00Z", big: 2 ** 53 },
      attributes: { trace: "t1" },
    });
    expect(seen[0]?.publishedAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    await until(isEmpty);
  });

  it("tries again with a growing pause, and counts the attempts", async () => {
    const attempts: number[] = [];
    const pubsub = makeProcess({
      first: ({ attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) throw new Error("not yet");
      },
    });
    await pubsub.start();
    await pubsub.topic("repl.moved").publish({});
    await until(() => attempts.length === 3);
    await until(isEmpty);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await ask("select 1 from dead_letter")).toEqual([]);
  });

  it("puts a message among the dead letters after the last retry", async () => {
    const log: string[] = [];
    const pubsub = makeProcess(
      {
        first: () => Promise.reject(new Error("never")),
      },
      {},
      { log: (_level, message) => void log.push(message) },
    );
    await pubsub.start();
    const id = await pubsub.topic("repl.moved").publish({ replId: "r1" });
    await until(isEmpty);
    expect(
      await ask("select message_id, attempt, reason, body, subscription from dead_letter"),
    ).toEqual([
      {
        message_id: id,
        attempt: 3,
        reason: "never",
        body: '{"replId":"r1"}',
        subscription: "p-first",
      },
    ]);
    expect(log).toEqual(["message failed", "message failed", "message given up"]);
  });

  it("has a message delivered by another process when one dies while it handles it", async () => {
    const attempts: number[] = [];
    const stuck = makeProcess({ first: () => new Promise(() => {}) });
    await stuck.start();
    await stuck.topic("repl.moved").publish({});
    await until(async () => (await ask("select 1 from delivery where attempt = 1")).length === 1);
    const other = makeProcess({ first: ({ attempt }) => void attempts.push(attempt) });
    await other.start();
    expect(attempts).toEqual([]);
    await ask(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
    );
    open.splice(open.indexOf(stuck), 1);
    await stuck.drain(AbortSignal.abort());
    await stuck.close();
    await until(() => attempts.length === 1);
    expect(attempts).toEqual([2]);
    await until(isEmpty);
  });

  it("keeps messages that were published while nobody was there", async () => {
    const first = makeProcess({ first: () => {} });
    await first.topic("repl.moved").publish({ n: 1 });
    open.length = 0;
    await first.close();
    const seen: unknown[] = [];
    const second = makeProcess({ first: ({ payload }) => void seen.push(payload) });
    await second.start();
    await until(() => seen.length === 1);
    expect(seen).toEqual([{ n: 1 }]);
  });

  it("shares the messages of one subscription between processes, each once", async () => {
    const seen: unknown[] = [];
    const note = ({ payload }: Delivery): void => void seen.push((payload as { n: number }).n);
    const processes = [makeProcess({ first: note }), makeProcess({ first: note })];
    for (const pubsub of processes) await pubsub.start();
    const topic = (processes[0] as PubSub).topic("repl.moved");
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    await Promise.all(numbers.map((n) => topic.publish({ n })));
    await until(isEmpty);
    expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers);
  });

  it("handles at most as many at once as the subscription says", async () => {
    let running = 0;
    let most = 0;
    const pubsub = makeProcess({
      first: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running--;
      },
    });
    for (let n = 0; n < 10; n++) await pubsub.topic("repl.moved").publish({ n });
    await pubsub.start();
    await until(isEmpty);
    expect(most).toBe(2);
  });

  it("extends a claim while its handler works", async () => {
    const extended = async (): Promise<boolean> =>
      (await ask("select 1 from delivery where due_at > published_at + interval '1.4 s'")).length >
      0;
    let calls = 0;
    const handler = async (): Promise<void> => {
      calls++;
      await until(extended);
    };
    const pubsub = makeProcess({ first: handler }, { ackDeadlineMs: 1_000 });
    await pubsub.start();
    await pubsub.topic("repl.moved").publish({});
    await until(isEmpty);
    expect(calls).toBe(1);
  });

  it("survives the loss of all its connections", async () => {
    const seen: unknown[] = [];
    const pubsub = makeProcess({ first: ({ payload }) => void seen.push(payload) });
    await pubsub.start();
    await ask(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
    );
    await until(async () => {
      try {
        await pubsub.topic("repl.moved").publish({ n: 1 });
        return true;
      } catch {
        return false;
      }
    });
    await until(() => seen.length === 1);
  });

  it("waits for handlers when it drains, and takes nothing more", async () => {
    let release: () => void = () => {};
    const seen: unknown[] = [];
    const pubsub = makeProcess(
      {
        first: async ({ payload }) => {
          seen.push(payload);
          await new Promise<void>((resolve) => (release = resolve));
        },
      },
      { maxConcurrency: 1 },
    );
    await pubsub.topic("repl.moved").publish({ n: 1 });
    await pubsub.topic("repl.moved").publish({ n: 2 });
    await pubsub.start();
    await until(() => seen.length === 1);
    const drained = pubsub.drain(AbortSignal.timeout(5_000));
    release();
    await drained;
    expect(seen).toEqual([{ n: 1 }]);
    expect(await ask("select attempt from delivery")).toEqual([{ attempt: 0 }]);
  });

  it("keeps what one delivery enters away from the next", async () => {
    const storage = new AsyncLocalStorage<number>();
    const seen: (number | undefined)[] = [];
    const pubsub = makeProcess({
      first: async ({ payload }) => {
        seen.push(storage.getStore());
        storage.enterWith((payload as { n: number }).n);
        await Promise.resolve();
      },
    });
    await pubsub.start();
    for (let n = 0; n < 4; n++) await pubsub.topic("repl.moved").publish({ n });
    await until(() => seen.length === 4);
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("refuses a topic that the process has not", async () => {
    const pubsub = makeProcess({ first: () => {} });
    await expect(pubsub.topic("other").publish({})).rejects.toThrow(/not configured for use/);
  });
});
