import type { Transaction } from "encore.dev/storage/sqldb";

import { choose } from "./core/choose";
import { type ClusterRecord, type ClusterState, isSameRegistration } from "./core/cluster";
import { decide as judge, type Decision, type DecisionStatus } from "./core/decision";
import {
  commit,
  firstPlacement,
  type LogEntry,
  type LogKind,
  open,
  type Policy,
} from "./core/placement";
import { db } from "./db";
import { newReplId } from "./repl-id";

/** A page of the API; there is no paging yet, and a list must end somewhere. */
const MAX_LIST = 10_000;

type ClusterRow = Omit<ClusterRecord, "removed"> & { repls: number };

export interface ReplRow {
  id: string;
  name: string;
  owner: string;
  policy: Policy;
  clusterId: string;
  generation: number;
  createdAt: string;
}

/** The string that a LISTEN connection of our own needs. */
export function connectionString(): string {
  return db.connectionString;
}

/** Null when the database answers, or the reason why not. */
export async function whyUnready(): Promise<string | null> {
  await db.queryRow`SELECT 1 AS one`;
  return null;
}

/**
 * Every transaction that writes takes this lock first and holds it to its end. So log entries become
 * visible in the order of their `seq`, and writers cannot lock each other's rows crosswise. Writes
 * are rare (a repl created or moved) and take a few milliseconds.
 */
async function inWriteTransaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  const tx = await db.begin();
  try {
    await tx.exec`SELECT pg_advisory_xact_lock(hashtext('placement_log'))::text AS locked`;
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

type NewEntry = { kind: LogKind } & Partial<Omit<LogEntry, "seq" | "kind" | "at">>;

/** Appends to the log and wakes its readers when the transaction commits. */
async function append(tx: Transaction, entry: NewEntry): Promise<number> {
  const row = await tx.queryRow<{ seq: number }>`
    WITH entry AS (
      INSERT INTO placement_log (kind, repl_id, name, owner, cluster_id, from_cluster_id,
        generation, migration_id, cluster, hostname, present, traceparent)
      VALUES (${entry.kind}, ${entry.replId}, ${entry.name}, ${entry.owner}, ${entry.clusterId},
        ${entry.fromClusterId}, ${entry.generation}, ${entry.migrationId}::uuid,
        NULLIF(${entry.cluster ?? null}::jsonb, 'null'::jsonb), ${entry.hostname},
        ${entry.present}, ${entry.traceparent ?? ""})
      RETURNING seq
    )
    SELECT seq, pg_notify('placement_log', seq::text)::text AS notified FROM entry`;
  if (!row) throw new Error(`Cannot append "${entry.kind}" to the placement log: no row came back`);
  return row.seq;
}

/** Entries with `seq > after`, in order. */
export async function readLog(after: number, limit: number): Promise<LogEntry[]> {
  const rows = await db.queryAll<Omit<LogEntry, "at"> & { at: Date }>`
    SELECT seq, kind, repl_id AS "replId", name, owner, cluster_id AS "clusterId",
      from_cluster_id AS "fromClusterId", generation, migration_id AS "migrationId", cluster,
      hostname, present, at, traceparent
    FROM placement_log WHERE seq > ${after} ORDER BY seq LIMIT ${limit}`;
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

// --- clusters ---

export async function listClusters(): Promise<ClusterRow[]> {
  return db.queryAll<ClusterRow>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl",
      (SELECT count(*) FROM placement WHERE cluster_id = cluster.id) AS repls
    FROM cluster ORDER BY id LIMIT ${MAX_LIST}`;
}

export async function findCluster(id: string): Promise<ClusterRow | null> {
  return db.queryRow<ClusterRow>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl",
      (SELECT count(*) FROM placement WHERE cluster_id = cluster.id) AS repls
    FROM cluster WHERE id = ${id}`;
}

async function readCluster(tx: Transaction, id: string): Promise<ClusterRecord | null> {
  const row = await tx.queryRow<Omit<ClusterRecord, "removed">>`
    SELECT id, state, ingress, http_port AS "httpPort", listen, api_url AS "apiUrl"
    FROM cluster WHERE id = ${id}`;
  return row && { ...row, removed: false };
}

/** False when a different cluster of that id exists. */
export async function addCluster(cluster: ClusterRecord): Promise<boolean> {
  return inWriteTransaction(async (tx) => {
    const existing = await readCluster(tx, cluster.id);
    if (existing) return isSameRegistration(existing, cluster);
    await tx.exec`
      INSERT INTO cluster (id, state, ingress, http_port, listen, api_url)
      VALUES (${cluster.id}, ${cluster.state}, ${cluster.ingress}, ${cluster.httpPort},
        ${cluster.listen}, ${cluster.apiUrl})`;
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
        listen = ${changed.listen} WHERE id = ${id}`;
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
    if (use && use.repls > 0) return `${use.repls} repls live there`;
    if (use && use.moves > 0) return `${use.moves} migrations are on their way there`;
    await tx.exec`DELETE FROM cluster WHERE id = ${id}`;
    await append(tx, {
      kind: "cluster",
      clusterId: id,
      cluster: { ...existing, removed: true },
    });
    return undefined;
  });
}

// --- repls ---

interface NewRepl {
  name: string;
  owner: string;
  cluster: string | undefined;
  policy: Policy;
}

type Created =
  | { outcome: "created"; repl: ReplRow }
  | { outcome: "taken" }
  | { outcome: "no_cluster"; reason: string };

/** Creates a repl with its first placement, in `cluster` or in the one that is chosen. */
export async function createRepl({ name, owner, cluster, policy }: NewRepl): Promise<Created> {
  return inWriteTransaction(async (tx): Promise<Created> => {
    const taken = await tx.queryRow`
      SELECT id FROM repl WHERE owner = ${owner} AND name = ${name}`;
    if (taken) return { outcome: "taken" };
    const home = cluster === undefined ? await chooseCluster(tx, owner) : await named(tx, cluster);
    if ("reason" in home) return { outcome: "no_cluster", reason: home.reason };
    const id = newReplId();
    const { clusterId, generation, nextGeneration } = firstPlacement(home.clusterId);
    const row = await tx.queryRow<{ createdAt: Date }>`
      INSERT INTO repl (id, name, owner, policy) VALUES (${id}, ${name}, ${owner}, ${policy})
      RETURNING created_at AS "createdAt"`;
    await tx.exec`
      INSERT INTO placement (repl_id, cluster_id, generation, next_generation)
      VALUES (${id}, ${clusterId}, ${generation}, ${nextGeneration})`;
    await append(tx, { kind: "created", replId: id, name, owner, clusterId, generation });
    const createdAt = (row?.createdAt ?? new Date()).toISOString();
    return {
      outcome: "created",
      repl: { id, name, owner, policy, clusterId, generation, createdAt },
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
    SELECT id, name, owner, policy, cluster_id AS "clusterId", generation,
      created_at AS "createdAt"
    FROM repl JOIN placement ON repl_id = id
    WHERE ${owner}::text IS NULL OR owner = ${owner}
    ORDER BY owner, name LIMIT ${MAX_LIST}`;
  return rows.map(toRepl);
}

export async function findRepl(id: string): Promise<ReplRow | null> {
  const row = await db.queryRow<DatedReplRow>`
    SELECT id, name, owner, policy, cluster_id AS "clusterId", generation,
      created_at AS "createdAt"
    FROM repl JOIN placement ON repl_id = id WHERE id = ${id}`;
  return row && toRepl(row);
}

export async function findReplByName(owner: string, name: string): Promise<ReplRow | null> {
  const row = await db.queryRow<DatedReplRow>`
    SELECT id, name, owner, policy, cluster_id AS "clusterId", generation,
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

export async function setPolicy(replId: string, policy: Policy): Promise<void> {
  await db.exec`UPDATE repl SET policy = ${policy} WHERE id = ${replId}`;
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

// --- migrations ---

export interface OpenedMigration {
  replId: string;
  name: string;
  owner: string;
  policy: Policy;
  fromCluster: string;
  fromGeneration: number;
  generation: number;
}

interface OpenMigration {
  migrationId: string;
  replId: string;
  toCluster: string;
}

type OpenOutcome =
  | { migration: OpenedMigration }
  | { refused: "unknown_repl" | "precondition"; reason: string };

/** Opens a migration once: repeated, it answers the same, and burns no second generation. */
export async function openMigration(request: OpenMigration): Promise<OpenOutcome> {
  const { migrationId, replId, toCluster } = request;
  return inWriteTransaction(async (tx): Promise<OpenOutcome> => {
    const known = await findOpened(tx, migrationId);
    if (known) return known;
    const repl = await tx.queryRow<{
      name: string;
      owner: string;
      policy: Policy;
      clusterId: string;
      generation: number;
      nextGeneration: number;
    }>`
      SELECT name, owner, policy, cluster_id AS "clusterId", generation,
        next_generation AS "nextGeneration"
      FROM repl JOIN placement ON repl_id = id WHERE id = ${replId}`;
    if (!repl) return { refused: "unknown_repl", reason: "there is no such repl" };
    const opened = open(repl, {
      toCluster,
      toState: (await readCluster(tx, toCluster))?.state,
      openMigrationId: await findOpenMigration(tx, replId),
    });
    if ("reason" in opened) return { refused: "precondition", reason: opened.reason };
    const { name, owner, policy, clusterId: fromCluster } = repl;
    const { generation, fromGeneration } = opened;
    await tx.exec`
      UPDATE placement SET next_generation = ${opened.placement.nextGeneration}, updated_at = now()
      WHERE repl_id = ${replId}`;
    await tx.exec`
      INSERT INTO migration_decision (migration_id, status, repl_id, name, owner, policy,
        from_cluster, to_cluster, from_generation, generation)
      VALUES (${migrationId}, 'open', ${replId}, ${name}, ${owner}, ${policy}, ${fromCluster},
        ${toCluster}, ${fromGeneration}, ${generation})`;
    return {
      migration: { replId, name, owner, policy, fromCluster, fromGeneration, generation },
    };
  });
}

async function findOpened(tx: Transaction, migrationId: string): Promise<OpenOutcome | null> {
  const row = await tx.queryRow<OpenedMigration & { status: DecisionStatus }>`
    SELECT status, repl_id AS "replId", name, owner, policy, from_cluster AS "fromCluster",
      from_generation AS "fromGeneration", generation
    FROM migration_decision WHERE migration_id = ${migrationId}`;
  if (!row) return null;
  const { status, ...migration } = row;
  if (status === "aborted") {
    return { refused: "precondition", reason: `migration ${migrationId} was aborted` };
  }
  return { migration };
}

async function findOpenMigration(tx: Transaction, replId: string): Promise<string | undefined> {
  const row = await tx.queryRow<{ migrationId: string }>`
    SELECT migration_id AS "migrationId" FROM migration_decision
    WHERE repl_id = ${replId} AND status = 'open'`;
  return row?.migrationId;
}

interface Decide {
  migrationId: string;
  decision: Decision;
  notAfter: string | undefined;
  traceparent: string;
}

interface DecisionRow {
  status: DecisionStatus;
  expired: boolean;
  replId: string;
  name: string;
  owner: string;
  fromCluster: string;
  toCluster: string;
  fromGeneration: number;
  generation: number;
  seq: number | null;
}

export interface Decided {
  status: Decision;
  seq: number | null;
}

/**
 * Decides a migration, or answers how it was decided; null for the commit of one that never opened.
 * The lock that every writer holds makes the row, the placement and the log entry one step. The
 * time is read under that lock, since a commit may have waited for it.
 */
export async function decide(command: Decide): Promise<Decided | null> {
  const { migrationId, decision, notAfter } = command;
  return inWriteTransaction(async (tx) => {
    const row = await tx.queryRow<DecisionRow>`
      SELECT status, COALESCE(clock_timestamp() > ${notAfter ?? null}::timestamptz, false) AS expired,
        repl_id AS "replId", name, owner, from_cluster AS "fromCluster",
        to_cluster AS "toCluster", from_generation AS "fromGeneration", generation, seq
      FROM migration_decision WHERE migration_id = ${migrationId}`;
    const expired = row?.expired ?? false;
    const verdict = judge(row?.status ?? "unknown", { decision, expired });
    switch (verdict.kind) {
      case "stands":
        return { status: verdict.status, seq: row?.seq ?? null };
      case "refuse":
        return null;
      case "abort":
        await writeAbort(tx, migrationId);
        return { status: "aborted", seq: null };
      case "commit":
        return row && writeCommit(tx, row, command);
    }
  });
}

async function writeAbort(tx: Transaction, migrationId: string): Promise<void> {
  await tx.exec`
    INSERT INTO migration_decision (migration_id, status, decided_at)
    VALUES (${migrationId}, 'aborted', clock_timestamp())
    ON CONFLICT (migration_id) DO UPDATE SET status = 'aborted', decided_at = clock_timestamp()`;
}

async function writeCommit(tx: Transaction, row: DecisionRow, command: Decide): Promise<Decided> {
  const { replId, name, owner, fromCluster, toCluster, generation } = row;
  const { migrationId, traceparent } = command;
  const placement = await tx.queryRow<{
    clusterId: string;
    generation: number;
    nextGeneration: number;
  }>`
    SELECT cluster_id AS "clusterId", generation, next_generation AS "nextGeneration"
    FROM placement WHERE repl_id = ${replId}`;
  const moved = placement && commit(placement, row);
  if (!moved) {
    throw new Error(
      `Cannot commit migration ${migrationId}: repl "${replId}" is no longer in "${fromCluster}" ` +
        `at generation ${row.fromGeneration}`,
    );
  }
  await tx.exec`
    UPDATE placement SET cluster_id = ${moved.clusterId}, generation = ${moved.generation},
      updated_at = clock_timestamp() WHERE repl_id = ${replId}`;
  const seq = await append(tx, {
    kind: "moved",
    replId,
    name,
    owner,
    clusterId: toCluster,
    fromClusterId: fromCluster,
    generation,
    migrationId,
    traceparent,
  });
  await tx.exec`
    UPDATE migration_decision SET status = 'committed', seq = ${seq}, decided_at = clock_timestamp()
    WHERE migration_id = ${migrationId} AND status = 'open'`;
  return { status: "committed", seq };
}

export interface FoundDecision {
  status: DecisionStatus;
  seq: number | null;
  generation: number;
}

export async function findDecision(migrationId: string): Promise<FoundDecision> {
  const row = await db.queryRow<{
    status: DecisionStatus;
    seq: number | null;
    generation: number | null;
  }>`
    SELECT status, seq, generation FROM migration_decision WHERE migration_id = ${migrationId}`;
  return {
    status: row?.status ?? "unknown",
    seq: row?.seq ?? null,
    generation: row?.generation ?? 0,
  };
}
