import type { Transaction } from "encore.dev/storage/sqldb";

import { type ClusterRecord, isSameRegistration } from "./core/cluster";
import { db } from "./db";
import { append, inWriteTransaction } from "./store";

/** A page of the API; there is no paging yet, and a list must end somewhere. */
const MAX_LIST = 10_000;

type ClusterRow = Omit<ClusterRecord, "removed"> & { repls: number };

export async function listClusters(): Promise<ClusterRow[]> {
  return db.queryAll<ClusterRow>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl",
      public_key AS "publicKey", (SELECT count(*) FROM placement WHERE cluster_id = cluster.id) AS repls
    FROM cluster ORDER BY id LIMIT ${MAX_LIST}`;
}

export async function findCluster(id: string): Promise<ClusterRow | null> {
  return db.queryRow<ClusterRow>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl",
      public_key AS "publicKey", (SELECT count(*) FROM placement WHERE cluster_id = cluster.id) AS repls
    FROM cluster WHERE id = ${id}`;
}

/** A cluster, within a transaction that depends on it. */
export async function readCluster(tx: Transaction, id: string): Promise<ClusterRecord | null> {
  const row = await tx.queryRow<Omit<ClusterRecord, "removed">>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl",
      public_key AS "publicKey"
    FROM cluster WHERE id = ${id}`;
  return row && { ...row, removed: false };
}

/** False when a different cluster of that id exists. */
export async function addCluster(cluster: ClusterRecord): Promise<boolean> {
  return inWriteTransaction(async (tx) => {
    const existing = await readCluster(tx, cluster.id);
    if (existing) return isSameRegistration(existing, cluster);
    await tx.exec`
      INSERT INTO cluster (id, state, ingress, http_port, listen, api_url, public_key)
      VALUES (${cluster.id}, ${cluster.state}, ${cluster.ingress}, ${cluster.httpPort},
        ${cluster.listen}, ${cluster.apiUrl}, ${cluster.publicKey})`;
    await append(tx, { kind: "cluster", clusterId: cluster.id, cluster });
    return true;
  });
}

/** Replaces a cluster by what `change` makes of it, unless it finds a fault; answers the fault. */
export async function changeCluster(
  id: string,
  change: (cluster: ClusterRecord) => { changed: ClusterRecord; fault: string | undefined },
): Promise<string | undefined> {
  return inWriteTransaction(async (tx) => {
    const existing = await readCluster(tx, id);
    if (!existing) return "not_found";
    const { changed, fault } = change(existing);
    if (fault) return fault;
    await tx.exec`
      UPDATE cluster SET state = ${changed.state}, ingress = ${changed.ingress},
        listen = ${changed.listen}, public_key = ${changed.publicKey} WHERE id = ${id}`;
    await append(tx, { kind: "cluster", clusterId: id, cluster: changed });
    return undefined;
  });
}

/** Answers why it cannot be removed, or undefined when it was. */
export async function removeCluster(id: string): Promise<string | undefined> {
  return inWriteTransaction(async (tx) => {
    const existing = await readCluster(tx, id);
    if (!existing) return "not_found";
    const use = await tx.queryRow<{ repls: number; moves: number }>`
      SELECT (SELECT count(*) FROM placement WHERE cluster_id = ${id}) AS repls,
        (SELECT count(*) FROM migration_decision
          WHERE status = 'open' AND ${id} IN (from_cluster, to_cluster)) AS moves`;
    if (use && use.repls > 0)
      return `${use.repls === 1 ? "a repl lives" : `${use.repls} repls live`} there`;
    if (use && use.moves > 0) return "a migration from or to it is open";
    await tx.exec`DELETE FROM cluster WHERE id = ${id}`;
    await append(tx, {
      kind: "cluster",
      clusterId: id,
      cluster: { ...existing, removed: true },
    });
    return undefined;
  });
}
