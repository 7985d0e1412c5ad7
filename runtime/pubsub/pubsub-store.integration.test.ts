import { randomUUID } from "node:crypto";

import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { ensureDatabase } from "../sql/migrate";
import { openClient } from "../sql/sql-client";
import { type Claim, type Message, PubSubStore } from "./pubsub-store";

let server: TestPostgres;
let sql: ReturnType<typeof openClient>;
let stores: PubSubStore[];
let count = 0;

const CHANNEL = { topic: "t", subscription: "s" };
const HOUR_MS = 3_600_000;

beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  const config = server.config(`store_${++count}`);
  await ensureDatabase(config, "postgres");
  sql = openClient(config, 1);
  // Neither holds the lock of a living process, so that its claims are orphans when somebody looks.
  stores = [new PubSubStore(config, 1), new PubSubStore(config, 2)];
  for (const store of stores) await store.prepare([CHANNEL]);
});
afterEach(async () => {
  await Promise.all([sql.end(), ...stores.map((store) => store.close())]);
});

const message = (body: string, orderingKey: string | null = null): Message => ({
  id: randomUUID(),
  body,
  attributes: {},
  orderingKey,
});

const publish = (...messages: [body: string, key?: string][]): Promise<void> =>
  (stores[0] as PubSubStore).publish(
    CHANNEL.topic,
    messages.map(([body, key]) => message(body, key ?? null)),
  );

const claim = (limit = 10): Promise<Claim[]> =>
  (stores[0] as PubSubStore).claim(CHANNEL, limit, HOUR_MS);

const bodies = (claims: readonly Claim[]): string[] => claims.map(({ body }) => body);

describe("an ordering key", () => {
  it("lets one message go at a time, and other keys at once", async () => {
    const [store] = stores as [PubSubStore];
    await publish(["a1", "a"], ["a2", "a"], ["b1", "b"], ["free"]);
    await publish(["a3", "a"], ["b2", "b"]);
    const first = await claim();
    expect(bodies(first)).toEqual(["a1", "b1", "free"]);
    expect(await claim()).toEqual([]);
    await store.acknowledge(first.slice(0, 1));
    const second = await claim();
    expect(bodies(second)).toEqual(["a2"]);
    await store.bury(second[0] as Claim, "no");
    expect(bodies(await claim())).toEqual(["a3"]);
  });

  it("waits with a message that is tried again later, and with none of another subscription", async () => {
    const [store] = stores as [PubSubStore];
    await store.serve([{ topic: "t", subscription: "other" }]);
    await publish(["a1", "a"], ["a2", "a"]);
    await store.retry(await claim(), [HOUR_MS]);
    expect(await claim()).toEqual([]);
    const other = { topic: "t", subscription: "other" };
    const [theirs] = await store.claim(other, 10, HOUR_MS);
    await store.acknowledge([theirs as Claim]);
    expect(bodies(await store.claim(other, 10, HOUR_MS))).toEqual(["a2"]);
    expect(await claim()).toEqual([]);
  });

  it("is not let go by whoever lost the message meanwhile", async () => {
    const [store] = stores as [PubSubStore];
    await publish(["a1", "a"], ["a2", "a"]);
    const stale = await claim();
    await store.releaseOrphans();
    expect(bodies(await claim())).toEqual(["a1"]);
    await store.acknowledge(stale);
    expect(await claim()).toEqual([]);
  });

  it("goes on when its messages are older than they are kept", async () => {
    const [store] = stores as [PubSubStore];
    await publish(["a1", "a"], ["a2", "a"]);
    await sql`update delivery set kept_from = now() - interval '2 days' where body = 'a1'`;
    await store.expire(CHANNEL, 24 * HOUR_MS);
    expect(bodies(await claim())).toEqual(["a2"]);
    expect([...(await sql`select body, reason from dead_letter`)]).toEqual([
      { body: "a1", reason: "not delivered within the retention" },
    ]);
  });

  it("has no gap in which a message is forgotten, however publishing and settling meet", async () => {
    const [one, two] = stores as [PubSubStore, PubSubStore];
    let done = 0;
    const consume = async (store: PubSubStore): Promise<void> => {
      while (done < 300) {
        const claims = await store.claim(CHANNEL, 5, HOUR_MS);
        await store.acknowledge(claims);
        done += claims.length;
      }
    };
    const producing = Array.from({ length: 3 }, async (_, index) => {
      for (let n = 0; n < 100; n++) {
        const key = `k${n % 2}`;
        await (index === 0 ? one : two).publish("t", [message(`${index}-${n}`, key)]);
      }
    });
    await Promise.all([...producing, consume(one), consume(two)]);
    expect(done).toBe(300);
  });
});

describe("replay()", () => {
  const bury = async (body: string): Promise<void> => {
    await publish([body, "k"]);
    for (const one of await claim()) await (stores[0] as PubSubStore).bury(one, "no");
  };

  it("has dead letters delivered again from their first attempt: all, of a subscription, or one", async () => {
    await bury("x");
    await bury("y");
    await sql`update dead_letter set published_at = now() - interval '9 days'`;
    expect([...(await sql`select replay('t', 'nobody') as n`)]).toEqual([{ n: "0" }]);
    const [y] = await sql`select id from dead_letter where body = 'y'`;
    await sql`select replay(only_id => ${y?.["id"] as string})`;
    await sql`select replay('t')`;
    await (stores[0] as PubSubStore).expire(CHANNEL, 24 * HOUR_MS);
    const [first] = await claim();
    expect(first).toMatchObject({ body: "y", attempt: 1 });
    expect(await claim()).toEqual([]);
    await (stores[0] as PubSubStore).acknowledge([first as Claim]);
    expect(bodies(await claim())).toEqual(["x"]);
    expect([...(await sql`select from dead_letter`)]).toEqual([]);
  });
});

describe("prepare()", () => {
  it("keeps the messages of an older version", async () => {
    const config = server.config(`store_${++count}`);
    await ensureDatabase(config, "postgres");
    const old = openClient(config, 1);
    await old.unsafe(`
      create table subscription (topic text not null, name text not null,
        served_at timestamptz not null default now(), primary key (topic, name));
      create table delivery (id bigint generated always as identity primary key,
        message_id uuid not null, topic text not null, subscription text not null,
        body text not null, attributes jsonb not null,
        published_at timestamptz not null default now(), attempt int not null default 0,
        due_at timestamptz not null default now(), claimed_by int);
      create index delivery_due on delivery (topic, subscription, due_at);
      create table dead_letter (id bigint primary key, message_id uuid not null,
        topic text not null, subscription text not null, body text not null,
        attributes jsonb not null, published_at timestamptz not null, attempt int not null,
        reason text not null, died_at timestamptz not null default now());
      insert into delivery (message_id, topic, subscription, body, attributes)
      values (gen_random_uuid(), 't', 's', '"old"', '{"a": "b"}');`);
    await old.end();
    const store = new PubSubStore(config, 3);
    try {
      await store.prepare([CHANNEL]);
      const [found] = await store.claim(CHANNEL, 10, HOUR_MS);
      expect(found).toMatchObject({ body: '"old"', attributes: { a: "b" }, isOrdered: false });
    } finally {
      await store.close();
    }
  });
});

/** What the store is held against: a list of messages, in order. */
interface Kept {
  readonly body: string;
  readonly key: string | null;
  attempt: number;
  state: "due" | "later" | "claimed";
}

type Step =
  | { readonly do: "publish"; readonly keys: readonly (string | null)[] }
  | { readonly do: "claim"; readonly limit: number; readonly by: number }
  | { readonly do: "end"; readonly how: "ack" | "bury" | "later" | "again"; readonly pick: number }
  | { readonly do: "die" }
  | { readonly do: "stale" };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("publish" as const),
        keys: fc.array(fc.constantFrom(null, "a", "b"), { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("claim" as const),
        limit: fc.integer({ min: 1, max: 4 }),
        by: fc.integer({ min: 0, max: 1 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("end" as const),
        how: fc.constantFrom("ack" as const, "bury" as const, "later" as const, "again" as const),
        pick: fc.nat(),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: "die" as const }) },
    { weight: 1, arbitrary: fc.constant({ do: "stale" as const }) },
  ),
  { minLength: 5, maxLength: 30 },
);

/** Runs the steps on the store, and checks each claim against the rules. */
class Run {
  private kept: Kept[] = [];
  private held: { claim: Claim; message: Kept }[] = [];
  private lost: { claim: Claim; message: Kept }[] = [];
  private dead = 0;
  private next = 0;

  async all(list: readonly Step[]): Promise<void> {
    await sql`truncate delivery, dead_letter`;
    for (const step of list) await this.step(step);
    await this.rest();
  }

  private async step(step: Step): Promise<void> {
    const [store] = stores as [PubSubStore];
    if (step.do === "publish") {
      const added = step.keys.map((key) => ({ body: String(this.next++), key }));
      await store.publish(
        "t",
        added.map(({ body, key }) => message(body, key)),
      );
      for (const one of added) this.kept.push({ ...one, attempt: 0, state: "due" });
    } else if (step.do === "claim") {
      await this.claim(step.limit, stores[step.by] as PubSubStore);
    } else if (step.do === "end") {
      await this.end(step.how, step.pick);
    } else if (step.do === "die") {
      await store.releaseOrphans();
      for (const { message } of this.held) message.state = "due";
      this.lost.push(...this.held.splice(0));
    } else {
      await this.sayStale(store);
    }
  }

  /** Whoever lost a claim to another may say anything about it: nobody listens. */
  private async sayStale(store: PubSubStore): Promise<void> {
    const stale = this.lost
      .filter(({ claim, message }) => message.attempt > claim.attempt)
      .map(({ claim }) => claim);
    if (stale.length === 0) return;
    await store.acknowledge(stale);
    await store.retry(
      stale,
      stale.map(() => HOUR_MS),
    );
    await store.extend(stale, HOUR_MS);
    for (const claim of stale) await store.bury(claim, "stale");
  }

  /** Due, and the first of its key. */
  private claimable(): Kept[] {
    return this.kept.filter(
      (one, at) =>
        one.state === "due" &&
        (one.key === null || !this.kept.slice(0, at).some(({ key }) => key === one.key)),
    );
  }

  private async claim(limit: number, store: PubSubStore): Promise<void> {
    const allowed = this.claimable();
    const claims = await store.claim(CHANNEL, limit, HOUR_MS);
    expect(claims.length).toBe(Math.min(limit, allowed.length));
    for (const claim of claims) {
      const message = allowed.find(({ body }) => body === claim.body);
      expect(message, claim.body).toBeDefined();
      Object.assign(message as Kept, { state: "claimed", attempt: (message as Kept).attempt + 1 });
      expect(claim.attempt).toBe(message?.attempt);
      this.held.push({ claim, message: message as Kept });
    }
  }

  private async end(how: "ack" | "bury" | "later" | "again", pick: number): Promise<void> {
    const [store] = stores as [PubSubStore];
    const [one] = this.held.splice(pick % Math.max(1, this.held.length), 1);
    if (!one) return;
    const { claim, message } = one;
    if (how === "ack") await store.acknowledge([claim]);
    else if (how === "bury") await store.bury(claim, "no");
    else await store.retry([claim], [how === "later" ? HOUR_MS : 0]);
    if (how === "bury") this.dead++;
    if (how === "ack" || how === "bury") this.kept = this.kept.filter((kept) => kept !== message);
    else message.state = how === "later" ? "later" : "due";
  }

  /** In the end everything is there, and comes out in order. */
  private async rest(): Promise<void> {
    const [store] = stores as [PubSubStore];
    for (const { claim } of this.held) await store.retry([claim], [0]);
    await sql`update delivery set due_at = now()`;
    for (const message of this.kept) message.state = "due";
    while (this.kept.length > 0) {
      this.held = [];
      await this.claim(4, store);
      expect(this.held.length).toBeGreaterThan(0);
      await store.acknowledge(this.held.map(({ claim }) => claim));
      const over = new Set(this.held.map(({ message }) => message));
      this.kept = this.kept.filter((one) => !over.has(one));
    }
    expect([...(await sql`select from delivery`)]).toEqual([]);
    expect([...(await sql`select from dead_letter`)]).toHaveLength(this.dead);
  }
}

describe("the store", () => {
  it("does as its rules say, whatever happens in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(steps, (list) => new Run().all(list)),
      { numRuns: 60 },
    );
  });
});
