/** DNS-01 values, each with its end. */
import type { Transaction } from "encore.dev/storage/sqldb";

import { faultOfCount } from "./core/challenge";
import { db } from "./db";
import { inTransaction, nextRevision, type Refusal } from "./store";

/** How long readers may be away and still hear that a challenge is gone. */
const GONE_KEPT_HOURS = 24;

export interface ChallengeRows {
  readonly zone: string;
  readonly name: string;
  /** Each once. */
  readonly values: readonly string[];
}

/** Add values for `ttlSeconds`; the others of the name stay. The revision to wait for. */
export async function putChallenge(
  { zone, name, values }: ChallengeRows,
  ttlSeconds: number,
): Promise<Refusal | number> {
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    const refusal = await challengeRefusal(tx, { zone, name, values });
    if (refusal) return refusal;
    await tx.exec`
      INSERT INTO challenge (zone, name, value, expires_at, revision)
      SELECT ${zone}, ${name}, value, now() + make_interval(secs => ${ttlSeconds}), ${revision}
      FROM unnest(${[...values]}::text[]) AS value
      ON CONFLICT (name, value) DO UPDATE
      SET expires_at = excluded.expires_at, gone = false, revision = excluded.revision`;
    await tx.exec`UPDATE zone SET revision = ${revision} WHERE name = ${zone}`;
    return revision;
  });
}

async function challengeRefusal(
  tx: Transaction,
  { zone, name, values }: ChallengeRows,
): Promise<Refusal | undefined> {
  const row = await tx.queryRow<{ alias: boolean; others: number }>`
    SELECT
      EXISTS (SELECT 1 FROM rrset WHERE zone = ${zone} AND name = ${name} AND type = 5
        AND cardinality(record) > 0) AS alias,
      (SELECT count(*) FROM challenge
        WHERE name = ${name} AND value <> ALL(${[...values]}) AND NOT gone) AS others`;
  if (row?.alias) {
    return { code: "invalid", reason: `"${name}" has a CNAME, which is alone (RFC 1034 3.6.2)` };
  }
  const reason = faultOfCount(name, (row?.others ?? 0) + values.length);
  return reason === undefined ? undefined : { code: "invalid", reason };
}

/** Take values away; those that are not there are no error. */
export async function deleteChallenge(name: string, values: readonly string[]): Promise<number> {
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    await tx.exec`
      WITH ended AS (
        UPDATE challenge SET gone = true, revision = ${revision}
        WHERE name = ${name} AND value = ANY(${[...values]}) AND NOT gone RETURNING zone)
      UPDATE zone SET revision = ${revision} FROM ended WHERE zone.name = ended.zone`;
    return revision;
  });
}

/** End what has expired. The revision to wait for, or undefined when nothing has. */
export async function expireChallenges(): Promise<number | undefined> {
  const due = await db.queryRow`
    SELECT 1 AS due FROM challenge WHERE expires_at < now() AND NOT gone LIMIT 1`;
  if (!due) return undefined;
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    await tx.exec`
      WITH ended AS (
        UPDATE challenge SET gone = true, revision = ${revision}
        WHERE expires_at < now() AND NOT gone RETURNING zone)
      UPDATE zone SET revision = ${revision} FROM ended WHERE zone.name = ended.zone`;
    await tx.exec`
      DELETE FROM challenge
      WHERE gone AND expires_at < now() - make_interval(hours => ${GONE_KEPT_HOURS})`;
    return revision;
  });
}
