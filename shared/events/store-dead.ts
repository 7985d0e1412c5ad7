import { createHash } from "node:crypto";

import type { SQLDatabase } from "encore.dev/storage/sqldb";

/** Enough to see what is wrong. More is a fault that repeats itself, and the oldest say least of it. */
const MAX_DEAD = 200;
/** Of one payload; ours have some 300. What is longer is named, not kept. */
const MAX_PAYLOAD_CHARS = 16_384;

/** An event that no try can handle. */
export interface DeadEvent {
  /** The same for the same payload of the same subscription. */
  id: string;
  subscription: string;
  /** JSON; "" when it was too long to be kept. */
  payload: string;
  /** Why it cannot be handled, as the last try said. */
  error: string;
  /** How often it has come. */
  times: number;
  /** ISO 8601. */
  firstAt: string;
  lastAt: string;
}

export interface DeadEvents {
  /** Newest first. */
  items: DeadEvent[];
  /** How many were dropped, the oldest, since there were too many. */
  dropped: number;
}

/** Where a service keeps its dead events: `dead_event` and `dead_event_count` of its own database. */
export interface DeadEventStore {
  /** The same event again is counted. */
  put(subscription: string, payload: unknown, error: string): Promise<string>;
  list(): Promise<DeadEvents>;
  find(id: string): Promise<DeadEvent | null>;
  /** It was tried again. */
  setError(id: string, error: string): Promise<void>;
  remove(id: string): Promise<void>;
}

type Row = Omit<DeadEvent, "firstAt" | "lastAt"> & { firstAt: Date; lastAt: Date };

function toEvent(row: Row): DeadEvent {
  return { ...row, firstAt: row.firstAt.toISOString(), lastAt: row.lastAt.toISOString() };
}

function idOf(subscription: string, text: string): string {
  return createHash("sha256").update(`${subscription}\n${text}`).digest("hex").slice(0, 16);
}

export function deadEventStore(db: SQLDatabase): DeadEventStore {
  return {
    async put(subscription, payload, error) {
      const text = JSON.stringify(payload) ?? "null";
      const id = idOf(subscription, text);
      const kept = text.length > MAX_PAYLOAD_CHARS ? "" : text;
      await db.exec`
        INSERT INTO dead_event AS d (id, subscription, payload, error)
        VALUES (${id}, ${subscription}, ${kept}, ${error})
        ON CONFLICT (id) DO UPDATE SET times = d.times + 1, error = excluded.error,
          last_at = clock_timestamp()`;
      await db.exec`
        WITH gone AS (
          DELETE FROM dead_event WHERE id IN (
            SELECT id FROM dead_event ORDER BY last_at DESC, id OFFSET ${MAX_DEAD})
          RETURNING id)
        UPDATE dead_event_count SET dropped = dropped + (SELECT count(*) FROM gone)
        WHERE EXISTS (SELECT FROM gone)`;
      return id;
    },

    async list() {
      const rows = await db.queryAll<Row>`
        SELECT id, subscription, payload, error, times, first_at AS "firstAt", last_at AS "lastAt"
        FROM dead_event ORDER BY last_at DESC, id`;
      const count = await db.queryRow<{ dropped: number }>`SELECT dropped FROM dead_event_count`;
      return { items: rows.map(toEvent), dropped: count?.dropped ?? 0 };
    },

    async find(id) {
      const row = await db.queryRow<Row>`
        SELECT id, subscription, payload, error, times, first_at AS "firstAt", last_at AS "lastAt"
        FROM dead_event WHERE id = ${id}`;
      return row && toEvent(row);
    },

    async setError(id, error) {
      await db.exec`
        UPDATE dead_event SET error = ${error}, last_at = clock_timestamp() WHERE id = ${id}`;
    },

    async remove(id) {
      await db.exec`DELETE FROM dead_event WHERE id = ${id}`;
    },
  };
}
