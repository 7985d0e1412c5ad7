// Creates repls and moves them as `clusters` does: a move's opening, and then, in a transaction of its own, its
// commit with the entry in the log and the notification. The statements are those of `clusters/store-*.ts`; the
// schema's own triggers hold them to it.
import { randomUUID } from "node:crypto";

import { addressOf, CLUSTERS } from "./watch.mjs";

export const OWNER = "fresh";
export const nameOf = (name) => `app${name}`;

const idOf = (name) => `r${String(name).padStart(11, "0")}`;
const clusterId = (count) => `c${count % CLUSTERS}`;
const lock = (tx) => tx`SELECT pg_advisory_xact_lock(hashtext('placement_log'))`;

/** The entry, and its notification when the transaction commits; its sequence. */
async function append(tx, entry) {
  const { kind, name, count, from = null, migrationId = null } = entry;
  const [row] = await tx`
    WITH entry AS (
      INSERT INTO placement_log (kind, repl_id, name, owner, cluster_id, from_cluster_id, generation,
        migration_id)
      VALUES (${kind}, ${idOf(name)}, ${nameOf(name)}, ${OWNER}, ${clusterId(count)}, ${from}, ${count},
        ${migrationId})
      RETURNING seq
    )
    SELECT seq, pg_notify('placement_log', seq::text) FROM entry`;
  return Number(row.seq);
}

async function insertRepl(tx, name) {
  await tx`INSERT INTO repl (id, name, owner) VALUES (${idOf(name)}, ${nameOf(name)}, ${OWNER})`;
  await tx`
    INSERT INTO placement (repl_id, cluster_id, generation, next_generation)
    VALUES (${idOf(name)}, ${clusterId(1)}, 1, 2)`;
  return append(tx, { kind: "created", name, count: 1 });
}

/** Every cluster with its address, and some repls. */
export async function seed(sql, repls) {
  await sql.begin(async (tx) => {
    await lock(tx);
    for (let at = 0; at < CLUSTERS; at++) {
      const description = {
        id: clusterId(at),
        state: "active",
        ingress: [addressOf(at)],
        httpPort: 80,
        listen: [],
        apiUrl: null,
        publicKey: null,
        removed: false,
      };
      await tx`
        INSERT INTO cluster (id, ingress, http_port, listen)
        VALUES (${clusterId(at)}, ${[addressOf(at)]}, 80, '{}')`;
      await tx`
        INSERT INTO placement_log (kind, cluster_id, cluster)
        VALUES ('cluster', ${clusterId(at)}, ${tx.json(description)})`;
    }
    for (let name = 0; name < repls; name++) await insertRepl(tx, name);
  });
}

/** Makes the change; `onCommit` is called when nothing but the commit is left to be sent. */
export async function make(sql, { name, count }, onCommit) {
  if (count === 1) {
    return sql.begin(async (tx) => {
      await lock(tx);
      const seq = await insertRepl(tx, name);
      onCommit();
      return seq;
    });
  }
  const migrationId = randomUUID();
  const [from, to] = [clusterId(count - 1), clusterId(count)];
  await sql.begin(async (tx) => {
    await lock(tx);
    await tx`UPDATE placement SET next_generation = ${count + 1}, updated_at = now()
      WHERE repl_id = ${idOf(name)}`;
    await tx`
      INSERT INTO migration_decision (migration_id, status, repl_id, name, owner, policy,
        from_cluster, to_cluster, from_generation, generation)
      VALUES (${migrationId}, 'open', ${idOf(name)}, ${nameOf(name)}, ${OWNER}, 'auto', ${from},
        ${to}, ${count - 1}, ${count})`;
  });
  return sql.begin(async (tx) => {
    await lock(tx);
    await tx`
      UPDATE placement SET cluster_id = ${to}, generation = ${count}, updated_at = clock_timestamp()
      WHERE repl_id = ${idOf(name)}`;
    const seq = await append(tx, { kind: "moved", name, count, from, migrationId });
    await tx`
      UPDATE migration_decision SET status = 'committed', seq = ${seq}, decided_at = clock_timestamp()
      WHERE migration_id = ${migrationId} AND status = 'open'`;
    onCommit();
    return seq;
  });
}
