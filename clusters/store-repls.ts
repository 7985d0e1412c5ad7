import type { Transaction } from "encore.dev/storage/sqldb";

import { choose } from "./core/choose";
import type { ClusterState } from "./core/cluster";
import { type DataMode, firstPlacement, type Policy } from "./core/placement";
import { db } from "./db";
import { newReplId } from "./repl-id";
import { append, inWriteTransaction } from "./store";
import { readCluster } from "./store-clusters";

/** A page of the API; there is no paging yet, and a list must end somewhere. */
const MAX_LIST = 10_000;

export interface ReplRow {
  id: string;
  name: string;
  owner: string;
  policy: Policy;
  dataMode: DataMode;
  clusterId: string;
  generation: number;
  createdAt: string;
}

interface NewRepl {
  name: string;
  owner: string;
  cluster: string | undefined;
  policy: Policy;
  /** Found out at each move when absent. */
  dataMode?: DataMode | undefined;
}

type Created =
  | { outcome: "created"; repl: ReplRow }
  | { outcome: "taken" }
  | { outcome: "no_cluster"; reason: string };

/** Creates a repl with its first placement, in `cluster` or in the one that is chosen. */
export async function createRepl(wanted: NewRepl): Promise<Created> {
  const { name, owner, cluster, policy, dataMode = "auto" } = wanted;
  return inWriteTransaction(async (tx): Promise<Created> => {
    const taken = await tx.queryRow`
      SELECT id FROM repl WHERE owner = ${owner} AND name = ${name}`;
    if (taken) return { outcome: "taken" };
    const home = cluster === undefined ? await chooseCluster(tx, owner) : await named(tx, cluster);
    if ("reason" in home) return { outcome: "no_cluster", reason: home.reason };
    const id = newReplId();
    const { clusterId, generation, nextGeneration } = firstPlacement(home.clusterId);
    const row = await tx.queryRow<{ createdAt: Date }>`
      INSERT INTO repl (id, name, owner, policy, data_mode)
      VALUES (${id}, ${name}, ${owner}, ${policy}, ${dataMode})
      RETURNING created_at AS "createdAt"`;
    await tx.exec`
      INSERT INTO placement (repl_id, cluster_id, generation, next_generation)
      VALUES (${id}, ${clusterId}, ${generation}, ${nextGeneration})`;
    await append(tx, { kind: "created", replId: id, name, owner, clusterId, generation });
    const createdAt = (row?.createdAt ?? new Date()).toISOString();
    return {
      outcome: "created",
      repl: { id, name, owner, policy, dataMode, clusterId, generation, createdAt },
    };
  });
}

type Home = { clusterId: string } | { reason: string };

async function chooseCluster(tx: Transaction, owner: string): Promise<Home> {
  const candidates = await tx.queryAll<{
    clusterId: string;
    state: ClusterState;
    repls: number;
    ownerRepls: number;
  }>`
    SELECT cluster.id AS "clusterId", cluster.state, count(repl.id) AS repls,
      count(repl.id) FILTER (WHERE repl.owner = ${owner}) AS "ownerRepls"
    FROM cluster
    LEFT JOIN placement ON placement.cluster_id = cluster.id
    LEFT JOIN repl ON repl.id = placement.repl_id
    GROUP BY cluster.id`;
  const { clusterId, reasons } = choose(candidates);
  if (clusterId !== undefined) return { clusterId };
  const why = reasons.length > 0 ? reasons.join(", ") : "there is none";
  return { reason: `no cluster takes new repls: ${why}` };
}

async function named(tx: Transaction, clusterId: string): Promise<Home> {
  const cluster = await readCluster(tx, clusterId);
  if (!cluster) return { reason: `there is no cluster "${clusterId}"` };
  if (cluster.state !== "active") return { reason: `cluster "${clusterId}" is ${cluster.state}` };
  return { clusterId };
}

type DatedReplRow = Omit<ReplRow, "createdAt"> & { createdAt: Date };

function toRepl(row: DatedReplRow): ReplRow {
  return { ...row, createdAt: row.createdAt.toISOString() };
}

/** All repls, or those of one owner. */
export async function listRepls(owner: string | null): Promise<ReplRow[]> {
  const rows = await db.queryAll<DatedReplRow>`
    SELECT id, name, owner, policy, data_mode AS "dataMode", cluster_id AS "clusterId", generation,
      created_at AS "createdAt"
    FROM repl JOIN placement ON repl_id = id
    WHERE ${owner}::text IS NULL OR owner = ${owner}
    ORDER BY owner, name LIMIT ${MAX_LIST}`;
  return rows.map(toRepl);
}

export async function findRepl(id: string): Promise<ReplRow | null> {
  const row = await db.queryRow<DatedReplRow>`
    SELECT id, name, owner, policy, data_mode AS "dataMode", cluster_id AS "clusterId", generation,
      created_at AS "createdAt"
    FROM repl JOIN placement ON repl_id = id WHERE id = ${id}`;
  return row && toRepl(row);
}

export async function findReplByName(owner: string, name: string): Promise<ReplRow | null> {
  const row = await db.queryRow<DatedReplRow>`
    SELECT id, name, owner, policy, data_mode AS "dataMode", cluster_id AS "clusterId", generation,
      created_at AS "createdAt"
    FROM repl JOIN placement ON repl_id = id WHERE owner = ${owner} AND name = ${name}`;
  return row && toRepl(row);
}

interface LookupKey {
  replId: string | undefined;
  name: string | undefined;
  owner: string | undefined;
  hostname: string | undefined;
}

/** By whichever of id, owner and name, or hostname is given. */
export async function lookup({
  replId,
  name,
  owner,
  hostname,
}: LookupKey): Promise<ReplRow | null> {
  if (replId) return findRepl(replId);
  if (name && owner) return findReplByName(owner, name);
  if (!hostname) return null;
  const row = await db.queryRow<{ replId: string }>`
    SELECT repl_id AS "replId" FROM hostname WHERE hostname = ${hostname}`;
  return row && findRepl(row.replId);
}

/** What is absent stays as it is. */
export async function setRepl(
  replId: string,
  { policy, dataMode }: { policy: Policy | undefined; dataMode: DataMode | undefined },
): Promise<void> {
  await db.exec`
    UPDATE repl SET policy = COALESCE(${policy}, policy), data_mode = COALESCE(${dataMode}, data_mode)
    WHERE id = ${replId}`;
}

/** Answers why it cannot be deleted, or undefined when it was. */
export async function deleteRepl(replId: string): Promise<string | undefined> {
  return inWriteTransaction(async (tx) => {
    const repl = await tx.queryRow<{
      name: string;
      owner: string;
      clusterId: string;
      nextGeneration: number;
    }>`
      SELECT name, owner, cluster_id AS "clusterId", next_generation AS "nextGeneration"
      FROM repl JOIN placement ON repl_id = id WHERE id = ${replId}`;
    if (!repl) return "not_found";
    const openMigrationId = await findOpenMigration(tx, replId);
    if (openMigrationId) return `migration ${openMigrationId} is open`;
    const { name, owner, clusterId, nextGeneration } = repl;
    await tx.exec`DELETE FROM repl WHERE id = ${replId}`;
    await append(tx, {
      kind: "deleted",
      replId,
      name,
      owner,
      clusterId,
      generation: nextGeneration,
    });
    return undefined;
  });
}

interface HostnameChange {
  hostname: string;
  replId: string;
  present: boolean;
}

/** Writes a log entry only when something changes, so that it may be repeated. */
export async function setHostname({
  hostname,
  replId,
  present,
}: HostnameChange): Promise<"unknown_repl" | "taken" | undefined> {
  return inWriteTransaction(async (tx) => {
    const existing = await tx.queryRow<{ replId: string }>`
      SELECT repl_id AS "replId" FROM hostname WHERE hostname = ${hostname}`;
    const isOurs = existing?.replId === replId;
    if (!present) {
      if (!isOurs) return undefined;
      await tx.exec`DELETE FROM hostname WHERE hostname = ${hostname}`;
    } else {
      if (isOurs) return undefined;
      if (existing) return "taken";
      const repl = await tx.queryRow`SELECT id FROM repl WHERE id = ${replId}`;
      if (!repl) return "unknown_repl";
      await tx.exec`INSERT INTO hostname (hostname, repl_id) VALUES (${hostname}, ${replId})`;
    }
    await append(tx, { kind: "hostname", replId, hostname, present });
    return undefined;
  });
}

/** The migration of a repl that is not decided yet, if any. */
export async function findOpenMigration(
  tx: Transaction,
  replId: string,
): Promise<string | undefined> {
  const row = await tx.queryRow<{ migrationId: string }>`
    SELECT migration_id AS "migrationId" FROM migration_decision
    WHERE repl_id = ${replId} AND status = 'open'`;
  return row?.migrationId;
}
