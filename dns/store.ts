import type { Transaction } from "encore.dev/storage/sqldb";

import type { Change } from "./core/catalog";
import type { Challenge, Challenges } from "./core/challenge";
import { TYPE } from "./core/codes";
import type { Row } from "./core/draft";
import { db } from "./db";

/** A page of the API; there is no paging yet, and a list must end somewhere. */
const MAX_LIST = 10_000;
/** Tells other instances, and our own, that zones changed. */
export const CHANNEL = "dns_changed";

/** The string that a LISTEN connection of our own needs. */
export function connectionString(): string {
  return db.connectionString;
}

/** Why a write was not made: the text is for the caller. */
export interface Refusal {
  readonly code: "invalid" | "not_found" | "taken";
  readonly reason: string;
}

export async function inTransaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  const tx = await db.begin();
  try {
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

/** Takes the next revision, and the turn: the next writer waits until this one commits. */
export async function nextRevision(tx: Transaction): Promise<number> {
  const row = await tx.queryRow<{ revision: number }>`
    UPDATE zone_clock SET revision = revision + 1 RETURNING revision`;
  await tx.exec`SELECT pg_notify(${CHANNEL}, ${""})::text AS notified`;
  return row!.revision;
}

// Zones and their data.

export interface ZoneSeed {
  readonly zone: string;
  readonly rrsets: readonly Row[];
}

/**
 * Make a zone with its first records; one that exists stays as it is. One that was there before goes
 * on with its serial. The revision to wait for.
 */
export async function putZone({ zone, rrsets }: ZoneSeed): Promise<number> {
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    const made = await tx.queryRow`
      INSERT INTO zone (name, base, revision)
      VALUES (${zone}, extract(epoch FROM now())::bigint, ${revision})
      ON CONFLICT (name) DO UPDATE SET revision = excluded.revision
      WHERE zone.name NOT IN (SELECT name FROM served_zone) RETURNING name`;
    if (made) await writeRows(tx, { zone, rows: rrsets, revision });
    return revision;
  });
}

export async function zoneExists(zone: string): Promise<boolean> {
  return (await db.queryRow`SELECT name FROM served_zone WHERE name = ${zone}`) !== null;
}

export interface RrsetKey {
  readonly zone: string;
  readonly name: string;
  readonly type: number;
}

export interface RrsetRow extends RrsetKey {
  readonly ttl: number;
  readonly values: string[];
}

/** What a change of a zone must see to be judged. */
export interface Scope {
  /** Names whose records are read; all of the zone when absent. */
  readonly names?: readonly string[];
  /** Also all NS, MX and SRV records: something that they may lead to goes away. */
  readonly withPointers?: boolean;
  /** A zone that is missing is made by the change, if it changes anything. */
  readonly mayMake?: boolean;
}

/** A zone as it stays until the change is written. */
export interface ZoneState {
  readonly rows: readonly Row[];
  /** DNS-01 values at the names in scope. */
  readonly challenges: readonly Challenge[];
  readonly base: number;
  /** The serial counts the placement log too. */
  readonly countsMoves: boolean;
  /** Of the last change; null for a zone that is not there yet. */
  readonly lastRevision: number | null;
  /** The revision that the change gets if it changes anything. */
  readonly revision: number;
}

export interface ZoneChange {
  /** RRsets to write; without values: to take away. */
  readonly rows: readonly Row[];
  /** DNS-01 values that come and go with it. */
  readonly challenges?: ReturnType<Challenges["changes"]>;
  /** Another base of the serial. */
  readonly base?: number;
}

/** Write what `decide` makes of a zone, or nothing when it refuses. The revision to wait for. */
export async function changeZone(
  zone: string,
  scope: Scope,
  decide: (state: ZoneState) => Refusal | ZoneChange,
): Promise<Refusal | number> {
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    const state = await readState(tx, { zone, scope, revision });
    if (!state) return { code: "not_found" as const, reason: `no zone "${zone}"` };
    const decided = decide(state);
    if ("code" in decided) return decided;
    const base = decided.base ?? state.base;
    const { put, gone } = decided.challenges ?? NO_CHALLENGES;
    const isSame = decided.rows.length + put.length + gone.length === 0 && base === state.base;
    if (isSame) return revision;
    const countsMoves = state.countsMoves || hasAlias(decided.rows);
    await tx.exec`
      INSERT INTO zone (name, base, revision, counts_moves)
      VALUES (${zone}, ${base}, ${revision}, ${countsMoves})
      ON CONFLICT (name) DO UPDATE SET base = excluded.base, revision = excluded.revision,
        counts_moves = excluded.counts_moves`;
    await writeRows(tx, { zone, rows: decided.rows, revision });
    await writeChallenges(tx, { zone, revision, put, gone });
    return revision;
  });
}

/** From the first ALIAS on, moves of apps are changes of the zone. */
export const hasAlias = (rows: readonly Row[]): boolean =>
  rows.some(({ type, values }) => type === TYPE.ALIAS && values.length > 0);

const NO_CHALLENGES = { put: [], gone: [] };

/** Clients that speak RFC 2136 clean up after themselves; this is for those that did not. */
const UPDATED_CHALLENGE_HOURS = 24;

interface ChallengeChanges {
  readonly zone: string;
  readonly revision: number;
  readonly put: readonly Challenge[];
  readonly gone: readonly Challenge[];
}

async function writeChallenges(
  tx: Transaction,
  { zone, revision, put, gone }: ChallengeChanges,
): Promise<void> {
  if (gone.length > 0) {
    await tx.exec`
      UPDATE challenge SET gone = true, revision = ${revision}
      FROM jsonb_to_recordset(${JSON.stringify(gone)}::text::jsonb) AS old (name text, value text)
      WHERE challenge.name = old.name AND challenge.value = old.value`;
  }
  if (put.length === 0) return;
  await tx.exec`
    INSERT INTO challenge (zone, name, value, expires_at, revision)
    SELECT ${zone}, name, value, now() + make_interval(hours => ${UPDATED_CHALLENGE_HOURS}), ${revision}
    FROM jsonb_to_recordset(${JSON.stringify(put)}::text::jsonb) AS fresh (name text, value text)
    ON CONFLICT (name, value) DO UPDATE
    SET expires_at = excluded.expires_at, gone = false, revision = excluded.revision`;
}

interface ZoneHead {
  readonly base: number;
  readonly countsMoves: boolean;
}

interface StateRequest {
  readonly zone: string;
  readonly scope: Scope;
  readonly revision: number;
}

async function readState(
  tx: Transaction,
  { zone, scope, revision }: StateRequest,
): Promise<ZoneState | undefined> {
  const known = await tx.queryRow<ZoneHead & { lastRevision: number; isGone: boolean }>`
    SELECT base, revision AS "lastRevision", counts_moves AS "countsMoves",
      NOT EXISTS (SELECT 1 FROM served_zone WHERE name = ${zone}) AS "isGone"
    FROM zone WHERE name = ${zone}`;
  if ((!known || known.isGone) && !scope.mayMake) return undefined;
  const fresh = { base: await freshBase(tx), countsMoves: false, lastRevision: null };
  const { base, countsMoves, lastRevision } = known ?? fresh;
  const isWhole = scope.names === undefined;
  const names = [...(scope.names ?? [])];
  const rows = await tx.queryAll<Row>`
    SELECT name, type, ttl, record AS "values" FROM rrset
    WHERE zone = ${zone} AND cardinality(record) > 0
      AND (${isWhole} OR name = ANY(${names})
        OR (${scope.withPointers ?? false} AND type IN (2, 15, 33)))`;
  const challenges = await tx.queryAll<Challenge>`
    SELECT name, value FROM challenge
    WHERE zone = ${zone} AND NOT gone AND (${isWhole} OR name = ANY(${names}))`;
  return { rows, challenges, base, countsMoves, lastRevision, revision };
}

/** The seconds of now, so that a zone that is made anew has a later serial than it had before. */
async function freshBase(tx: Transaction): Promise<number> {
  const row = await tx.queryRow<{ base: number }>`SELECT extract(epoch FROM now())::bigint AS base`;
  return row!.base;
}

/** Rows of one statement: some megabytes at most. */
const ROWS_A_STATEMENT = 500;

async function writeRows(
  tx: Transaction,
  { zone, rows, revision }: { zone: string; rows: readonly Row[]; revision: number },
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT) {
    const some = JSON.stringify(rows.slice(at, at + ROWS_A_STATEMENT));
    await tx.exec`
      INSERT INTO rrset (zone, name, type, ttl, record, revision)
      SELECT ${zone}, name, type, ttl, ARRAY(SELECT jsonb_array_elements_text("values")), ${revision}
      FROM jsonb_to_recordset(${some}::text::jsonb)
        AS fresh (name text, type int, ttl int, "values" jsonb)
      ON CONFLICT (zone, name, type)
      DO UPDATE SET ttl = excluded.ttl, record = excluded.record, revision = excluded.revision`;
  }
}

export async function findRrset({ zone, name, type }: RrsetKey): Promise<RrsetRow | null> {
  return db.queryRow<RrsetRow>`
    SELECT zone, name, type, ttl, record AS "values" FROM rrset
    WHERE zone = ${zone} AND name = ${name} AND type = ${type} AND cardinality(record) > 0`;
}

/** All records of a zone, and its counters, as of one moment; null when there is no such zone. */
export async function readZone(zone: string): Promise<ZoneData | null> {
  return db.queryRow<ZoneData>`
    SELECT base, revision, counts_moves AS "countsMoves", COALESCE((
      SELECT jsonb_agg(jsonb_build_object(
        'name', name, 'type', type, 'ttl', ttl, 'values', to_jsonb(record)))
      FROM rrset WHERE zone = ${zone} AND cardinality(record) > 0), '[]') AS rows
    FROM served_zone WHERE name = ${zone}`;
}

export interface ZoneData extends ZoneHead {
  readonly revision: number;
  readonly rows: readonly Row[];
}

export async function listRrsets(zone: string): Promise<RrsetRow[]> {
  return db.queryAll<RrsetRow>`
    SELECT zone, name, type, ttl, record AS "values" FROM rrset
    WHERE zone = ${zone} AND cardinality(record) > 0
    ORDER BY name, type LIMIT ${MAX_LIST}`;
}

// What instances read: changes of zones by revision.

interface ZoneRow {
  zone: string;
  base: number;
  revision: number;
  countsMoves: boolean;
}
type RrsetChangeRow = RrsetRow & { revision: number };
interface ChallengeChangeRow {
  zone: string;
  name: string;
  values: string[];
  revision: number;
}

/** Changes of zones after a revision, zones first; together they lead to `revision`. */
export async function changesAfter(
  after: number,
): Promise<{ changes: Change[]; revision: number }> {
  const tx = await db.begin();
  try {
    // One view of all three tables: a half-seen change would be skipped for ever.
    await tx.exec`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`;
    const clock = await tx.queryRow<{ revision: number }>`SELECT revision FROM zone_clock`;
    const zones = await tx.queryAll<ZoneRow>`
      SELECT name AS zone, base, revision, counts_moves AS "countsMoves"
      FROM zone WHERE revision > ${after}`;
    const rrsets = await tx.queryAll<RrsetChangeRow>`
      SELECT zone, name, type, ttl, record AS "values", revision FROM rrset
      WHERE revision > ${after} ORDER BY revision`;
    const challenges = await tx.queryAll<ChallengeChangeRow>`
      SELECT zone, name, max(revision) AS revision,
        COALESCE(array_agg(value ORDER BY value) FILTER (WHERE NOT gone), '{}') AS "values"
      FROM challenge
      WHERE name IN (SELECT name FROM challenge WHERE revision > ${after})
      GROUP BY zone, name`;
    const changes: Change[] = [
      ...zones.map((row) => ({ kind: "zone" as const, ...row })),
      ...rrsets.map((row) => ({ kind: "rrset" as const, ...row })),
      ...challenges.map((row) => ({ kind: "challenge" as const, ...row })),
    ];
    return { changes, revision: clock!.revision };
  } finally {
    await tx.rollback().catch(() => undefined);
  }
}
