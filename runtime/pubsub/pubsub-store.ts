import type postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";
import { openClient } from "../sql/sql-client";
import { arrayLiteral } from "../sql/sql-parameters";
import { NOTIFY_CHANNEL, SCHEMA, SCHEMA_VERSION } from "./pubsub-schema";

/** A message as it is kept. */
export interface Message {
  readonly id: string;
  /** JSON. */
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Messages with the same key are delivered one after the other; null: in any order. */
  readonly orderingKey: string | null;
}

/** A message on its way to one subscription. */
export interface Claim {
  readonly id: string;
  readonly messageId: string;
  readonly publishedAt: Date;
  readonly body: string;
  readonly attributes: Record<string, string>;
  /** From 1. */
  readonly attempt: number;
  readonly isOrdered: boolean;
}

/** A subscription by its physical names. */
export interface Channel {
  readonly topic: string;
  readonly subscription: string;
}

/** First number of the advisory lock that a living process holds; the second is its own. */
const PRESENCE_LOCK = 1_937_007_980;

/** Each topic and subscription has one write at a time under way: these are for several of them. */
const CONNECTIONS = 4;

/** A subscription that nobody has served for so long is forgotten with its messages. */
const FORGET_AFTER = "7 days";
const DEAD_LETTER_KEPT = "30 days";

/** Rows that one look at the retention takes. */
const EXPIRE_MAX = 1_000;

/**
 * Messages in Postgres: one row for each subscription that a message goes to. A claim gives the row a
 * deadline and an owner; it is due again when the deadline has passed or the owner is gone.
 */
export class PubSubStore {
  private readonly sql: postgres.Sql;
  /** For claims and their ends: were the last of them lost, messages would come again. */
  private readonly hasty: postgres.Sql;

  constructor(
    config: DatabaseConfig,
    private readonly owner: number,
  ) {
    // The table's size changes faster than its statistics: it is not to be read as a whole.
    this.sql = openClient(config, CONNECTIONS, { enable_seqscan: "off" });
    this.hasty = openClient(config, CONNECTIONS, {
      enable_seqscan: "off",
      synchronous_commit: "off",
    });
  }

  /** Creates the tables and makes the subscriptions known, so that messages are kept for them. */
  async prepare(channels: readonly Channel[]): Promise<void> {
    const { sql } = this;
    const [found] =
      await sql`select obj_description(to_regclass('delivery'), 'pg_class') as version`;
    if (found?.["version"] !== SCHEMA_VERSION) {
      // Two processes that create the tables at once would collide in the catalog. Statements in
      // one message are one transaction.
      const lock = `select pg_advisory_xact_lock(${PRESENCE_LOCK}::bigint)`;
      await sql.unsafe(`${lock}; ${SCHEMA}`);
    }
    await this.serve(channels);
  }

  /** Says that these subscriptions are served. */
  async serve(channels: readonly Channel[]): Promise<void> {
    if (channels.length === 0) return;
    await this.sql`
      insert into subscription (topic, name)
      select topic, subscription
      from jsonb_to_recordset(${this.sql.json(channels.map((channel) => ({ ...channel })))}::jsonb)
        as served (topic text, subscription text)
      on conflict (topic, name) do update set served_at = now()`;
  }

  /** Keeps messages for every subscription of the topic, and wakes who serves them. */
  async publish(topic: string, messages: readonly Message[]): Promise<void> {
    await this.sql`
      select publish(${topic}::text,
        ${arrayLiteral(messages.map(({ id }) => id))}::uuid[],
        ${arrayLiteral(messages.map(({ body }) => body))}::text[],
        ${arrayLiteral(messages.map(({ attributes }) => JSON.stringify(attributes)))}::text[],
        ${arrayLiteral(messages.map(({ orderingKey }) => orderingKey))}::text[])`;
  }

  async claim(channel: Channel, limit: number, deadlineMs: number): Promise<Claim[]> {
    const rows = await this.hasty`
      update delivery set attempt = attempt + 1, claimed_by = ${this.owner},
        due_at = now() + ${deadlineMs}::float8 * interval '1 ms'
      where id in (
        select id from delivery
        where topic = ${channel.topic} and subscription = ${channel.subscription}
          and not blocked and due_at <= now()
        order by due_at, id limit ${limit} for update skip locked)
      returning id, message_id, published_at, body, attributes, attempt, ordering_key`;
    const claims = rows.map((row) => ({
      id: row["id"],
      messageId: row["message_id"],
      publishedAt: row["published_at"],
      body: row["body"],
      attributes: JSON.parse(row["attributes"]),
      attempt: row["attempt"],
      isOrdered: row["ordering_key"] !== null,
    }));
    return claims.sort((a, b) => Number(a.id) - Number(b.id));
  }

  /** Milliseconds until the next message is due, or null when there is none. */
  async nextDueMs(channel: Channel): Promise<number | null> {
    const [row] = await this.hasty`
      select (extract(epoch from min(due_at) - clock_timestamp()) * 1000)::float8 as ms
      from delivery where topic = ${channel.topic} and subscription = ${channel.subscription}
        and not blocked`;
    return (row?.["ms"] as number | null | undefined) ?? null;
  }

  async acknowledge(claims: readonly Claim[]): Promise<void> {
    const { hasty } = this;
    const [ids, attempts] = keysOf(claims);
    if (claims.some(({ isOrdered }) => isOrdered)) {
      await hasty`select from settle(${ids}::bigint[], ${attempts}::int[])`;
      return;
    }
    await hasty`
      delete from delivery d using unnest(${ids}::bigint[], ${attempts}::int[]) as s(id, attempt)
      where d.id = s.id and d.attempt = s.attempt`;
  }

  /** Lets messages be claimed again, each after its delay. */
  async retry(claims: readonly Claim[], delaysMs: readonly number[]): Promise<void> {
    const [ids, attempts] = keysOf(claims);
    await this.hasty`
      update delivery d set claimed_by = null, due_at = now() + s.delay * interval '1 ms'
      from unnest(${ids}::bigint[], ${attempts}::int[], ${arrayLiteral(delaysMs)}::float8[])
        as s(id, attempt, delay)
      where d.id = s.id and d.attempt = s.attempt`;
  }

  /** Keeps claims from running out while their handlers work. Never waits for those that just end. */
  async extend(claims: readonly Claim[], deadlineMs: number): Promise<void> {
    const [ids, attempts] = keysOf(claims);
    await this.hasty`
      update delivery set due_at = now() + ${deadlineMs}::float8 * interval '1 ms'
      where id in (
        select d.id from delivery d
        join unnest(${ids}::bigint[], ${attempts}::int[]) as s(id, attempt)
          on d.id = s.id and d.attempt = s.attempt
        where d.claimed_by = ${this.owner} for update of d skip locked)`;
  }

  async bury({ id, attempt }: Claim, reason: string): Promise<void> {
    await this.hasty`
      insert into dead_letter (id, message_id, topic, subscription, body, attributes,
        published_at, ordering_key, attempt, reason)
      select id, message_id, topic, subscription, body, attributes,
        published_at, ordering_key, attempt, ${reason}::text
      from settle(array[${id}::bigint], array[${attempt}::int])`;
  }

  /** Makes due at once what processes had claimed that are gone: each living one holds a lock. */
  async releaseOrphans(): Promise<void> {
    await this.sql`
      with freed as (
        update delivery set claimed_by = null, due_at = now()
        where id in (
          select d.id from subscription s
          join delivery d on d.topic = s.topic and d.subscription = s.name
            and not d.blocked and d.due_at > now()
          where d.claimed_by is not null and d.claimed_by not in (
            select objid::bigint from pg_locks
            where locktype = 'advisory' and classid = ${PRESENCE_LOCK}::oid and objsubid = 2
              and granted and database = (
                select oid from pg_database where datname = current_database()))
          for update of d skip locked)
        returning topic
      )
      select pg_notify(${NOTIFY_CHANNEL}, topic) from (select distinct topic from freed) as topics`;
  }

  /** Buries what is older than its subscription keeps messages. */
  async expire(channel: Channel, retentionMs: number): Promise<void> {
    await this.sql`
      with old as (
        select id, attempt from delivery
        where topic = ${channel.topic} and subscription = ${channel.subscription}
          and claimed_by is null
          and kept_from < now() - ${retentionMs}::float8 * interval '1 ms'
        order by id limit ${EXPIRE_MAX} for update skip locked
      )
      insert into dead_letter (id, message_id, topic, subscription, body, attributes,
        published_at, ordering_key, attempt, reason)
      select g.id, g.message_id, g.topic, g.subscription, g.body, g.attributes,
        g.published_at, g.ordering_key, g.attempt, 'not delivered within the retention'
      from (select array_agg(id) as ids, array_agg(attempt) as attempts from old) as o,
        settle(o.ids, o.attempts) as g`;
  }

  async forget(): Promise<void> {
    const { sql } = this;
    await sql`
      with gone as (
        delete from subscription where served_at < now() - ${FORGET_AFTER}::interval returning *
      )
      delete from delivery d using gone where d.topic = gone.topic and d.subscription = gone.name`;
    await sql`delete from dead_letter where died_at < now() - ${DEAD_LETTER_KEPT}::interval`;
  }

  async close(): Promise<void> {
    await Promise.all([this.sql.end({ timeout: 1 }), this.hasty.end({ timeout: 1 })]);
  }

  /** The statements with which a connection says that the process lives, and listens. */
  get presence(): string {
    return (
      // Shared, so as not to wait for a lost connection of our own that the server still has.
      `select pg_advisory_lock_shared(${PRESENCE_LOCK}, ${this.owner}); listen ${NOTIFY_CHANNEL};`
    );
  }
}

function keysOf(claims: readonly Claim[]): [string, string] {
  return [
    arrayLiteral(claims.map(({ id }) => id)),
    arrayLiteral(claims.map(({ attempt }) => attempt)),
  ];
}
