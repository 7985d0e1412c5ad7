import type { Transaction } from "encore.dev/storage/sqldb";

import { failpoint } from "../shared/failpoint";
import { decide as judge, type Decision, type DecisionStatus } from "./core/decision";
import { commit, type DataMode, open, type Policy, policyOf } from "./core/placement";
import { db } from "./db";
import { append, inWriteTransaction } from "./store";
import { readCluster } from "./store-clusters";
import { findOpenMigration } from "./store-repls";

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
  /** Only from there; wherever it lives when absent. */
  fromCluster?: string | undefined;
}

type OpenOutcome =
  | { migration: OpenedMigration }
  | { refused: "unknown_repl" | "precondition"; reason: string };

/** Opens a migration once: repeated, it answers the same, and burns no second generation. */
export async function openMigration(request: OpenMigration): Promise<OpenOutcome> {
  const { migrationId, replId, toCluster, fromCluster: onlyFrom } = request;
  return inWriteTransaction(async (tx): Promise<OpenOutcome> => {
    const known = await findOpened(tx, migrationId);
    if (known) return known;
    const repl = await tx.queryRow<{
      name: string;
      owner: string;
      policy: Policy;
      dataMode: DataMode;
      clusterId: string;
      generation: number;
      nextGeneration: number;
    }>`
      SELECT name, owner, policy, data_mode AS "dataMode", cluster_id AS "clusterId", generation,
        next_generation AS "nextGeneration"
      FROM repl JOIN placement ON repl_id = id WHERE id = ${replId}`;
    if (!repl) return { refused: "unknown_repl", reason: "there is no such repl" };
    const opened = open(repl, {
      toCluster,
      toState: (await readCluster(tx, toCluster))?.state,
      openMigrationId: await findOpenMigration(tx, replId),
      fromCluster: onlyFrom,
    });
    if ("reason" in opened) return { refused: "precondition", reason: opened.reason };
    const { name, owner, clusterId: fromCluster } = repl;
    const policy = policyOf(repl);
    const { generation, fromGeneration } = opened;
    await tx.exec`
      UPDATE placement SET next_generation = ${opened.placement.nextGeneration}, updated_at = now()
      WHERE repl_id = ${replId}`;
    await tx.exec`
      INSERT INTO migration_decision (migration_id, status, repl_id, name, owner, policy,
        from_cluster, to_cluster, from_generation, generation)
      VALUES (${migrationId}, 'open', ${replId}, ${name}, ${owner}, ${policy}, ${fromCluster},
        ${toCluster}, ${fromGeneration}, ${generation})`;
    await failpoint("clusters.open.written", replId);
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
        await failpoint("clusters.abort.written", row?.replId ?? "");
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
  await failpoint("clusters.commit.written", replId);
  return { status: "committed", seq };
}

export interface FoundDecision {
  status: DecisionStatus;
  seq: number | null;
  generation: number;
  replId: string;
  fromCluster: string;
  toCluster: string;
}

/** A migration that never opened, or was aborted before it did, moves nothing. */
const NOTHING = { seq: null, generation: 0, replId: "", fromCluster: "", toCluster: "" };

export async function findDecision(migrationId: string): Promise<FoundDecision> {
  const row = await db.queryRow<FoundDecision>`
    SELECT status, seq, COALESCE(generation, 0) AS generation, COALESCE(repl_id, '') AS "replId",
      COALESCE(from_cluster, '') AS "fromCluster", COALESCE(to_cluster, '') AS "toCluster"
    FROM migration_decision WHERE migration_id = ${migrationId}`;
  return row ?? { status: "unknown", ...NOTHING };
}
