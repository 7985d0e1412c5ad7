import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createConsumer } from "../shared/events/consumer";
import { db } from "./db";
import { listDeadEvents, moved, replayDeadEvent } from "./events";
import { onKick } from "./kick";
import { deadEvents } from "./store-dead";
import { makeAppsDir, serve } from "./test-cluster";

const event = (seq: unknown) => ({
  v: 1,
  moved: {
    seq,
    replId: "r1",
    migrationId: "0b9e6a5c-0000-4000-8000-000000000000",
    from: "east",
    to: "west",
    generation: 2,
    traceparent: "",
  },
});
const later = { ...event(1), v: 2 };
const cluster = { clusterId: "davos" };

let kicks = 0;
let stopKicks: () => void;
let removeApps: () => void;

beforeAll(() => {
  removeApps = makeAppsDir().remove;
  serve("davos");
  stopKicks = onKick(() => kicks++);
});
beforeEach(async () => {
  kicks = 0;
  await db.exec`DELETE FROM dead_event`;
  await db.exec`UPDATE dead_event_count SET dropped = 0`;
});
afterAll(() => {
  stopKicks();
  removeApps();
});

describe("repl.moved", () => {
  it("may come twice and in any order, and what cannot be read is kept once", async () => {
    const events = [event(1), later, event(2), event("3"), event(2), later, event(1)];
    for (const one of events) await moved.take(one);
    expect(kicks).toBe(4);
    const { items, dropped } = await listDeadEvents(cluster);
    expect(items.map(({ error, times }) => [error, times])).toEqual([
      ["Cannot read version 2 of repl.moved: expected 1", 2],
      ['Cannot read repl.moved: seq is "3", expected a whole number from 1', 1],
    ]);
    expect(JSON.parse(items[0]?.payload ?? "")).toEqual(later);
    expect(dropped).toBe(0);
  });

  it("stays dead when it is replayed and still cannot be read", async () => {
    await moved.take(later);
    const id = (await listDeadEvents(cluster)).items[0]?.id ?? "";
    expect(await replayDeadEvent({ ...cluster, id })).toMatchObject({ outcome: "dead" });
    expect((await listDeadEvents(cluster)).items).toMatchObject([{ id, times: 1 }]);
    expect(await replayDeadEvent({ ...cluster, id: "none" })).toMatchObject({ outcome: "unknown" });
    expect(kicks).toBe(0);
  });

  it("is handled by a replay once it can be read, and then is gone", async () => {
    await moved.take(later);
    const id = (await listDeadEvents(cluster)).items[0]?.id ?? "";
    const seen: unknown[] = [];
    let isAway = true;
    // The same subscription of a release that reads version 2.
    const upgraded = createConsumer({
      name: "containers-repl-moved",
      faultOf: () => null,
      handle: () => {
        if (isAway) throw new Error("away");
        seen.push(id);
      },
      store: deadEvents,
    });
    await expect(upgraded.take(later)).rejects.toThrow("away");
    await expect(upgraded.replay(id)).rejects.toThrow("away");
    expect((await listDeadEvents(cluster)).items).toHaveLength(1);
    isAway = false;
    expect(await upgraded.replay(id)).toEqual({ outcome: "handled", error: "" });
    expect(seen).toEqual([id]);
    expect((await listDeadEvents(cluster)).items).toEqual([]);
  });

  it("is kept up to a limit, the newest, and what is dropped is counted", async () => {
    for (let seq = 1; seq <= 203; seq++) await moved.take({ ...event(seq), v: 2 });
    const { items, dropped } = await listDeadEvents(cluster);
    expect([items.length, dropped]).toEqual([200, 3]);
    const seqs = items.map(
      ({ payload }) => (JSON.parse(payload) as { moved: { seq: number } }).moved.seq,
    );
    expect([seqs[0], seqs.at(-1)]).toEqual([203, 4]);
  });

  it("that is too long is named, and not kept", async () => {
    await moved.take({ ...later, more: "x".repeat(20_000) });
    const [dead] = (await listDeadEvents(cluster)).items;
    expect(dead?.payload).toBe("");
    expect(await moved.replay(dead?.id ?? "")).toMatchObject({
      outcome: "dead",
      error: expect.stringContaining("too long"),
    });
  });
});
