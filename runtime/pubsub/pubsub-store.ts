import type postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";
import { openClient } from "../sql/sql-client";

/** A message on its way to one subscription. */
export interface Claim {
  readonly id: string;
  readonly messageId: string;
  readonly publishedAt: Date;
  readonly body: string;
  readonly attributes: Record<string, string>;
  /** From 1. */
  readonly attempt: number;
}

/** A subscription by its physical names. */
export interface Channel {
  readonly topic: string;
  readonly subscription: string;
}

/** The NOTIFY channel; its payload is the topic. */
export const NOTIFY_CHANNEL = "stele_delivery";

/** First number of the advisory lock that a living process holds; the second is its own. */
const PRESENCE_LOCK = 1_937_007_980;

/** Claims, acknowledgements and publishing share these. */
const CONNECTIONS = 4;

/** A subscription that nobody has served for so long is forgotten with its messages. */
const FORGET_AFTER = "7 days";
const DEAD_LETTER_KEPT = "30 days";

const SCHEMA = `
create table if not exists subscription (
  topic text not null,
  name text not null,
  served_at timestamptz not null default now(),
  primary key (topic, name)
);
create table if not exists delivery (
  id bigint generated always as identity primary key,
  message_id uuid not null,
  topic text not null,
  subscription text not null,
  body text not null,
  attributes jsonb not null,
  published_at timestamptz not null default now(),
  attempt int not null default 0,
  due_at timestamptz not null default now(),
  claimed_by int
);
create index if not exists delivery_due on delivery (topic, subscription, due_at);
create table if not exists dead_letter (
  id bigint primary key,
  message_id uuid not null,
  topic text not null,
  subscription text not null,
  body text not null,
  attributes jsonb not null,
  published_at timestamptz not null,
  attempt int not null,
  reason text not null,
  died_at timestamptz not null default now()
);`;

/**
 * Messages in Postgres: one row for each subscription that a message goes to. A claim gives the row a
 * deadline and an owner; it is due again when the deadline has passed or the owner is gone.
 */
export class PubSubStore {
  private readonly sql: postgres.Sql;

  constructor(
    config: DatabaseConfig,
    private readonly owner: number,
  ) {
    this.sql = openClient(config, CONNECTIONS);
  }

  /** Creates the tables and makes the subscriptions known, so that messages are kept for them. */
  async prepare(channels: readonly Channel[]): Promise<void> {
    const { sql } = this;
    const [found] = await sql`select to_regclass('dead_letter') is not null as there`;
    if (!found?.["there"]) {
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

  /** Keeps a message for every subscription of the topic, and wakes who serves them. */
  async publish(
    topic: string,
    messageId: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.sql`
      with fan_out as (
        insert into delivery (message_id, topic, subscription, body, attributes)
        select ${messageId}::uuid, topic, name, ${body}::text, ${this.sql.json(attributes)}::jsonb
        from subscription where topic = ${topic}
      )
      select pg_notify(${NOTIFY_CHANNEL}, ${topic})`;
  }

  async claim(channel: Channel, limit: number, deadlineMs: number): Promise<Claim[]> {
    const { sql } = this;
    const rows = await sql`
      update delivery set attempt = attempt + 1, claimed_by = ${this.owner},
        due_at = now() + ${deadlineMs}::float8 * interval '1 ms'
      where id in (
        select id from delivery
        where topic = ${channel.topic} and subscription = ${channel.subscription}
          and due_at <= now()
        order by due_at, id limit ${limit} for update skip locked)
      returning id, message_id, published_at, body, attributes, attempt`;
    const claims = rows.map((row) => ({
      id: row["id"],
      messageId: row["message_id"],
      publishedAt: row["published_at"],
      body: row["body"],
      attributes: row["attributes"],
      attempt: row["attempt"],
    }));
    return claims.sort((a, b) => Number(a.id) - Number(b.id));
  }

  /** Milliseconds until the next message is due, or null when there is none. */
  async nextDueMs(channel: Channel): Promise<number | null> {
    const [row] = await this.sql`
      select (extract(epoch from min(due_at) - clock_timestamp()) * 1000)::float8 as ms
      from delivery where topic = ${channel.topic} and subscription = ${channel.subscription}`;
    return (row?.["ms"] as number | null | undefined) ?? null;
  }

  async acknowledge({ id, attempt }: Claim): Promise<void> {
    await this.sql`delete from delivery where id = ${id} and attempt = ${attempt}`;
  }

  /** Lets the message be claimed again after `delayMs`. */
  async retry({ id, attempt }: Claim, delayMs: number): Promise<void> {
    await this.sql`
      update delivery set claimed_by = null,
        due_at = now() + ${delayMs}::float8 * interval '1 ms'
      where id = ${id} and attempt = ${attempt}`;
  }

  /** Keeps a claim from running out while its handler works. */
  async extend({ id, attempt }: Claim, deadlineMs: number): Promise<void> {
    await this.sql`
      update delivery set due_at = now() + ${deadlineMs}::float8 * interval '1 ms'
      where id = ${id} and attempt = ${attempt} and claimed_by = ${this.owner}`;
  }

  async bury({ id, attempt }: Claim, reason: string): Promise<void> {
    await this.sql`
      with gone as (
        delete from delivery where id = ${id} and attempt = ${attempt} returning *
      )
      insert into dead_letter
        (id, message_id, topic, subscription, body, attributes, published_at, attempt, reason)
      select id, message_id, topic, subscription, body, attributes, published_at, attempt,
        ${reason}::text from gone`;
  }

  /** Makes due at once what processes had claimed that are gone: each living one holds a lock. */
  async releaseOrphans(): Promise<void> {
    await this.sql`
      with freed as (
        update delivery set claimed_by = null, due_at = now()
        where claimed_by is not null and claimed_by not in (
          select objid::bigint from pg_locks
          where locktype = 'advisory' and classid = ${PRESENCE_LOCK}::oid and objsubid = 2
            and granted and database = (
              select oid from pg_database where datname = current_database()))
        returning topic
      )
      select pg_notify(${NOTIFY_CHANNEL}, topic) from (select distinct topic from freed) as topics`;
  }

  /** Buries what is older than its subscription keeps messages. */
  async expire(channel: Channel, retentionMs: number): Promise<void> {
    await this.sql`
      with gone as (
        delete from delivery
        where topic = ${channel.topic} and subscription = ${channel.subscription}
          and claimed_by is null
          and published_at < now() - ${retentionMs}::float8 * interval '1 ms' returning *
      )
      insert into dead_letter
        (id, message_id, topic, subscription, body, attributes, published_at, attempt, reason)
      select id, message_id, topic, subscription, body, attributes, published_at, attempt,
        'not delivered within the retention' from gone`;
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
    await this.sql.end({ timeout: 1 });
  }

  /** The statements with which a connection says that the process lives, and listens. */
  get presence(): string {
    return (
      // Shared, so as not to wait for a lost connection of our own that the server still has.
      `select pg_advisory_lock_shared(${PRESENCE_LOCK}, ${this.owner}); listen ${NOTIFY_CHANNEL};`
    );
  }
}
