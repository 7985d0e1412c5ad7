import {
  BUDGET_WINDOW,
  type EvacuationState,
  type Failed,
  type Limits,
  MINUTE_MS,
} from "./core/evacuation";
import { db } from "./db";

/** Nobody waits for an evacuation as for a held request; and one look may take some seconds. */
export const LEASE_SECONDS = 10;
/** One page of the API. */
const MAX_LIST = 200;

/** An evacuation as it is worked on. */
export interface EvacuationRow extends Limits {
  id: string;
  clusterId: string;
  /** The only place to go to; null: chosen for each repl. */
  to: string | null;
  state: EvacuationState;
  reason: string | null;
  traceparent: string;
}

/** False when another evacuation of the cluster is open. */
export async function insert(
  evacuation: Omit<EvacuationRow, "state" | "reason">,
): Promise<boolean> {
  const { id, clusterId, to, maxConcurrent, perMinute, errorBudget, traceparent } = evacuation;
  const row = await db.queryRow`
    INSERT INTO evacuation (id, cluster_id, to_cluster, max_concurrent, per_minute, error_budget,
      traceparent)
    VALUES (${id}, ${clusterId}, ${to}, ${maxConcurrent}, ${perMinute}, ${errorBudget},
      ${traceparent})
    ON CONFLICT (cluster_id) WHERE finished_at IS NULL DO NOTHING
    RETURNING id`;
  return row !== null;
}

/** A repl whose last move in an evacuation failed. */
export interface FailedRow {
  replId: string;
  name: string;
  owner: string;
  failures: number;
  /** Of these, those since the evacuation was started or resumed. */
  lately: number;
  reason: string;
  at: string;
}

export interface ViewRow extends Limits {
  id: string;
  clusterId: string;
  to: string | null;
  state: EvacuationState;
  reason: string | null;
  remaining: number | null;
  /** Repls that were moved out, and how many of them in the last minute, or since it was resumed. */
  moved: number;
  movedLately: number;
  underWay: number;
  resumedAt: Date;
  createdAt: Date;
  finishedAt: Date | null;
}

interface Wanted {
  readonly id?: string;
  readonly clusterId?: string;
  readonly open?: boolean;
}

/** Newest first. */
export async function list({ id, clusterId, open }: Wanted): Promise<ViewRow[]> {
  return db.queryAll<ViewRow>`
    SELECT id, cluster_id AS "clusterId", to_cluster AS "to", state, reason, remaining,
      max_concurrent AS "maxConcurrent", per_minute AS "perMinute", error_budget AS "errorBudget",
      (SELECT count(DISTINCT repl_id) FROM migration
        WHERE evacuation_id = evacuation.id AND committed_at IS NOT NULL) AS moved,
      (SELECT count(DISTINCT repl_id) FROM migration WHERE evacuation_id = evacuation.id
        AND committed_at > greatest(resumed_at,
          clock_timestamp() - make_interval(secs => ${MINUTE_MS / 1000}))) AS "movedLately",
      (SELECT count(*) FROM migration
        WHERE evacuation_id = evacuation.id AND finished_at IS NULL) AS "underWay",
      resumed_at AS "resumedAt", created_at AS "createdAt", finished_at AS "finishedAt"
    FROM evacuation
    WHERE (${id ?? null}::uuid IS NULL OR id = ${id ?? null})
      AND (${clusterId ?? null}::text IS NULL OR cluster_id = ${clusterId ?? null})
      AND (${open ?? null}::boolean IS NULL OR (finished_at IS NULL) = ${open ?? null})
    ORDER BY created_at DESC LIMIT ${MAX_LIST}`;
}

/** The repls whose last move failed, by name. */
export async function listFailed(id: string): Promise<FailedRow[]> {
  const rows = await db.queryAll<Omit<FailedRow, "at"> & { at: Date }>`
    SELECT "replId", name, owner, failures, lately, reason, at FROM (
      SELECT DISTINCT ON (repl_id) repl_id AS "replId", name, owner, phase,
        count(*) FILTER (WHERE phase = 'rolled_back') OVER (PARTITION BY repl_id) AS failures,
        count(*) FILTER (WHERE phase = 'rolled_back' AND finished_at >= (
          SELECT resumed_at FROM evacuation WHERE id = ${id})) OVER (PARTITION BY repl_id) AS lately,
        COALESCE(reason, '') AS reason, COALESCE(finished_at, created_at) AS at
      FROM migration WHERE evacuation_id = ${id}
      ORDER BY repl_id, created_at DESC
    ) AS last
    WHERE phase = 'rolled_back' ORDER BY owner, name LIMIT ${MAX_LIST}`;
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

/** Compare and set: false when it was in none of `from`. Failures from before a resumption are forgiven. */
export async function setState(
  id: string,
  from: readonly EvacuationState[],
  to: EvacuationState,
): Promise<boolean> {
  const row = await db.queryRow`
    UPDATE evacuation SET state = ${to}, reason = NULL, lease_until = NULL,
      resumed_at = CASE WHEN ${to} = 'running' THEN clock_timestamp() ELSE resumed_at END,
      finished_at = CASE WHEN ${to} = 'cancelled' THEN clock_timestamp() END
    WHERE id = ${id} AND state = ANY(${[...from]}::text[])
    RETURNING id`;
  return row !== null;
}

/** Takes and keeps the open evacuations that no other process works on, for `LEASE_SECONDS`. */
export async function claim(leaseOwner: string): Promise<EvacuationRow[]> {
  return db.queryAll<EvacuationRow>`
    UPDATE evacuation SET lease_owner = ${leaseOwner},
      lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    WHERE finished_at IS NULL AND (lease_owner = ${leaseOwner} OR lease_until IS NULL
      OR lease_until < clock_timestamp())
    RETURNING id, cluster_id AS "clusterId", to_cluster AS "to", state, reason, traceparent,
      max_concurrent AS "maxConcurrent", per_minute AS "perMinute", error_budget AS "errorBudget"`;
}

/** Another process may go on at once. */
export async function release(leaseOwner: string): Promise<void> {
  await db.exec`UPDATE evacuation SET lease_until = NULL WHERE lease_owner = ${leaseOwner}`;
}

/** How the moves of an evacuation stand. */
export interface Progress {
  readonly failed: ReadonlyMap<string, Failed>;
  readonly failedLately: number;
  readonly underWay: number;
  readonly unsettled: number;
  readonly begunAtMs: readonly number[];
  /** By the clock of the database, as all times here. */
  readonly nowMs: number;
  /** Repls of which a migration is open, whoever began it. */
  readonly open: ReadonlySet<string>;
}

interface LastMove {
  replId: string;
  failures: number;
  failed: boolean;
  lastAt: Date;
}

/**
 * Failures since the evacuation was started or resumed. A repl that was busy, and one that could not
 * even begin to move, say nothing about the platform.
 */
export async function progress({ id, clusterId }: EvacuationRow): Promise<Progress> {
  const counts = await db.queryRow<{ underWay: number; unsettled: number; now: Date }>`
    SELECT count(*) FILTER (WHERE evacuation_id = ${id} AND committed_at IS NULL) AS "underWay",
      count(*) FILTER (WHERE ${clusterId} IN (from_cluster, to_cluster)) AS unsettled,
      clock_timestamp() AS now
    FROM migration WHERE finished_at IS NULL`;
  const begun = await db.queryAll<{ at: Date }>`
    SELECT created_at AS at FROM migration WHERE evacuation_id = ${id}
      AND created_at > clock_timestamp() - make_interval(secs => ${MINUTE_MS / 1000})`;
  const open = await db.queryAll<{ replId: string }>`
    SELECT repl_id AS "replId" FROM migration
    WHERE finished_at IS NULL AND committed_at IS NULL`;
  const last = await db.queryAll<LastMove>`
    SELECT repl_id AS "replId", max(finished_at) AS "lastAt",
      count(*) FILTER (WHERE phase = 'rolled_back') AS failures,
      (array_agg(phase = 'rolled_back' AND reason IS DISTINCT FROM 'busy'
        AND generation IS NOT NULL ORDER BY finished_at DESC))[1] AS failed
    FROM migration
    WHERE evacuation_id = ${id} AND finished_at >= (
      SELECT resumed_at FROM evacuation WHERE id = ${id})
    GROUP BY repl_id ORDER BY "lastAt" DESC`;
  return {
    underWay: counts?.underWay ?? 0,
    unsettled: counts?.unsettled ?? 0,
    nowMs: counts?.now.getTime() ?? 0,
    begunAtMs: begun.map(({ at }) => at.getTime()),
    open: new Set(open.map(({ replId }) => replId)),
    failedLately: last.slice(0, BUDGET_WINDOW).filter(({ failed }) => failed).length,
    failed: new Map(
      last
        .filter(({ failures }) => failures > 0)
        .map(({ replId, failures, lastAt }) => [replId, { failures, lastAtMs: lastAt.getTime() }]),
    ),
  };
}

/** A migration that an evacuation begins. */
export interface NewMove {
  readonly id: string;
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly to: string;
  readonly traceparent: string;
}

/**
 * Begins moves, if this process still works on the evacuation: the row's lock orders this against a
 * pause, a cancellation and the claim of another process. Answers how many; one that moves already is none.
 */
export async function begin(
  { id, clusterId }: EvacuationRow,
  leaseOwner: string,
  moves: readonly NewMove[],
): Promise<number> {
  const tx = await db.begin();
  try {
    const held = await tx.queryRow`
      SELECT id FROM evacuation
      WHERE id = ${id} AND state = 'running' AND lease_owner = ${leaseOwner} FOR UPDATE`;
    let begun = 0;
    for (const move of held ? moves : []) {
      const row = await tx.queryRow`
        INSERT INTO migration (id, repl_id, name, owner, from_cluster, to_cluster, traceparent,
          evacuation_id)
        VALUES (${move.id}, ${move.replId}, ${move.name}, ${move.owner}, ${clusterId}, ${move.to},
          ${move.traceparent}, ${id})
        ON CONFLICT (repl_id)
          WHERE phase NOT IN ('draining', 'cleaning', 'completed', 'rolled_back') DO NOTHING
        RETURNING id`;
      if (row) begun += 1;
    }
    await tx.commit();
    return begun;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

export interface Note {
  readonly state: EvacuationState;
  readonly reason: string | null;
  readonly remaining: number;
}

/** What a look came to, if this process still works on the evacuation, and nobody has changed it since. */
export async function note(row: EvacuationRow, leaseOwner: string, seen: Note): Promise<void> {
  const isOver = seen.state === "done" || seen.state === "incomplete";
  await db.exec`
    UPDATE evacuation SET state = ${seen.state}, reason = ${seen.reason},
      remaining = ${seen.remaining},
      finished_at = CASE WHEN ${isOver}::boolean THEN clock_timestamp() END
    WHERE id = ${row.id} AND state = ${row.state} AND lease_owner = ${leaseOwner}`;
}
