/** Dns's own copy of the placement log: how far it goes, and where that says that repls live. */
import type { Transaction } from "encore.dev/storage/sqldb";

import type { Batch, Change } from "./core/catalog";
import { outcomeOf } from "./core/log";
import type { Repl } from "./core/platform";
import { db } from "./db";
import { inTransaction } from "./store";

/** Blocks of the table that are read at a time: some ten thousand repls, half a megabyte of text. */
const PAGE_BLOCKS = 128;

/** Dns's own copy of where repls live, as of one moment. */
export interface Placements {
  readonly systemId: string;
  /** How far in the placement log it leads. */
  readonly seq: number;
  readonly clusters: readonly Change[];
  /** How many repls there are. */
  readonly count: () => Promise<number>;
  /** How many pages there are. */
  readonly pages: number;
  /** The repls of a page, packed. Pages lie as they do on the disk: to sort them would take longest. */
  readonly readPage: (page: number) => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function openPlacements(): Promise<Placements> {
  const tx = await db.begin();
  const close = (): Promise<void> => tx.rollback().catch(() => undefined);
  try {
    await tx.exec`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`;
    const head = await tx.queryRow<{ seq: number; systemId: string; blocks: number }>`
      SELECT seq, system_id AS "systemId", (pg_relation_size('placement_copy')
        / current_setting('block_size')::int)::int AS blocks FROM log_cursor, zone_clock`;
    const clusters = await tx.queryAll<{ id: string; ingress: string[] }>`
      SELECT id, ingress FROM cluster_copy`;
    const { seq, systemId, blocks } = head!;
    return {
      seq,
      systemId,
      clusters: clusters.map((row) => ({ kind: "cluster" as const, ...row })),
      pages: Math.ceil(blocks / PAGE_BLOCKS),
      count: () => countRepls(tx),
      readPage: (page) => readPage(tx, page),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function countRepls(tx: Transaction): Promise<number> {
  const row = await tx.queryRow<{ count: number }>`SELECT count(*) AS count FROM placement_copy`;
  return row!.count;
}

/** A range of ctids is read without a look at other blocks. A row is where it was as long as it is seen. */
async function readPage(tx: Transaction, page: number): Promise<string> {
  const [from, to] = [page, page + 1].map((at) => `(${at * PAGE_BLOCKS},0)`);
  const row = await tx.queryRow<{ repls: string }>`
    SELECT COALESCE(string_agg(
      concat_ws(' ', repl_id, name, owner, cluster_id, generation), ','), '') AS repls
    FROM placement_copy WHERE ctid >= ${from}::text::tid AND ctid < ${to}::text::tid`;
  return row!.repls;
}

export async function readCursor(): Promise<number> {
  const row = await db.queryRow<{ seq: number }>`SELECT seq FROM log_cursor`;
  return row!.seq;
}

/**
 * Copy what the log said after `after`, and move the cursor to `seq`, in one transaction. When the
 * cursor is elsewhere (another instance was here, or we missed something) nothing is written.
 * The cursor as it stands then.
 */
export async function copyLog(after: number, { changes, seq }: Batch): Promise<number> {
  return inTransaction(async (tx) => {
    const cursor = await tx.queryRow<{ seq: number }>`SELECT seq FROM log_cursor FOR UPDATE`;
    if (cursor!.seq !== after) return cursor!.seq;
    const { repls, goneRepls, clusters, goneClusters } = outcomeOf(changes);
    await removeRepls(tx, goneRepls);
    await putRepls(tx, repls);
    await tx.exec`DELETE FROM cluster_copy WHERE id = ANY(${goneClusters})`;
    for (const { id, ingress } of clusters) {
      await tx.exec`
        INSERT INTO cluster_copy (id, ingress) VALUES (${id}, ${[...ingress]})
        ON CONFLICT (id) DO UPDATE SET ingress = excluded.ingress`;
    }
    await tx.exec`UPDATE log_cursor SET seq = ${seq}`;
    return seq;
  });
}

async function removeRepls(tx: Transaction, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx.exec`DELETE FROM placement_copy WHERE repl_id = ANY(${ids})`;
  await tx.exec`
    UPDATE domain SET status = 'removing', next_check_at = now()
    WHERE repl_id = ANY(${ids}) AND status <> 'removed'`;
}

async function putRepls(tx: Transaction, repls: readonly Repl[]): Promise<void> {
  if (repls.length === 0) return;
  const all = <Field extends keyof Repl>(field: Field) => repls.map((repl) => repl[field]);
  await tx.exec`
    INSERT INTO placement_copy (repl_id, name, owner, cluster_id, generation)
    SELECT * FROM unnest(${all("id")}::text[], ${all("name")}::text[], ${all("owner")}::text[],
      ${all("clusterId")}::text[], ${all("generation")}::bigint[])
    ON CONFLICT (repl_id) DO UPDATE SET name = excluded.name, owner = excluded.owner,
      cluster_id = excluded.cluster_id, generation = excluded.generation
    WHERE placement_copy.generation <= excluded.generation`;
}
