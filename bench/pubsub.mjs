// Pub/Sub from publish() to the handler, everything on one core: publisher, consumer and PostgreSQL.
// Beside it what PostgreSQL alone can do for a queue: insert and notify, then delete.
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { load } from "../runtime/load.mjs";

const SECONDS = 5;
/** Publishers that each wait for their message to be kept before they send the next. */
const PUBLISHERS = 128;
const RATE = 5_000;
/** Messages one after the other: each is published when the last was handled. */
const ALONE = 500;

const isPinned = process.env.BENCH_PINNED === "1";
if (!isPinned && spawnSync("taskset", ["--version"]).status === 0) {
  const script = fileURLToPath(import.meta.url);
  const { status } = spawnSync(
    "taskset",
    ["-c", "0", process.execPath, ...process.execArgv, script],
    {
      stdio: "inherit",
      env: { ...process.env, BENCH_PINNED: "1" },
    },
  );
  process.exit(status ?? 1);
}
console.log(isPinned ? "everything on core 0" : "not pinned: taskset is missing");

const out = "build/bench";
const { startTestPostgres } = await load("runtime/postgres/test-postgres.ts", out);
const { PubSub } = await load("runtime/pubsub/pubsub.ts", out);
const { openClient } = await load("runtime/sql/sql-client.ts", out);
const { ensureDatabase } = await load("runtime/sql/migrate.ts", out);

const server = await startTestPostgres();
await ensureDatabase(server.config("queue"), "postgres");

/** A way to carry messages: `publish` resolves when one is kept, `onMessage` gets its body. */
const carriers = { "Pub/Sub": startPubSub, PostgreSQL: startFloor };

async function startPubSub(onMessage) {
  const subscription = {
    topic: "bench",
    name: "bench",
    service: "bench",
    maxConcurrency: 0,
    ackDeadlineMs: 30_000,
    retentionMs: 604_800_000,
    minBackoffMs: 10_000,
    maxBackoffMs: 600_000,
    maxRetries: 100,
  };
  const infra = server.infra(["queue"], {
    pubsub: [
      {
        type: "nsq",
        hosts: "127.0.0.1:4150",
        topics: { bench: { name: "bench", subscriptions: { bench: { name: "bench" } } } },
      },
    ],
  });
  const pubsub = new PubSub({ topics: [], subscriptions: [subscription] }, infra);
  const handler = { topicName: "bench", subscriptionName: "bench", handler: onMessage };
  void pubsub.subscription(handler, ({ payload }) => payload).subscribe();
  await pubsub.start();
  return {
    publish: (message) => pubsub.topic("bench").publish(message),
    close: async () => {
      await pubsub.drain(AbortSignal.timeout(5_000));
      await pubsub.close();
    },
  };
}

/** The least that a queue in PostgreSQL does, a message at a time. */
async function startFloor(onMessage) {
  const sql = openClient(server.config("queue"), 8);
  await sql.unsafe("create table if not exists floor (id bigserial primary key, body text)");
  const take = async () => {
    const rows = await sql`
      delete from floor where id = (select id from floor order by id limit 1 for update skip locked)
      returning body`;
    for (const { body } of rows) onMessage(JSON.parse(body));
  };
  const listening = await sql.listen("floor", () => void take());
  return {
    publish: (message) => sql`
      with kept as (insert into floor (body) values (${JSON.stringify(message)}))
      select pg_notify('floor', '')`,
    close: async () => {
      await listening.unlisten();
      await sql.end({ timeout: 5 });
    },
  };
}

const message = (n) => ({
  n,
  at: performance.now(),
  replId: "0f2c9d7e",
  cluster: "east",
  generation: 7,
});

/** Messages a second from the first publish to the last handler. */
async function throughput(start) {
  let handled = 0;
  let published = 0;
  const carrier = await start(() => void handled++);
  const started = performance.now();
  const until = started + SECONDS * 1000;
  const publisher = async () => {
    while (performance.now() < until) await carrier.publish(message(published++));
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  while (handled < published) await sleep(1);
  const seconds = (performance.now() - started) / 1000;
  await carrier.close();
  return published / seconds;
}

/** Milliseconds from publish() to the handler, at so many messages a second. */
async function latency(start, rate) {
  const took = [];
  const carrier = await start(({ at }) => void took.push(performance.now() - at));
  const total = rate * SECONDS;
  const started = performance.now();
  const publishing = [];
  for (let n = 0; n < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) * rate) / 1000));
    for (; n < due; n++) publishing.push(carrier.publish(message(n)));
    await sleep(1);
  }
  await Promise.all(publishing);
  while (took.length < total) await sleep(1);
  const seconds = (performance.now() - started) / 1000;
  await carrier.close();
  took.sort((a, b) => a - b);
  return { p50: took[total >> 1], p99: took[Math.floor(total * 0.99)], rate: total / seconds };
}

/** The same where nothing else is under way. */
async function alone(start) {
  let handled = () => {};
  const carrier = await start(() => handled());
  const took = [];
  for (let n = 0; n < ALONE; n++) {
    const arrived = new Promise((resolve) => (handled = resolve));
    const started = performance.now();
    await Promise.all([
      carrier.publish(message(n)),
      arrived.then(() => took.push(performance.now() - started)),
    ]);
  }
  await carrier.close();
  took.sort((a, b) => a - b);
  return { p50: took[ALONE >> 1], p99: took[Math.floor(ALONE * 0.99)] };
}

const figures = ({ p50, p99 }) => `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;

try {
  for (const [name, start] of Object.entries(carriers)) {
    console.log(`${name}: ${figures(await alone(start))} from publish to handler, one at a time`);
  }
  for (const [name, start] of Object.entries(carriers)) {
    console.log(
      `${name}: ${Math.round(await throughput(start))} messages/s, ${PUBLISHERS} publishers`,
    );
  }
  const loaded = await latency(startPubSub, RATE);
  console.log(`Pub/Sub: ${figures(loaded)} at ${RATE} messages/s (got ${Math.round(loaded.rate)})`);
} finally {
  await server.stop();
}
process.exit(0);
