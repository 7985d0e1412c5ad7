import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";

import type { LogEntry } from "./authority";
import { db } from "./db";
import { kickTail } from "./kick";
import { isLocal, localClusters, untilOpen } from "./local";
import { clusterStore } from "./store";
import { cursor, knownClusters } from "./store-registry";
import { startTail, type Tail } from "./tail";
import { makeAppsDir } from "./test-cluster";
import { until } from "./test-until";

const authority = vi.hoisted(() => ({
  log: [] as { seq: number }[],
  isDown: false,
}));

vi.mock("./authority", () => ({
  TAIL_LIMIT: 2,
  readLog: async (after: number, isQuick: boolean) => {
    if (authority.isDown) throw new Error("down");
    // The long poll wakes nobody here: only kicks and its end do.
    if (!isQuick) await new Promise((resolve) => setTimeout(resolve, 50));
    return authority.log.filter(({ seq }) => seq > after).slice(0, 2);
  },
}));

let tail: Tail | undefined;
let opened: string[] = [];
let removeApps: () => void;

beforeAll(async () => {
  removeApps = makeAppsDir().remove;
  // Tests of one run share a database; here the log begins anew.
  await db.exec`DELETE FROM log_cursor`;
  await db.exec`DELETE FROM known_cluster`;
});
afterEach(async () => {
  await tail?.close();
  opened = [];
});
afterAll(() => removeApps());

function append(entry: Partial<LogEntry>): void {
  authority.log.push({
    kind: "created",
    replId: null,
    name: "app",
    owner: "demo",
    clusterId: null,
    fromClusterId: null,
    generation: null,
    migrationId: null,
    cluster: null,
    hostname: null,
    present: null,
    at: "",
    traceparent: "",
    ...entry,
    seq: authority.log.length + 1,
  } as LogEntry);
}

function appendCluster(id: string, change: { apiUrl?: string; removed?: boolean } = {}): void {
  const { apiUrl = null, removed = false } = change;
  const cluster = {
    id,
    state: "active" as const,
    ingress: [],
    httpPort: 1,
    listen: [],
    apiUrl,
    publicKey: null,
    removed,
  };
  append({ kind: "cluster", clusterId: id, cluster });
}

const start = (): Tail =>
  startTail(async (clusterId) => {
    opened.push(clusterId);
  });

it("serves the registered clusters without an API of their own, and gives each the whole log", async () => {
  appendCluster("oslo");
  appendCluster("rome", { apiUrl: "http://rome" });
  append({ kind: "created", replId: "r1", clusterId: "oslo", generation: 1 });
  append({ kind: "created", replId: "r2", clusterId: "rome", generation: 1 });
  tail = start();
  await untilOpen("oslo");
  expect(isLocal("rome")).toBe(false);
  expect(opened).toEqual(["oslo"]);
  await until("read to the end", () => tail?.whyUnready() === null);
  const oslo = clusterStore("oslo");
  expect(await oslo.route("r1")).toMatchObject({ state: "active", name: "app", owner: "demo" });
  expect(await oslo.route("r2")).toBeNull();
  expect(await cursor("oslo")).toBe(4);
  expect(() => clusterStore("rome")).toThrow('Cannot reach cluster "rome" here');

  // A cluster that comes later begins at the log's beginning, and knows of the others.
  append({ kind: "moved", replId: "r1", clusterId: "bern", generation: 2 });
  appendCluster("bern");
  kickTail();
  await untilOpen("bern");
  const bern = clusterStore("bern");
  await until("moved", async () => (await bern.route("r1"))?.state === "active");
  expect(await oslo.route("r1")).toMatchObject({ state: "tombstone", peer: "bern" });
  const known = await knownClusters();
  expect(known.map(({ id, ordinal }) => [id, ordinal])).toEqual([
    ["oslo", 0],
    ["rome", 1],
    ["bern", 2],
  ]);
});

it("goes on where it was, also when the authority was away", async () => {
  authority.isDown = true;
  tail = start();
  await untilOpen("bern");
  expect(localClusters()).toEqual(["bern", "oslo"]);
  expect(tail.whyUnready()).not.toBeNull();
  append({ kind: "moved", replId: "r1", clusterId: "oslo", generation: 3 });
  authority.isDown = false;
  await until("read to the end", () => tail?.whyUnready() === null);
  const oslo = clusterStore("oslo");
  await until("home", async () => (await oslo.route("r1"))?.generation === 3);
  expect(await oslo.route("r1")).toMatchObject({ state: "active", generation: 3 });
});

it("lets go of a cluster that was removed", async () => {
  tail = start();
  await untilOpen("bern");
  appendCluster("bern", { removed: true });
  kickTail();
  await until("gone", () => !isLocal("bern"));
});
