import { db } from "./db";

/** A registered cluster, in the order of registration. */
export interface KnownCluster {
  readonly id: string;
  /** From 0; the same in every cluster's database, since all read one log. */
  readonly ordinal: number;
  readonly apiUrl: string | null;
  readonly removed: boolean;
}

/** Whose cursor tells how far `known_cluster` has come: no cluster can have this name. */
export const REGISTRY = "*";

export async function knownClusters(): Promise<KnownCluster[]> {
  return await db.queryAll<KnownCluster>`
    SELECT cluster_id AS id, ordinal, api_url AS "apiUrl", removed
    FROM known_cluster ORDER BY ordinal`;
}

export async function setKnownCluster(
  id: string,
  apiUrl: string | null,
  removed: boolean,
): Promise<void> {
  await db.exec`
    INSERT INTO known_cluster (cluster_id, ordinal, api_url, removed)
    SELECT ${id}::text, coalesce(max(ordinal) + 1, 0), ${apiUrl}::text, ${removed}::boolean
    FROM known_cluster
    ON CONFLICT (cluster_id) DO UPDATE SET api_url = excluded.api_url,
      removed = excluded.removed`;
}

/** How far the placement log was applied for that cluster; 0 at first. */
export async function cursor(clusterId: string): Promise<number> {
  const row = await db.queryRow<{ seq: number }>`
    SELECT seq FROM log_cursor WHERE cluster_id = ${clusterId}`;
  return row?.seq ?? 0;
}

export async function setCursor(clusterId: string, seq: number): Promise<void> {
  await db.exec`
    INSERT INTO log_cursor (cluster_id, seq) VALUES (${clusterId}, ${seq})
    ON CONFLICT (cluster_id) DO UPDATE SET seq = greatest(log_cursor.seq, excluded.seq)`;
}
