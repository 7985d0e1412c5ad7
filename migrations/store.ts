import type { Migration, MigrationStep, Mode, Phase } from "./core/migration";
import { db } from "./db";

/** A coordinator that does not renew within this time is replaced (design section 4). */
export const LEASE_SECONDS = 2;
/** One page of the API. */
const MAX_LIST = 200;

/** A migration as the coordinator works on it. */
export interface MigrationRow {
  id: string;
  replId: string;
  name: string;
  owner: string;
  from: string;
  to: string;
  requestedMode: Mode | null;
  mode: Mode | null;
  cut: boolean;
  phase: Phase;
  attempts: number;
  reason: string | null;
  abortRequested: boolean;
  fromGeneration: number | null;
  generation: number | null;
  frozenAt: Date | null;
  /** How long a freeze may last; null for the design's deadline. */
  freezeMs: number | null;
  seq: number | null;
  traceparent: string;
  /** The evacuation that it is a move of. */
  evacuationId: string | null;
  /** It was worked on before, so its decision may have been made already. */
  resumed: boolean;
}

interface NewMigration {
  id: string;
  replId: string;
  name: string;
  owner: string;
  from: string;
  to: string;
  mode: Mode | null;
  cut: boolean;
  traceparent: string;
}

/** False when another migration of the repl is open. */
export async function insert(migration: NewMigration): Promise<boolean> {
  const { id, replId, name, owner, from, to, mode, cut, traceparent } = migration;
  const row = await db.queryRow`
    INSERT INTO migration (id, repl_id, name, owner, from_cluster, to_cluster, requested_mode, cut,
      traceparent)
    VALUES (${id}, ${replId}, ${name}, ${owner}, ${from}, ${to}, ${mode}, ${cut}, ${traceparent})
    ON CONFLICT (repl_id) WHERE phase NOT IN ('draining', 'cleaning', 'completed', 'rolled_back')
    DO NOTHING
    RETURNING id`;
  return row !== null;
}

/** The migration of a repl that keeps another from being started. */
export async function findOpen(replId: string): Promise<{ id: string } | null> {
  return db.queryRow<{ id: string }>`
    SELECT id FROM migration
    WHERE repl_id = ${replId}
      AND phase NOT IN ('draining', 'cleaning', 'completed', 'rolled_back')`;
}

/** The cluster that the repl left for the placement of that generation; null when no move made it. */
export async function findOrigin(replId: string, generation: number): Promise<string | null> {
  const row = await db.queryRow<{ from: string }>`
    SELECT from_cluster AS "from" FROM migration
    WHERE repl_id = ${replId} AND generation = ${generation} AND phase <> 'rolled_back'`;
  return row?.from ?? null;
}

interface ViewRow extends Omit<Migration, "steps" | "createdAt" | "committedAt" | "finishedAt"> {
  steps: MigrationStep[] | null;
  createdAt: Date;
  committedAt: Date | null;
  finishedAt: Date | null;
}

function toView(row: ViewRow): Migration {
  return {
    ...row,
    steps: (row.steps ?? []).map((step) => ({ ...step, at: new Date(step.at).toISOString() })),
    createdAt: row.createdAt.toISOString(),
    committedAt: row.committedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
  };
}

export async function find(id: string): Promise<Migration | null> {
  const row = await db.queryRow<ViewRow>`
    SELECT id, repl_id AS "replId", from_cluster AS "from", to_cluster AS "to", mode, phase,
      generation, reason, cut, left_out AS "leftOut", hold_ms AS "holdMs", created_at AS "createdAt",
      committed_at AS "committedAt", finished_at AS "finishedAt",
      CASE WHEN phase IN ('completed', 'rolled_back') THEN phase ELSE 'open' END AS outcome,
      (SELECT jsonb_agg(jsonb_build_object('phase', phase, 'at', at, 'ms', ms) ORDER BY n)
        FROM migration_step WHERE migration_id = id) AS steps
    FROM migration WHERE id = ${id}`;
  return row && toView(row);
}

/** Newest first. `open`: true for those that are not finished, false for the others, null for all. */
export async function list(replId: string | null, open: boolean | null): Promise<Migration[]> {
  const rows = await db.queryAll<ViewRow>`
    SELECT id, repl_id AS "replId", from_cluster AS "from", to_cluster AS "to", mode, phase,
      generation, reason, cut, left_out AS "leftOut", hold_ms AS "holdMs", created_at AS "createdAt",
      committed_at AS "committedAt", finished_at AS "finishedAt",
      CASE WHEN phase IN ('completed', 'rolled_back') THEN phase ELSE 'open' END AS outcome,
      (SELECT jsonb_agg(jsonb_build_object('phase', phase, 'at', at, 'ms', ms) ORDER BY n)
        FROM migration_step WHERE migration_id = id) AS steps
    FROM migration
    WHERE (${replId}::text IS NULL OR repl_id = ${replId})
      AND (${open}::boolean IS NULL OR (finished_at IS NULL) = ${open})
    ORDER BY created_at DESC LIMIT ${MAX_LIST}`;
  return rows.map(toView);
}

/** Takes migrations that nobody works on, and holds them for `LEASE_SECONDS`. */
export async function claim(leaseOwner: string, limit: number): Promise<MigrationRow[]> {
  return db.queryAll<MigrationRow>`
    UPDATE migration SET lease_owner = ${leaseOwner},
      lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    FROM (
      SELECT id AS claimed_id, lease_owner IS NOT NULL AS resumed FROM migration
      WHERE finished_at IS NULL
        AND (lease_until IS NULL OR lease_until < clock_timestamp())
        AND (retry_at IS NULL OR retry_at < clock_timestamp())
      ORDER BY created_at LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    ) AS claimed
    WHERE id = claimed_id
    RETURNING id, repl_id AS "replId", name, owner, from_cluster AS "from", to_cluster AS "to",
      requested_mode AS "requestedMode", mode, cut, phase, attempts, reason,
      abort_requested AS "abortRequested", from_generation AS "fromGeneration", generation,
      frozen_at AS "frozenAt", freeze_ms AS "freezeMs", seq, traceparent, evacuation_id AS "evacuationId", resumed`;
}

export interface Held {
  id: string;
  abortRequested: boolean;
}

/** Renews every lease of `leaseOwner`; what is missing in the answer belongs to another now. */
export async function renew(leaseOwner: string): Promise<Held[]> {
  return db.queryAll<Held>`
    UPDATE migration
    SET lease_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    WHERE lease_owner = ${leaseOwner} AND finished_at IS NULL AND lease_until IS NOT NULL
    RETURNING id, abort_requested AS "abortRequested"`;
}

/** Gives a migration back, to be claimed not before `delayMs` from now. */
export async function release(id: string, leaseOwner: string, delayMs: number): Promise<void> {
  await db.exec`
    UPDATE migration SET lease_until = NULL,
      retry_at = clock_timestamp() + make_interval(secs => ${delayMs / 1000})
    WHERE id = ${id} AND lease_owner = ${leaseOwner}`;
}

/** What a step learned, to be kept with the phase that it leads to. Absent fields stay as they are. */
export interface Facts {
  mode?: Mode;
  from?: string;
  fromGeneration?: number;
  generation?: number;
  seq?: number | null;
  reason?: string;
  /** How long requests were held, in milliseconds. */
  holdMs?: number;
  /** How long its freeze may last, in milliseconds. */
  freezeMs?: number;
  /** What could not be moved. */
  leftOut?: string[];
  published?: boolean;
}

interface Advance {
  id: string;
  leaseOwner: string;
  from: Phase;
  to: Phase;
  facts: Facts;
}

/**
 * The reason for an abort is the first one, and goes when the commit was there before.
 * Compare and set: false when another coordinator has taken the migration over.
 */
export async function advance({ id, leaseOwner, from, to, facts }: Advance): Promise<boolean> {
  const row = await db.queryRow`
    WITH before AS (
      SELECT phase, phase_at FROM migration WHERE id = ${id}
    ), moved AS (
      UPDATE migration SET phase = ${to}, phase_at = clock_timestamp(), attempts = 0,
        retry_at = NULL,
        mode = COALESCE(${facts.mode}, mode),
        from_cluster = COALESCE(${facts.from}, from_cluster),
        from_generation = COALESCE(${facts.fromGeneration}, from_generation),
        generation = COALESCE(${facts.generation}, generation),
        seq = COALESCE(${facts.seq}, seq),
        reason = CASE WHEN ${to} <> 'switching' THEN COALESCE(reason, ${facts.reason}) END,
        hold_ms = COALESCE(hold_ms, ${facts.holdMs}),
        freeze_ms = COALESCE(${facts.freezeMs}, freeze_ms),
        left_out = COALESCE(${facts.leftOut}::text[], left_out),
        published_at = CASE WHEN ${facts.published ?? false} THEN clock_timestamp()
          ELSE published_at END,
        committed_at = CASE WHEN ${to} = 'switching' THEN clock_timestamp() ELSE committed_at END,
        finished_at = CASE WHEN ${to} IN ('completed', 'rolled_back') THEN clock_timestamp() END
      WHERE id = ${id} AND phase = ${from} AND lease_owner = ${leaseOwner}
      RETURNING id, phase_at
    )
    INSERT INTO migration_step (migration_id, n, phase, at, ms)
    SELECT moved.id, (SELECT count(*) FROM migration_step WHERE migration_id = moved.id),
      before.phase, before.phase_at,
      round((extract(epoch FROM moved.phase_at - before.phase_at) * 1000)::numeric, 3)
        ::double precision
    FROM moved, before
    RETURNING n`;
  return row !== null;
}

/** Another try of the same phase: the count of tries, and since when requests are held. */
export async function recordTry(
  id: string,
  leaseOwner: string,
  attempts: number,
  frozenAt: Date | null,
): Promise<boolean> {
  const row = await db.queryRow`
    UPDATE migration SET attempts = ${attempts}, frozen_at = ${frozenAt}
    WHERE id = ${id} AND lease_owner = ${leaseOwner} RETURNING id`;
  return row !== null;
}

export async function requestAbort(id: string): Promise<void> {
  await db.exec`
    UPDATE migration SET abort_requested = true, reason = COALESCE(reason, 'aborted on request')
    WHERE id = ${id} AND finished_at IS NULL`;
}

export interface Unpublished {
  id: string;
  replId: string;
  from: string;
  to: string;
  generation: number;
  seq: number;
  traceparent: string;
}

/** Committed moves whose event is not known to have been published for more than a second. */
export async function findUnpublished(limit: number): Promise<Unpublished[]> {
  return db.queryAll<Unpublished>`
    SELECT id, repl_id AS "replId", from_cluster AS "from", to_cluster AS "to", generation, seq,
      traceparent
    FROM migration
    WHERE committed_at < clock_timestamp() - interval '1 second' AND published_at IS NULL
      AND seq IS NOT NULL
    ORDER BY committed_at LIMIT ${limit}`;
}

export async function recordPublished(id: string): Promise<void> {
  await db.exec`
    UPDATE migration SET published_at = clock_timestamp()
    WHERE id = ${id} AND published_at IS NULL`;
}

/** Null when the database answers, or the reason why not. */
export async function whyUnready(): Promise<string | null> {
  await db.queryRow`SELECT 1 AS one`;
  return null;
}
