import { db } from "./db";

/** What one step of the sweep lets go; the next one comes soon. */
const MAX_AT_ONCE = 500;
/** A page of the API. */
const MAX_LIST = 10_000;

/** A route that forwards to the repl's home. */
export interface Tombstone {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
  readonly to: string;
  /** When it was last pointed at a home. */
  readonly since: Date;
  /** Requests that it has forwarded. */
  readonly hits: number;
  readonly lastHitAt: Date | null;
  /** When it may go, if nobody uses it until then. */
  readonly goesAt: Date;
}

/** How long tombstones stay. */
export interface TombstoneAges {
  readonly minAgeMs: number;
  /** Since the last use. */
  readonly quietMs: number;
}

export async function tombstones(
  clusterId: string,
  { minAgeMs, quietMs }: TombstoneAges,
): Promise<Tombstone[]> {
  return await db.queryAll<Tombstone>`
    SELECT r.repl_id AS "replId", r.name, r.owner, r.generation, r.peer_cluster AS "to",
      r.changed_at AS since, coalesce(h.hits, 0) AS hits, h.last_hit AS "lastHitAt",
      greatest(r.changed_at + ${minAgeMs}::bigint * interval '1 millisecond',
        greatest(r.changed_at, h.last_hit) + ${quietMs}::bigint * interval '1 millisecond')
        AS "goesAt"
    FROM route AS r
    LEFT JOIN tombstone_hit AS h ON h.cluster_id = r.cluster_id AND h.repl_id = r.repl_id
    WHERE r.cluster_id = ${clusterId} AND r.state = 'tombstone'
    ORDER BY r.changed_at DESC LIMIT ${MAX_LIST}`;
}

/** Those that nobody has used for long enough. */
export async function quietTombstones(
  clusterId: string,
  { minAgeMs, quietMs }: TombstoneAges,
): Promise<{ replId: string; generation: number }[]> {
  return await db.queryAll<{ replId: string; generation: number }>`
    SELECT r.repl_id AS "replId", r.generation
    FROM route AS r
    LEFT JOIN tombstone_hit AS h ON h.cluster_id = r.cluster_id AND h.repl_id = r.repl_id
    WHERE r.cluster_id = ${clusterId} AND r.state = 'tombstone'
      AND r.changed_at < now() - ${minAgeMs}::bigint * interval '1 millisecond'
      AND greatest(r.changed_at, h.last_hit) < now() - ${quietMs}::bigint * interval '1 millisecond'
    ORDER BY r.changed_at LIMIT ${MAX_AT_ONCE}`;
}

/** Of repls that have no tombstone here any more. */
export async function forgetHits(clusterId: string): Promise<void> {
  await db.exec`
    DELETE FROM tombstone_hit AS h
    WHERE h.cluster_id = ${clusterId} AND NOT EXISTS (SELECT FROM route AS r
      WHERE r.cluster_id = h.cluster_id AND r.repl_id = h.repl_id AND r.state = 'tombstone')`;
}
