import { randomUUID } from "node:crypto";

import { afterEach, describe, expect, it, vi } from "vitest";

import type { Registry } from "./authority";
import type { Surveyed } from "./cluster-client";
import { BUDGET_WINDOW, type Limits, MAX_FAILURES } from "./core/evacuation";
import { db } from "./db";
import { createEvacuator, type Evacuator } from "./evacuator";
import * as evacuations from "./store-evacuations";
import * as store from "./store";

const silent = { info: () => undefined, warn: () => undefined };

let count = 0;
let evacuators: Evacuator[] = [];

afterEach(async () => {
  await Promise.all(evacuators.map((evacuator) => evacuator.stop()));
  evacuators = [];
  await db.exec`UPDATE migration SET phase = 'rolled_back', finished_at = now()
    WHERE finished_at IS NULL AND evacuation_id IS NOT NULL`;
  await db.exec`UPDATE evacuation SET state = 'cancelled', finished_at = now()
    WHERE finished_at IS NULL`;
});

/** The authority and the clusters; moves end when a test says so. */
class World {
  readonly clusterId = `evac${++count}`;
  readonly homes = new Map<string, string>();
  readonly running = new Set<string>();
  readonly bytes = new Map<string, number>();
  state: "active" | "cordoned" = "active";
  destinationFault = "";
  private generation = 1;

  constructor(repls: number) {
    for (let n = 0; n < repls; n++) this.create(`${this.clusterId}-r${n}`);
  }

  create(replId: string): string {
    this.homes.set(replId, this.clusterId);
    return replId;
  }

  readonly registry: Registry = {
    residents: async (clusterId) => ({
      found: true,
      state: this.state,
      items: [...this.homes].flatMap(([replId, home]) =>
        home === clusterId
          ? [{ replId, name: replId, owner: "demo", policy: "auto" as const, isMoving: false }]
          : [],
      ),
    }),
    cordon: async () => {
      this.state = "cordoned";
    },
    chooseHomes: async ({ from, to, replIds }) => ({
      chosen: replIds.flatMap((replId) =>
        this.homes.get(replId) === from ? [{ replId, clusterId: to ?? "elsewhere" }] : [],
      ),
      reason: this.destinationFault,
    }),
  };

  readonly survey = async (): Promise<ReadonlyMap<string, Surveyed>> =>
    new Map(
      [...this.homes.keys()].map((replId) => {
        const fileBytes = this.bytes.get(replId) ?? 0;
        const running = this.running.has(replId);
        return [replId, { replId, running, filesChanged: fileBytes > 0, fileBytes }];
      }),
    );

  async start(limits: Partial<Limits> = {}): Promise<string> {
    const id = randomUUID();
    const { clusterId } = this;
    const all = { maxConcurrent: 100, perMinute: 1_000, errorBudget: 100, ...limits };
    await evacuations.insert({ id, clusterId, to: null, traceparent: "", ...all });
    return id;
  }

  evacuator(): Evacuator {
    const evacuator = createEvacuator({
      journal: evacuations,
      registry: this.registry,
      survey: this.survey,
      leaseOwner: randomUUID(),
      log: silent,
      newId: randomUUID,
      now: () => performance.now(),
      begun: () => undefined,
    });
    evacuators.push(evacuator);
    return evacuator;
  }

  async moving(): Promise<string[]> {
    const rows = await db.queryAll<{ replId: string }>`
      SELECT repl_id AS "replId" FROM migration
      WHERE from_cluster = ${this.clusterId} AND finished_at IS NULL ORDER BY created_at, repl_id`;
    return rows.map(({ replId }) => replId);
  }

  async succeed(replId: string): Promise<void> {
    await db.exec`UPDATE migration SET phase = 'completed', committed_at = now(),
      generation = COALESCE(generation, ${++this.generation}),
      finished_at = clock_timestamp() WHERE repl_id = ${replId} AND finished_at IS NULL`;
    this.homes.set(replId, "elsewhere");
  }

  async fail(replId: string, reason: string): Promise<void> {
    await db.exec`UPDATE migration SET phase = 'rolled_back', generation = ${++this.generation},
      reason = ${reason}, finished_at = clock_timestamp()
      WHERE repl_id = ${replId} AND finished_at IS NULL`;
  }
}

async function view(id: string): Promise<evacuations.ViewRow> {
  const [row] = await evacuations.list({ id });
  if (!row) throw new Error(`no evacuation ${id}`);
  return row;
}

/** As if its last failure were long ago. */
async function forgetBackoff(id: string): Promise<void> {
  await db.exec`UPDATE migration SET finished_at = finished_at - interval '1 hour'
    WHERE evacuation_id = ${id}`;
  await db.exec`UPDATE evacuation SET resumed_at = resumed_at - interval '1 day' WHERE id = ${id}`;
}

/** Looks until something is so. */
async function until(evacuator: Evacuator, what: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      evacuator.kick();
      expect(await what()).toBe(true);
    },
    { timeout: 10_000 },
  );
}

describe("an evacuation", () => {
  it("cordons its cluster, moves everything, and is done when all of it has ended", async () => {
    const world = new World(3);
    const id = await world.start();
    const evacuator = world.evacuator();
    await until(evacuator, async () => (await world.moving()).length === 3);
    expect(world.state).toBe("cordoned");
    expect(await view(id)).toMatchObject({ state: "running", underWay: 3, moved: 0 });
    const [first = "", ...others] = await world.moving();
    for (const replId of others) await world.succeed(replId);
    await db.exec`UPDATE migration SET phase = 'draining', generation = 1, committed_at = now()
      WHERE repl_id = ${first} AND finished_at IS NULL`;
    world.homes.set(first, "elsewhere");
    await until(evacuator, async () => (await view(id)).remaining === 0);
    expect(await view(id)).toMatchObject({ state: "running", moved: 3, underWay: 1 });
    await world.succeed(first);
    await until(evacuator, async () => (await view(id)).state === "done");
    expect(await view(id)).toMatchObject({ moved: 3, remaining: 0, underWay: 0, reason: null });
    expect(await evacuations.listFailed(id)).toEqual([]);
  });

  it("goes by what sleeps, what is stateless, and by size", async () => {
    const world = new World(0);
    const [large = "", small = "", stateless = "", asleep = ""] = ["a", "b", "c", "d"].map((name) =>
      world.create(`${world.clusterId}-${name}`),
    );
    for (const replId of [large, small, stateless]) world.running.add(replId);
    world.bytes.set(large, 1_000).set(small, 10);
    await world.start({ maxConcurrent: 1 });
    const evacuator = world.evacuator();
    const order: string[] = [];
    while (order.length < 4) {
      await until(evacuator, async () => (await world.moving()).length === 1);
      const [replId = ""] = await world.moving();
      order.push(replId);
      await world.succeed(replId);
    }
    expect(order).toEqual([asleep, stateless, small, large]);
  });

  it("picks up what comes in while it runs", async () => {
    const world = new World(1);
    const id = await world.start();
    const evacuator = world.evacuator();
    await until(evacuator, async () => (await world.moving()).length === 1);
    const late = world.create(`${world.clusterId}-late`);
    await until(evacuator, async () => (await world.moving()).includes(late));
    for (const replId of await world.moving()) await world.succeed(replId);
    await until(evacuator, async () => (await view(id)).state === "done");
    expect(await view(id)).toMatchObject({ moved: 2 });
  });

  it("is not done while somebody moves a repl in", async () => {
    const world = new World(0);
    const id = await world.start();
    const into = { name: "late", owner: "demo", from: "elsewhere", to: world.clusterId };
    const migration = { ...into, mode: null, cut: false, traceparent: "" };
    await store.insert({ ...migration, id: randomUUID(), replId: `${world.clusterId}-late` });
    const evacuator = world.evacuator();
    await until(evacuator, async () => (await view(id)).remaining === 0);
    expect(await view(id)).toMatchObject({
      state: "running",
      reason: "the last moves come to their end",
    });
    await world.fail(`${world.clusterId}-late`, "aborted on request");
    await until(evacuator, async () => (await view(id)).state === "done");
  });

  it("leaves what fails again and again, and names it with its reason", async () => {
    const world = new World(2);
    const id = await world.start();
    const [bad = "", good = ""] = world.homes.keys();
    const evacuator = world.evacuator();
    for (let failures = 0; failures < MAX_FAILURES; failures++) {
      await until(evacuator, async () => (await world.moving()).includes(bad));
      await world.fail(bad, "boot_destination: it exits with 1");
      await forgetBackoff(id);
    }
    await until(evacuator, async () => (await world.moving()).includes(good));
    expect(await view(id)).toMatchObject({ state: "running" });
    await world.succeed(good);
    await until(evacuator, async () => (await view(id)).state === "incomplete");
    expect(await view(id)).toMatchObject({ moved: 1, remaining: 1 });
    expect(await evacuations.listFailed(id)).toMatchObject([
      { replId: bad, failures: MAX_FAILURES, reason: "boot_destination: it exits with 1" },
    ]);
  });

  it("tries a busy repl again later, and its budget does not mind", async () => {
    const world = new World(1);
    const id = await world.start({ errorBudget: 0 });
    const evacuator = world.evacuator();
    await until(evacuator, async () => (await world.moving()).length === 1);
    const [busy = ""] = await world.moving();
    await world.fail(busy, "busy");
    await until(
      evacuator,
      async () => (await view(id)).reason === "what failed is tried again later",
    );
    expect(await world.moving()).toEqual([]);
    await forgetBackoff(id);
    await until(evacuator, async () => (await world.moving()).length === 1);
  });

  it("stops by its error budget, lets moves go on, and forgives when it is resumed", async () => {
    const world = new World(BUDGET_WINDOW);
    const id = await world.start({ maxConcurrent: 4, errorBudget: 5 });
    const evacuator = world.evacuator();
    await until(evacuator, async () => (await world.moving()).length === 4);
    const [a = "", b = "", c = "", d = ""] = await world.moving();
    for (const replId of [a, b, c]) await world.fail(replId, "stage_destination: unreachable");
    await until(evacuator, async () => (await view(id)).state === "stopped");
    expect(await view(id)).toMatchObject({
      reason: "3 of the last 50 failed; the error budget is 5 %",
      underWay: 1,
    });
    await world.succeed(d);
    expect(await evacuations.setState(id, ["paused", "stopped"], "running")).toBe(true);
    await until(evacuator, async () => (await world.moving()).length === 4);
    expect(await world.moving()).toContain(a);
  });

  it("begins nothing while it is paused or has no place to go to, nor after its end", async () => {
    const world = new World(2);
    const id = await world.start();
    world.destinationFault = '"west" is cordoned';
    const evacuator = world.evacuator();
    await until(
      evacuator,
      async () => (await view(id)).reason === 'no cluster takes what moves out: "west" is cordoned',
    );
    const [row] = await evacuations.claim("another");
    expect(row).toBeUndefined();
    await evacuations.setState(id, ["running"], "paused");
    world.destinationFault = "";
    world.create(`${world.clusterId}-late`);
    await until(evacuator, async () => (await view(id)).remaining === 3);
    const mine = { id, clusterId: world.clusterId } as evacuations.EvacuationRow;
    const move = { id: randomUUID(), replId: "x", name: "x", owner: "x", to: "w", traceparent: "" };
    expect(await evacuations.begin(mine, "whoever", [move])).toBe(0);
    expect(await world.moving()).toEqual([]);
    await evacuations.setState(id, ["running", "paused", "stopped"], "cancelled");
    expect(await evacuations.setState(id, ["paused", "stopped"], "running")).toBe(false);
  });

  it("is carried on by another process: when one lets go at once, when it dies by its lease", async () => {
    const world = new World(6);
    const id = await world.start({ maxConcurrent: 1 });
    const first = world.evacuator();
    await until(first, async () => (await world.moving()).length === 1);
    expect(await evacuations.claim("second")).toEqual([]);
    await db.exec`UPDATE evacuation SET lease_until = now() - interval '1 second' WHERE id = ${id}`;
    const [row] = await evacuations.claim("second");
    if (!row) throw new Error("not claimed");
    // The first one, which was slow, begins nothing more, whatever it has seen.
    for (const replId of await world.moving()) await world.succeed(replId);
    await first.tick();
    const move = (replId: string) => {
      return { id: randomUUID(), replId, name: "a", owner: "b", to: "west", traceparent: "" };
    };
    const [left = ""] = [...world.homes].find(([, home]) => home === world.clusterId) ?? [];
    expect(await evacuations.begin(row, "first", [move(left)])).toBe(0);
    expect(await evacuations.begin(row, "second", [move(left)])).toBe(1);
    expect(await evacuations.begin(row, "second", [move(left)])).toBe(0);
    await evacuations.release("second");
    const third = world.evacuator();
    await world.succeed(left);
    await until(third, async () => (await world.moving()).length === 1);
  });

  it("is one at a time for each cluster", async () => {
    const world = new World(1);
    const id = await world.start();
    const other = { id: randomUUID(), clusterId: world.clusterId, to: null, traceparent: "" };
    const again = { ...other, maxConcurrent: 1, perMinute: 1, errorBudget: 0 };
    expect(await evacuations.insert(again)).toBe(false);
    await evacuations.setState(id, ["running"], "cancelled");
    expect(await evacuations.insert(again)).toBe(true);
  });
});
