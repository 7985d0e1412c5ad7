import type { Transaction } from "encore.dev/storage/sqldb";

import type { LogEntry, LogKind } from "./core/placement";
import { db } from "./db";

/** The string that a LISTEN connection of our own needs. */
export function connectionString(): string {
  return db.connectionString;
}

/** Null when the database answers, or the reason why not. */
export async function whyUnready(): Promise<string | null> {
  await db.queryRow`SELECT 1 AS one`;
  return null;
}

/**
 * Every transaction that writes takes this lock first and holds it to its end. So log entries become
 * visible in the order of their `seq`, and writers cannot lock each other's rows crosswise. Writes
 * are rare (a repl created or moved) and take a few milliseconds.
 */
export async function inWriteTransaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  const tx = await db.begin();
  try {
    await tx.exec`SELECT pg_advisory_xact_lock(hashtext('placement_log'))::text AS locked`;
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

type NewEntry = { kind: LogKind } & Partial<Omit<LogEntry, "seq" | "kind" | "at">>;

/** Appends to the log and wakes its readers when the transaction commits. */
export async function append(tx: Transaction, entry: NewEntry): Promise<number> {
  const row = await tx.queryRow<{ seq: number }>`
    WITH entry AS (
      INSERT INTO placement_log (kind, repl_id, name, owner, cluster_id, from_cluster_id,
        generation, migration_id, cluster, hostname, present, traceparent)
      VALUES (${entry.kind}, ${entry.replId}, ${entry.name}, ${entry.owner}, ${entry.clusterId},
        ${entry.fromClusterId}, ${entry.generation}, ${entry.migrationId}::uuid,
        NULLIF(${entry.cluster ?? null}::jsonb, 'null'::jsonb), ${entry.hostname},
        ${entry.present}, ${entry.traceparent ?? ""})
      RETURNING seq
    )
    SELECT seq, pg_notify('placement_log', seq::text)::text AS notified FROM entry`;
  if (!row) throw new Error(`Cannot append "${entry.kind}" to the placement log: no row came back`);
  return row.seq;
}

/** Entries with `seq > after`, in order. */
export async function readLog(after: number, limit: number): Promise<LogEntry[]> {
  const rows = await db.queryAll<Omit<LogEntry, "at"> & { at: Date }>`
    SELECT seq, kind, repl_id AS "replId", name, owner, cluster_id AS "clusterId",
      from_cluster_id AS "fromClusterId", generation, migration_id AS "migrationId", cluster,
      hostname, present, at, traceparent
    FROM placement_log WHERE seq > ${after} ORDER BY seq LIMIT ${limit}`;
  return rows.map((row) => ({
    ...row,
    // Entries from before there were keys have none.
    cluster: row.cluster && { ...row.cluster, publicKey: row.cluster.publicKey ?? null },
    at: row.at.toISOString(),
  }));
}
