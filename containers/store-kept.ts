import { db } from "./db";

/** Files of a repl that has moved away. */
export interface Kept {
  readonly replId: string;
  /** Of the folder. */
  readonly generation: number;
}

/** One of each repl: the newest. */
export async function kept(clusterId: string, replId: string): Promise<Kept | null> {
  return await db.queryRow<Kept>`
    SELECT repl_id AS "replId", generation FROM kept_files
    WHERE cluster_id = ${clusterId} AND repl_id = ${replId}`;
}

/** Again is no error: the time stays that of the first. */
export async function keep(
  clusterId: string,
  { replId, generation }: Kept,
  bytes: number,
): Promise<void> {
  await db.exec`
    INSERT INTO kept_files AS k (cluster_id, repl_id, generation, bytes)
    VALUES (${clusterId}, ${replId}, ${generation}, ${bytes})
    ON CONFLICT (cluster_id, repl_id) DO UPDATE SET generation = excluded.generation,
      bytes = excluded.bytes,
      kept_at = CASE WHEN k.generation = excluded.generation THEN k.kept_at ELSE now() END`;
}

/** Of that generation, or of all. A newer one may have taken its place. */
export async function forgetKept(
  clusterId: string,
  replId: string,
  generation: number | null = null,
): Promise<void> {
  await db.exec`
    DELETE FROM kept_files WHERE cluster_id = ${clusterId} AND repl_id = ${replId}
      AND (${generation}::bigint IS NULL OR generation = ${generation})`;
}

/** Those kept for longer than that, and the oldest beyond so many bytes. */
export async function overdue(
  clusterId: string,
  { keepMs, maxBytes }: { readonly keepMs: number; readonly maxBytes: number },
): Promise<Kept[]> {
  return await db.queryAll<Kept>`
    SELECT repl_id AS "replId", generation FROM (
      SELECT repl_id, generation, kept_at,
        sum(bytes) OVER (ORDER BY kept_at DESC, repl_id) AS total
      FROM kept_files WHERE cluster_id = ${clusterId}) AS k
    WHERE k.kept_at < now() - ${keepMs}::bigint * interval '1 millisecond'
      OR k.total > ${maxBytes}`;
}
