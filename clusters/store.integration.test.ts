import { randomUUID } from "node:crypto";

import { beforeAll, describe, expect, it } from "vitest";

import type { ClusterRecord } from "./core/cluster";
import type { LogEntry } from "./core/placement";
import { db } from "./db";
import { readLog } from "./store";
import * as clusters from "./store-clusters";
import * as migrations from "./store-migrations";
import * as repls from "./store-repls";
import { listenToLog, readTail } from "./tail";

const cluster = (id: string, change: Partial<ClusterRecord> = {}): ClusterRecord => ({
  id,
  state: "active",
  ingress: ["127.0.1.1"],
  httpPort: 8080,
  listen: ["127.0.1.1:8080"],
  apiUrl: null,
  publicKey: null,
  removed: false,
  ...change,
});

let count = 0;

/** Repls that move at once, and how often each: 400 decisions. */
const REPLS = 16;
const ROUNDS = 25;
/** Of one writer of the log. */
const REPLS_EACH = 8;

async function newRepl(home = "east"): Promise<repls.ReplRow> {
  const created = await repls.createRepl({
    name: `app${++count}`,
    owner: "demo",
    cluster: home,
    policy: "auto",
  });
  if (created.outcome !== "created") throw new Error(`not created: ${created.outcome}`);
  return created.repl;
}

async function open(replId: string, toCluster = "west") {
  const migrationId = randomUUID();
  const opened = await migrations.openMigration({ migrationId, replId, toCluster });
  if ("refused" in opened) throw new Error(opened.reason);
  return { migrationId, ...opened.migration };
}

function decide(migrationId: string, decision: "committed" | "aborted", notAfter?: string) {
  return migrations.decide({ migrationId, decision, notAfter, traceparent: "" });
}

async function lastSeq(): Promise<number> {
  const row = await db.queryRow<{ seq: number }>`
    SELECT COALESCE(max(seq), 0) AS seq FROM placement_log`;
  return row?.seq ?? 0;
}

beforeAll(async () => {
  await clusters.addCluster(cluster("east"));
  await clusters.addCluster(cluster("west", { ingress: ["127.0.2.1"], listen: [] }));
});

describe("clusters", () => {
  it("can be registered again by the same addresses only", async () => {
    expect(await clusters.addCluster(cluster("east"))).toBe(true);
    expect(await clusters.addCluster(cluster("east", { httpPort: 80 }))).toBe(false);
  });

  it("are written to the log when they change", async () => {
    const before = await lastSeq();
    await clusters.addCluster(cluster("north"));
    const change = (existing: ClusterRecord) => ({
      changed: { ...existing, state: "cordoned" as const },
      fault: undefined,
    });
    expect(await clusters.changeCluster("north", change)).toBeUndefined();
    expect(await clusters.changeCluster("nowhere", change)).toBe("not_found");
    expect(await clusters.removeCluster("north")).toBeUndefined();
    expect(await clusters.removeCluster("north")).toBe("not_found");
    const entries = await readLog(before, 10);
    expect(entries.map(({ kind, cluster: record }) => [kind, record])).toEqual([
      ["cluster", cluster("north")],
      ["cluster", cluster("north", { state: "cordoned" })],
      ["cluster", cluster("north", { state: "cordoned", removed: true })],
    ]);
    expect(await clusters.findCluster("north")).toBeNull();
  });

  it("are not removed while repls live there or come there", async () => {
    const repl = await newRepl();
    expect(await clusters.removeCluster("east")).toContain("there");
    await clusters.addCluster(cluster("south"));
    const { migrationId } = await open(repl.id, "south");
    expect(await clusters.removeCluster("south")).toContain("migration");
    await decide(migrationId, "aborted");
    expect(await clusters.removeCluster("south")).toBeUndefined();
  });
});

describe("repls", () => {
  it("are created with their placement and its log entry", async () => {
    const before = await lastSeq();
    const repl = await newRepl();
    expect(repl).toMatchObject({ clusterId: "east", generation: 1, policy: "auto" });
    expect(repl.id).toMatch(/^[a-z][a-z2-7]{11}$/);
    expect(await repls.findRepl(repl.id)).toEqual(repl);
    expect(await repls.findReplByName(repl.owner, repl.name)).toEqual(repl);
    expect(await repls.listRepls("nobody")).toEqual([]);
    expect(await repls.listRepls(null)).toContainEqual(repl);
    const [entry] = await readLog(before, 10);
    expect(entry).toMatchObject({
      kind: "created",
      replId: repl.id,
      name: repl.name,
      owner: "demo",
      clusterId: "east",
      generation: 1,
      cluster: null,
      migrationId: null,
    });
  });

  it("have a name of their own, and a cluster that takes them", async () => {
    const { name, owner } = await newRepl();
    const again = { name, owner, cluster: undefined, policy: "auto" as const };
    expect(await repls.createRepl(again)).toEqual({ outcome: "taken" });
    const nowhere = { name: "other", owner, cluster: "nowhere", policy: "auto" as const };
    expect(await repls.createRepl(nowhere)).toMatchObject({ outcome: "no_cluster" });
  });

  it("are created once when asked for many times at once", async () => {
    const request = { name: "once", owner: "demo", cluster: undefined, policy: "auto" as const };
    const all = await Promise.all(Array.from({ length: 10 }, () => repls.createRepl(request)));
    expect(all.filter(({ outcome }) => outcome === "created")).toHaveLength(1);
    expect(all.filter(({ outcome }) => outcome === "taken")).toHaveLength(9);
  });

  it("are deleted with a generation of their own, and not while they move", async () => {
    const repl = await newRepl();
    const { migrationId } = await open(repl.id);
    expect(await repls.deleteRepl(repl.id)).toContain(migrationId);
    await decide(migrationId, "aborted");
    const before = await lastSeq();
    expect(await repls.deleteRepl(repl.id)).toBeUndefined();
    expect(await repls.deleteRepl(repl.id)).toBe("not_found");
    const [entry] = await readLog(before, 10);
    expect(entry).toMatchObject({ kind: "deleted", replId: repl.id, generation: 3 });
  });

  it("are found by a hostname, which is written to the log once", async () => {
    const repl = await newRepl();
    const other = await newRepl();
    const before = await lastSeq();
    const hostname = `www.${repl.name}.example`;
    const set = (replId: string, present: boolean) =>
      repls.setHostname({ hostname, replId, present });
    expect(await set(repl.id, true)).toBeUndefined();
    expect(await set(repl.id, true)).toBeUndefined();
    expect(await set(other.id, true)).toBe("taken");
    expect(await set(other.id, false)).toBeUndefined();
    const key = { replId: undefined, name: undefined, owner: undefined };
    expect(await repls.lookup({ ...key, hostname })).toEqual(repl);
    expect(await set(repl.id, false)).toBeUndefined();
    expect(await repls.lookup({ ...key, hostname })).toBeNull();
    expect(await set("unknown", true)).toBe("unknown_repl");
    const entries = await readLog(before, 10);
    expect(entries.map(({ hostname: name, present }) => [name, present])).toEqual([
      [hostname, true],
      [hostname, false],
    ]);
  });
});

describe("migrations", () => {
  it("open once, and burn a generation each", async () => {
    const repl = await newRepl();
    const { migrationId, ...first } = await open(repl.id);
    expect(first).toMatchObject({ fromCluster: "east", fromGeneration: 1, generation: 2 });
    const request = { migrationId, replId: repl.id, toCluster: "west" };
    expect(await migrations.openMigration(request)).toEqual({ migration: first });
    const second = { ...request, migrationId: randomUUID() };
    expect(await migrations.openMigration(second)).toMatchObject({
      refused: "precondition",
      reason: `migration ${migrationId} is open`,
    });
    await decide(migrationId, "aborted");
    const third = await open(repl.id);
    expect(third.generation).toBe(3);
    await decide(third.migrationId, "committed");
    expect(await repls.findRepl(repl.id)).toMatchObject({ clusterId: "west", generation: 3 });
  });

  it("open once when asked for many times at once", async () => {
    const repl = await newRepl();
    const migrationId = randomUUID();
    const request = { migrationId, replId: repl.id, toCluster: "west" };
    const same = await Promise.all(
      Array.from({ length: 10 }, () => migrations.openMigration(request)),
    );
    for (const opened of same) expect(opened).toMatchObject({ migration: { generation: 2 } });
  });

  it("do not open to where the repl lives, to nowhere, or of nothing", async () => {
    const { id: replId } = await newRepl();
    const to = (toCluster: string, id = replId) =>
      migrations.openMigration({ migrationId: randomUUID(), replId: id, toCluster });
    expect(await to("east")).toMatchObject({ refused: "precondition" });
    expect(await to("nowhere")).toMatchObject({ refused: "precondition" });
    expect(await to("west", "unknown")).toMatchObject({ refused: "unknown_repl" });
  });

  it("move the placement and write the log by their commit", async () => {
    const repl = await newRepl();
    const { migrationId } = await open(repl.id);
    expect(await migrations.findDecision(migrationId)).toMatchObject({ status: "open", seq: null });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const decided = await migrations.decide({
      migrationId,
      decision: "committed",
      notAfter: new Date(Date.now() + 60_000).toISOString(),
      traceparent,
    });
    expect(decided?.status).toBe("committed");
    const [entry] = await readLog((decided?.seq ?? 0) - 1, 1);
    expect(entry).toMatchObject({
      kind: "moved",
      replId: repl.id,
      clusterId: "west",
      fromClusterId: "east",
      generation: 2,
      migrationId,
      traceparent,
    });
    expect(await decide(migrationId, "aborted")).toEqual(decided);
    expect(await migrations.findDecision(migrationId)).toMatchObject({ status: "committed" });
  });

  it("abort when the boot lease of the destination is over", async () => {
    const repl = await newRepl();
    const { migrationId } = await open(repl.id);
    const past = new Date(Date.now() - 1).toISOString();
    expect(await decide(migrationId, "committed", past)).toEqual({ status: "aborted", seq: null });
    expect(await repls.findRepl(repl.id)).toMatchObject({ clusterId: "east", generation: 1 });
  });

  it("cannot open after they were aborted, nor commit without having opened", async () => {
    const repl = await newRepl();
    const migrationId = randomUUID();
    expect(await decide(migrationId, "committed")).toBeNull();
    expect(await decide(migrationId, "aborted")).toEqual({ status: "aborted", seq: null });
    const request = { migrationId, replId: repl.id, toCluster: "west" };
    expect(await migrations.openMigration(request)).toMatchObject({ refused: "precondition" });
    expect((await open(repl.id)).generation).toBe(2);
  });

  it("are decided once each of 400 times that commit and abort come at the same time", async () => {
    const wins = { committed: 0, aborted: 0 };
    const decideBoth = async (migrationId: string, isCommitFirst: boolean) => {
      const both = ["committed", "aborted"] as const;
      const asked = isCommitFirst ? both : both.toReversed();
      const [one, other] = await Promise.all(asked.map((side) => decide(migrationId, side)));
      expect(one).toEqual(other);
      return one?.status ?? "aborted";
    };
    const moveAbout = async (): Promise<void> => {
      const repl = await newRepl();
      let { clusterId, generation } = repl;
      for (let round = 0; round < ROUNDS; round++) {
        const to = clusterId === "east" ? "west" : "east";
        const move = await open(repl.id, to);
        const status = await decideBoth(move.migrationId, round % 2 === 0);
        wins[status] += 1;
        if (status === "committed") [clusterId, generation] = [to, move.generation];
        expect(await repls.findRepl(repl.id)).toMatchObject({ clusterId, generation });
      }
    };
    const before = await lastSeq();
    const began = performance.now();
    await Promise.all(Array.from({ length: REPLS }, moveAbout));
    const ms = performance.now() - began;
    const moved = (await readLog(before, 1_000)).filter(({ kind }) => kind === "moved");
    expect(moved).toHaveLength(wins.committed);
    expect(wins.committed + wins.aborted).toBe(400);
    // Both orders were tried as often; neither side may always be the later one.
    expect(Math.min(wins.committed, wins.aborted)).toBeGreaterThan(0);
    process.stdout.write(
      `400 decisions in ${Math.round(ms)} ms: ${wins.committed} committed, ${wins.aborted} aborted\n`,
    );
  });

  it("are held to their rules by the database too", async () => {
    const repl = await newRepl();
    const { migrationId } = await open(repl.id);
    await decide(migrationId, "committed");
    await expect(db.exec`
      UPDATE migration_decision SET status = 'aborted', seq = NULL
      WHERE migration_id = ${migrationId}`).rejects.toThrow("cannot become");
    await expect(db.exec`
      UPDATE placement SET generation = 1 WHERE repl_id = ${repl.id}`).rejects.toThrow(
      "may not go",
    );
    await expect(db.exec`
      UPDATE placement SET cluster_id = 'east' WHERE repl_id = ${repl.id}`).rejects.toThrow(
      "may not go",
    );
    await expect(db.exec`
      DELETE FROM migration_decision WHERE migration_id = ${migrationId}`).rejects.toThrow(
      "cannot be forgotten",
    );
    const next = await open(repl.id, "east");
    await expect(db.exec`
      UPDATE migration_decision SET to_cluster = 'south'
      WHERE migration_id = ${next.migrationId}`).rejects.toThrow("of something else");
    await expect(db.exec`
      UPDATE migration_decision SET status = 'committed', seq = 1, decided_at = now()
      WHERE migration_id = ${next.migrationId}`).rejects.toThrow("not in the placement log");
    await expect(db.exec`
      INSERT INTO migration_decision (migration_id, status, repl_id, name, owner, policy,
        from_cluster, to_cluster, from_generation, generation)
      SELECT gen_random_uuid(), 'open', repl_id, name, owner, policy, from_cluster, to_cluster,
        from_generation, generation + 1
      FROM migration_decision WHERE migration_id = ${next.migrationId}`).rejects.toThrow(
      "migration_decision_one_open",
    );
    await decide(next.migrationId, "aborted");
    await expect(db.exec`
      INSERT INTO migration_decision (migration_id, status, repl_id, name, owner, policy,
        from_cluster, to_cluster, from_generation, generation)
      SELECT gen_random_uuid(), 'open', repl_id, name, owner, policy, from_cluster, to_cluster,
        from_generation, generation
      FROM migration_decision WHERE migration_id = ${next.migrationId}`).rejects.toThrow(
      "given already",
    );
  });
});

describe("the placement log", () => {
  it("shows each entry once and in order to a reader while many write", async () => {
    const writers = 8;
    // A repl is created, and moved.
    const each = 2 * REPLS_EACH;
    const start = await lastSeq();
    const seen: LogEntry[] = [];
    const listener = listenToLog();
    const read = async (): Promise<void> => {
      let after = start;
      while (seen.length < writers * each) {
        const items = await readTail({ after, waitMs: 5_000, limit: 7 });
        if (!Array.isArray(items)) throw new Error(items);
        seen.push(...items);
        after = seen.at(-1)?.seq ?? after;
      }
    };
    const write = async (): Promise<void> => {
      for (let turn = 0; turn < REPLS_EACH; turn++) {
        const repl = await newRepl();
        const { migrationId } = await open(repl.id);
        await decide(migrationId, "committed");
      }
    };
    await Promise.all([read(), ...Array.from({ length: writers }, write)]);
    await listener.close();
    const seqs = seen.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(new Set(seqs).size).toBe(writers * each);
    expect(await readLog(start, 1_000)).toEqual(seen);
  });

  it("takes nothing that a reader may have passed, and nothing that did not happen", async () => {
    const repl = await newRepl();
    const last = await lastSeq();
    await expect(db.exec`
      UPDATE placement_log SET cluster_id = 'west' WHERE seq = ${last}`).rejects.toThrow(
      "cannot be changed",
    );
    await expect(db.exec`DELETE FROM placement_log WHERE seq = ${last}`).rejects.toThrow(
      "cannot be changed",
    );
    await expect(db.exec`
      INSERT INTO placement_log (seq, kind, repl_id) VALUES (${last - 1}, 'deleted', 'x')`).rejects.toThrow(
      "would be passed by its readers",
    );
    await expect(db.exec`
      INSERT INTO placement_log (kind, repl_id, cluster_id, generation)
      VALUES ('created', ${repl.id}, 'east', 1)`).rejects.toThrow("is not above");
    await expect(db.exec`
      INSERT INTO placement_log (kind, repl_id, cluster_id, from_cluster_id, generation,
        migration_id)
      VALUES ('moved', ${repl.id}, 'west', 'east', 2, gen_random_uuid())`).rejects.toThrow(
      "does not move repl",
    );
  });
});
