import { db } from "./db";

/** A registered cluster, in the order of registration. */
export interface KnownCluster {
  readonly id: string;
  /** From 0; the same in every cluster's database, since all read one log. */
  readonly ordinal: number;
  readonly apiUrl: string | null;
  /** Pinned in the registry; null for one without an API of its own. */
  readonly publicKey: string | null;
  readonly removed: boolean;
}

/** Whose cursor tells how far `known_cluster` has come: no cluster can have this name. */
export const REGISTRY = "*";

export async function knownClusters(): Promise<KnownCluster[]> {
  return await db.queryAll<KnownCluster>`
    SELECT cluster_id AS id, ordinal, api_url AS "apiUrl", public_key AS "publicKey", removed
    FROM known_cluster ORDER BY ordinal`;
}

export async function setKnownCluster({
  id,
  apiUrl,
  publicKey,
  removed,
}: Omit<KnownCluster, "ordinal">): Promise<void> {
  await db.exec`
    INSERT INTO known_cluster (cluster_id, ordinal, api_url, public_key, removed)
    SELECT ${id}::text, coalesce(max(ordinal) + 1, 0), ${apiUrl}::text, ${publicKey}::text,
      ${removed}::boolean
    FROM known_cluster
    ON CONFLICT (cluster_id) DO UPDATE SET api_url = excluded.api_url,
      public_key = excluded.public_key, removed = excluded.removed`;
}

/** Null until the placement log was read once. */
export async function controlKey(): Promise<string | null> {
  const row = await db.queryRow<{ publicKey: string }>`
    SELECT public_key AS "publicKey" FROM control_key`;
  return row?.publicKey ?? null;
}

export async function setControlKey(publicKey: string): Promise<void> {
  await db.exec`
    INSERT INTO control_key (public_key) VALUES (${publicKey})
    ON CONFLICT (the_one) DO UPDATE SET public_key = excluded.public_key, learned_at = now()`;
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
