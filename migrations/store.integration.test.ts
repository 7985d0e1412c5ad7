import { randomUUID } from "node:crypto";

import { describe, expect, it } from "vitest";

import { createCoordinator } from "./coordinator";
import { isTerminal, type Migration, type Phase, ROUTES } from "./core/migration";
import { db } from "./db";
import { createGate } from "./gate";
import * as store from "./store";
import { createTestWorld, type TestWorld, type TestWorldOptions } from "./test-world";

const silent = { info: () => undefined, warn: () => undefined };

let count = 0;

async function insert(replId = `repl${++count}`): Promise<string> {
  const id = randomUUID();
  const created = await store.insert({
    id,
    replId,
    name: "hello",
    owner: "demo",
    from: "east",
    to: "west",
    mode: null,
    cut: false,
    traceparent: "",
  });
  if (!created) throw new Error("another migration of the repl is open");
  return id;
}

async function claimOne(id: string, leaseOwner: string): Promise<store.MigrationRow | undefined> {
  return (await store.claim(leaseOwner, 1_000)).find((row) => row.id === id);
}

function advance(id: string, leaseOwner: string, phases: [Phase, Phase], facts = {}) {
  const [from, to] = phases;
  return store.advance({ id, leaseOwner, from, to, facts });
}

/** As if the lease's time had passed. */
async function expireLease(id: string): Promise<void> {
  await db.exec`
    UPDATE migration SET lease_until = now() - interval '1 second', retry_at = NULL
    WHERE id = ${id}`;
}

async function find(id: string): Promise<Migration> {
  const migration = await store.find(id);
  if (!migration) throw new Error(`no migration ${id}`);
  return migration;
}

describe("a migration's row", () => {
  it("begins as asked for, and is shown with the steps it has taken", async () => {
    const id = await insert();
    expect(await find(id)).toMatchObject({
      phase: "requested",
      outcome: "open",
      mode: null,
      generation: null,
      steps: [],
      holdMs: null,
      committedAt: null,
    });
    await claimOne(id, "a");
    const facts = { mode: "overlap", fromGeneration: 1, generation: 2 } as const;
    expect(await advance(id, "a", ["requested", "reserving"])).toBe(true);
    expect(await advance(id, "a", ["reserving", "preparing"], facts)).toBe(true);
    const { steps, ...migration } = await find(id);
    expect(migration).toMatchObject({ phase: "preparing", mode: "overlap", generation: 2 });
    expect(steps.map(({ phase }) => phase)).toEqual(["requested", "reserving"]);
    expect(steps.every(({ ms, at }) => ms >= 0 && new Date(at).toISOString() === at)).toBe(true);
    expect((await store.list(migration.replId, true)).map((one) => one.id)).toEqual([id]);
    expect(await store.list(migration.replId, false)).toEqual([]);
  });

  it("is the only open one of its repl, until the old container only drains", async () => {
    const replId = `repl${++count}`;
    const id = await insert(replId);
    await expect(insert(replId)).rejects.toThrow("is open");
    expect(await store.findOpen(replId)).toEqual({ id });
    await claimOne(id, "a");
    const facts = { generation: 2, seq: 9 };
    expect(await advance(id, "a", ["requested", "switching"], facts)).toBe(true);
    await expect(insert(replId)).rejects.toThrow("is open");
    expect(await advance(id, "a", ["switching", "draining"])).toBe(true);
    const next = await insert(replId);
    expect(await store.findOpen(replId)).toEqual({ id: next });
  });

  it("keeps the first reason, and knows when it was committed and finished", async () => {
    const id = await insert();
    await claimOne(id, "a");
    await store.requestAbort(id);
    await advance(id, "a", ["requested", "aborting"], { reason: "another" });
    await advance(id, "a", ["aborting", "rolled_back"], { holdMs: 12.5 });
    expect(await find(id)).toMatchObject({
      outcome: "rolled_back",
      reason: "aborted on request",
      holdMs: 12.5,
      committedAt: null,
      finishedAt: expect.any(String),
    });
  });
});

describe("an abort that comes too late", () => {
  it("leaves no reason behind", async () => {
    const id = await insert();
    await claimOne(id, "a");
    await advance(id, "a", ["requested", "aborting"], { reason: "too slow" });
    expect(await find(id)).toMatchObject({ reason: "too slow" });
    await advance(id, "a", ["aborting", "switching"], { generation: 2, seq: 5 });
    await advance(id, "a", ["switching", "draining"]);
    expect(await find(id)).toMatchObject({ reason: null, outcome: "open" });
  });
});

describe("a lease", () => {
  it("belongs to one coordinator when many claim at once", async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => insert()));
    const owners = Array.from({ length: 6 }, (_, index) => `owner${index}`);
    const claims = await Promise.all(owners.map((owner) => store.claim(owner, 1_000)));
    const claimed = claims.flat().map(({ id }) => id);
    for (const id of ids) expect(claimed.filter((one) => one === id)).toHaveLength(1);
  });

  it("lets only its owner advance the row, and passes on when it is over", async () => {
    const id = await insert();
    expect(await claimOne(id, "a")).toMatchObject({ phase: "requested", resumed: false });
    expect(await claimOne(id, "b")).toBeUndefined();
    expect(await advance(id, "b", ["requested", "reserving"])).toBe(false);
    await expireLease(id);
    expect(await claimOne(id, "b")).toMatchObject({ resumed: true });
    expect(await advance(id, "a", ["requested", "reserving"])).toBe(false);
    expect(await store.recordTry(id, "a", 1, null)).toBe(false);
    expect((await store.renew("a")).map((held) => held.id)).not.toContain(id);
    expect(await store.renew("b")).toContainEqual({ id, abortRequested: false });
    expect(await advance(id, "b", ["requested", "reserving"])).toBe(true);
  });

  it("is over at once when it is given back, and tells of an abort", async () => {
    const id = await insert();
    await claimOne(id, "a");
    const frozenAt = new Date();
    expect(await store.recordTry(id, "a", 3, frozenAt)).toBe(true);
    await store.requestAbort(id);
    expect(await store.renew("a")).toContainEqual({ id, abortRequested: true });
    await store.release(id, "a", 0);
    const resumed = await claimOne(id, "b");
    expect(resumed).toMatchObject({ attempts: 3, frozenAt, abortRequested: true });
    await store.release(id, "b", 60_000);
    expect(await claimOne(id, "c")).toBeUndefined();
  });
});

describe("the database", () => {
  it("lets no move go back, and no generation be another's", async () => {
    const id = await insert();
    const { replId } = await find(id);
    await claimOne(id, "a");
    await advance(id, "a", ["requested", "switching"], { generation: 2, seq: 40 });
    await expect(db.exec`
      UPDATE migration SET phase = 'copying', committed_at = NULL WHERE id = ${id}`).rejects.toThrow(
      "cannot go back",
    );
    await expect(db.exec`
      UPDATE migration SET generation = 3 WHERE id = ${id}`).rejects.toThrow("cannot get 3");
    await advance(id, "a", ["switching", "completed"]);
    await expect(db.exec`
      UPDATE migration SET phase = 'cleaning', finished_at = NULL WHERE id = ${id}`).rejects.toThrow(
      "cannot become",
    );
    const next = await insert(replId);
    await expect(db.exec`
      UPDATE migration SET generation = 2 WHERE id = ${next}`).rejects.toThrow(
      "migration_generation",
    );
    await expect(insert(replId)).rejects.toThrow("another migration of the repl is open");
  });
});

describe("an event that was not published", () => {
  it("is found until it is known to have been", async () => {
    const id = await insert();
    await claimOne(id, "a");
    await advance(id, "a", ["requested", "switching"], { generation: 2, seq: 41 });
    await db.exec`
      UPDATE migration SET committed_at = now() - interval '2 seconds' WHERE id = ${id}`;
    const mine = async () => (await store.findUnpublished(1_000)).filter((one) => one.id === id);
    expect(await mine()).toMatchObject([{ seq: 41, generation: 2, from: "east", to: "west" }]);
    await store.recordPublished(id);
    expect(await mine()).toEqual([]);
  });
});

/** Drives a migration of its own with a coordinator that dies at the command of that index. */
async function moveWithCrash(options: TestWorldOptions, crashAt: number): Promise<Moved> {
  let index = 0;
  const world = createTestWorld({
    ...options,
    interfere: (_name, when) => {
      if (when === "after" && index++ === crashAt) return new Promise<never>(() => undefined);
      return undefined;
    },
  });
  const id = await insert();
  const journal = {
    ...store,
    // Other tests' rows are none of this coordinator's business.
    claim: async (leaseOwner: string) => {
      const row = await claimOne(id, leaseOwner);
      return row ? [row] : [];
    },
  };
  const coordinate = (leaseOwner: string) =>
    createCoordinator({
      journal,
      outside: world.outside,
      leaseOwner,
      freezeGate: createGate(2),
      log: silent,
      random: () => 0,
      announce: () => undefined,
    });
  coordinate(`${id}-first`).kick();
  await poll(async () => index > crashAt || isTerminal((await find(id)).phase));
  await expireLease(id);
  coordinate(`${id}-second`).kick();
  await poll(async () => isTerminal((await find(id)).phase));
  return { migration: await find(id), world };
}

interface Moved {
  readonly migration: Migration;
  readonly world: TestWorld;
}

async function poll(isTrue: () => Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + 10_000;
  while (!(await isTrue())) {
    if (performance.now() > endsAt) throw new Error("it did not come to be within 10 s");
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

describe("a coordinator with a real store", () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])(
    "dies after command %i of a handoff, and another completes the move",
    async (crashAt) => {
      const { migration, world } = await moveWithCrash(
        { running: true, filesChanged: true },
        crashAt,
      );
      expect(world.faults).toEqual([]);
      expect(migration).toMatchObject({ outcome: "completed", mode: "handoff", generation: 2 });
      expect(migration.holdMs).toBeGreaterThanOrEqual(0);
      const phases = migration.steps.map(({ phase }) => phase);
      expect([...phases, "completed"]).toEqual(ROUTES.handoff);
      expect(world.source).toMatchObject({ route: "tombstone", running: false });
      expect(world.destination).toMatchObject({ route: "active", running: true });
    },
  );
});
