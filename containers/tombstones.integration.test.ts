import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { db } from "./db";
import { filesOf } from "./file-tree";
import { generationDir } from "./host";
import { keepNewest, sweepKept, takeKept } from "./kept";
import { cleanup, discardRepl } from "./moves";
import { type ClusterStore, clusterStore } from "./store";
import { kept } from "./store-kept";
import { makeAppsDir, serve } from "./test-cluster";
import { forgetTombstones, listTombstones } from "./tombstones";

const DAY_MS = 86_400_000;
const AGES = { minAgeMs: DAY_MS, quietMs: 7 * DAY_MS };

let store: ClusterStore;
let removeApps: () => void;
let count = 0;
let replId: string;

beforeAll(() => {
  removeApps = makeAppsDir().remove;
  serve("chur");
  store = clusterStore("chur");
});
beforeEach(() => {
  replId = `gone${++count}`;
});
afterAll(() => removeApps());

async function moveAway(generation = 2, to = "west"): Promise<void> {
  await store.decideRoute(
    replId,
    { kind: "activate", generation: 1 },
    { name: "app", owner: "demo" },
  );
  await store.decideRoute(replId, { kind: "tombstone", generation, to });
}

/** As if it had been written and used so many days ago. */
async function age({ days, usedDays }: { days: number; usedDays?: number }): Promise<void> {
  await db.exec`
    UPDATE route SET changed_at = now() - ${days}::float8 * interval '1 day'
    WHERE repl_id = ${replId}`;
  if (usedDays === undefined) return;
  await db.exec`
    INSERT INTO tombstone_hit (cluster_id, repl_id, hits, last_hit)
    VALUES ('chur', ${replId}, 3, now() - ${usedDays}::float8 * interval '1 day')`;
}

const stateNow = async () => (await store.route(replId))?.state;

describe("a tombstone", () => {
  it.each([
    ["younger than a day", { days: 0.9 }, "tombstone"],
    ["not used, but not quiet for seven days", { days: 6.9 }, "tombstone"],
    ["used within seven days", { days: 300, usedDays: 6.9 }, "tombstone"],
    ["never used for seven days", { days: 7.1 }, "none"],
    ["not used for seven days", { days: 300, usedDays: 7.1 }, "none"],
  ])("%s", async (_what, times, state) => {
    await moveAway();
    await age(times);
    await forgetTombstones(store, AGES);
    expect(await stateNow()).toBe(state);
    expect(await store.route(replId)).toMatchObject({ generation: 2 });
  });

  it("stays a day at least, however quiet it may be", async () => {
    await moveAway();
    await age({ days: 0.9 });
    await forgetTombstones(store, { ...AGES, quietMs: 0 });
    expect(await stateNow()).toBe("tombstone");
  });

  it("is shown with its use, and when it goes", async () => {
    await moveAway();
    await age({ days: 2, usedDays: 1 });
    const { items } = await listTombstones({ clusterId: "chur" });
    const found = items.find((item) => item.replId === replId);
    expect(found).toMatchObject({
      clusterId: "chur",
      name: "app",
      owner: "demo",
      to: "west",
      generation: 2,
      hits: 3,
    });
    const leftDays = (Date.parse(found?.goesAt ?? "") - Date.now()) / DAY_MS;
    expect(leftDays).toBeCloseTo(6, 1);
  });

  it("is pointed at the next home, and begins its day anew; its count goes with it", async () => {
    await moveAway();
    await age({ days: 300, usedDays: 300 });
    await store.decideRoute(replId, { kind: "tombstone", generation: 3, to: "north" });
    await forgetTombstones(store, AGES);
    expect(await store.route(replId)).toMatchObject({ state: "tombstone", peer: "north" });
    await store.decideRoute(replId, { kind: "activate", generation: 4 });
    await forgetTombstones(store, AGES);
    const hits = await db.queryRow`SELECT hits FROM tombstone_hit WHERE repl_id = ${replId}`;
    expect(hits).toBeNull();
  });
});

const ref = (generation: number) => ({ clusterId: "chur", replId, generation });
const order = (generation: number) => ({ ...ref(generation), migrationId: "m" });

/** A folder as a generation has left it. */
function leave(generation: number, bytes = 10): string {
  const directory = generationDir(ref(generation));
  mkdirSync(filesOf(directory), { recursive: true });
  writeFileSync(join(filesOf(directory), "notes.txt"), "x".repeat(bytes));
  return directory;
}

describe("files that are kept", () => {
  it("are the newest that was home; the rest goes, and again is no error", async () => {
    await moveAway(5);
    const [old, newest] = [leave(1), leave(3)];
    await cleanup(order(5));
    await cleanup(order(5));
    expect([existsSync(old), existsSync(newest)]).toEqual([false, true]);
    expect(await kept("chur", replId)).toEqual({ replId, generation: 3 });
  });

  it("are not kept where the repl lives", async () => {
    await store.decideRoute(replId, { kind: "activate", generation: 4 });
    const [old, home] = [leave(2), leave(4)];
    await cleanup(order(4));
    expect([existsSync(old), existsSync(home)]).toEqual([false, true]);
    expect(await kept("chur", replId)).toBeNull();
  });

  it("become a staged generation once, and never one that began before", async () => {
    await moveAway(2);
    const old = leave(1);
    await cleanup(order(2));
    expect(await takeKept(store, ref(3))).toBe(true);
    expect(existsSync(old)).toBe(false);
    expect(existsSync(join(filesOf(generationDir(ref(3))), "notes.txt"))).toBe(true);
    expect(await takeKept(store, ref(3))).toBe(false);
    expect(await kept("chur", replId)).toBeNull();
  });

  it("go by age, and the oldest beyond the bytes", async () => {
    await db.exec`DELETE FROM kept_files`;
    const first = replId;
    await moveAway();
    const directory = leave(1, 600);
    await keepNewest(store, first, { generations: [1], leftFor: 2 });
    await db.exec`
      UPDATE kept_files SET kept_at = now() - interval '1 hour' WHERE repl_id = ${first}`;
    replId = `${first}b`;
    const newer = leave(1, 600);
    await keepNewest(store, replId, { generations: [1], leftFor: 2 });
    await sweepKept(store, { keepMs: 2 * 3_600_000, maxBytes: 1_200 });
    expect([existsSync(directory), existsSync(newer)]).toEqual([true, true]);
    await sweepKept(store, { keepMs: 2 * 3_600_000, maxBytes: 1_199 });
    expect([existsSync(directory), existsSync(newer)]).toEqual([false, true]);
    await sweepKept(store, { keepMs: 0, maxBytes: 1_200 });
    expect(existsSync(newer)).toBe(false);
    expect(await kept("chur", replId)).toBeNull();
  });

  it("go with a deleted repl", async () => {
    await moveAway();
    const directory = leave(1);
    await cleanup(order(2));
    await store.decideRoute(replId, { kind: "deleted" });
    await discardRepl(store, replId);
    expect(existsSync(directory)).toBe(false);
    expect(await kept("chur", replId)).toBeNull();
  });
});
