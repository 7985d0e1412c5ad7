/** The end of zones. Their rows stay, so that readers hear of it and a zone made anew has a later serial. */
import { inTransaction, nextRevision, type Refusal } from "./store";

/** Records of another zone that lead to hosts by name. */
export interface PointerRow {
  readonly zone: string;
  readonly name: string;
  readonly type: number;
  readonly values: string[];
}

/** Beyond this many one more would change no judgement. */
const MAX_POINTERS = 1_000;

/**
 * Take a zone away with all that it holds, unless `judge` knows a reason against it, given what leads
 * to names at or below it from elsewhere. The revision to wait for.
 */
export async function deleteZone(
  zone: string,
  judge: (pointers: readonly PointerRow[]) => Refusal | undefined,
): Promise<Refusal | number> {
  return inTransaction(async (tx) => {
    const revision = await nextRevision(tx);
    const known = await tx.queryRow`SELECT name FROM served_zone WHERE name = ${zone}`;
    if (!known) return { code: "not_found", reason: `no zone "${zone}"` };
    const below = `.${zone}`;
    const pointers = await tx.queryAll<PointerRow>`
      SELECT zone, name, type, record AS "values" FROM rrset
      WHERE zone <> ${zone} AND type IN (2, 15, 33) AND (
        (type = 2 AND name = ${zone} AND cardinality(record) > 0)
        OR EXISTS (SELECT 1 FROM unnest(record) AS value WHERE lower(value) = ${zone}
          OR right(lower(value), ${below.length}) IN (${below}, ${` ${zone}`})))
      ORDER BY zone, name, type LIMIT ${MAX_POINTERS}`;
    const refused = judge(pointers);
    if (refused) return refused;
    await tx.exec`
      UPDATE rrset SET record = '{}', ttl = 0, revision = ${revision}
      WHERE zone = ${zone} AND cardinality(record) > 0`;
    await tx.exec`
      UPDATE challenge SET gone = true, revision = ${revision} WHERE zone = ${zone} AND NOT gone`;
    await tx.exec`DELETE FROM secondary WHERE zone = ${zone}`;
    await tx.exec`UPDATE zone SET revision = ${revision} WHERE name = ${zone}`;
    return revision;
  });
}
