import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { boot, verify } from "./boot";
import { db } from "./db";
import { filesOf } from "./file-tree";
import { generationDir } from "./host";
import { sweepKept } from "./kept";
import { lastLines } from "./logs";
import * as moves from "./moves";
import { deploy, putToSleep, restartContainer } from "./releases";
import { callOffStart, containerDriver, wake, wakeKey } from "./runner";
import { type ClusterStore, clusterStore } from "./store";
import { reconcile, startSweep } from "./sweep";
import { applyToCluster } from "./tail";
import { makeApp, makeAppsDir, serve } from "./test-cluster";
import { until } from "./test-until";

const authority = vi.hoisted(() => ({
  homes: new Map<string, { clusterId: string; generation: number }>(),
  asked: [] as string[],
  decision: "open",
}));

vi.mock("./authority", () => ({
  TAIL_LIMIT: 500,
  readLog: async () => [],
  homeOf: async (replId: string) => {
    const home = authority.homes.get(replId);
    return home ? { replId, name: "app", owner: "demo", ...home } : null;
  },
  isHome: async (ref: { clusterId: string; replId: string; generation: number }) => {
    const home = authority.homes.get(ref.replId);
    return home?.clusterId === ref.clusterId && home.generation === ref.generation;
  },
  migrationOf: async () => ({ status: authority.decision }),
  askForAbort: async (migrationId: string) => {
    authority.asked.push(migrationId);
    return "aborted";
  },
}));

const NOTES = `
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
createServer((request, response) => {
  if (request.method === "POST") appendFileSync("notes.txt", "x");
  if (request.url === "/env") return response.end(JSON.stringify(process.env));
  let notes = "";
  try { notes = readFileSync("notes.txt", "utf8"); } catch {}
  response.end(notes + "@" + process.env.STELE_CLUSTER);
}).listen(process.env.PORT, process.env.HOST);
`;

let east: ClusterStore;
let west: ClusterStore;
let root: string;
let removeApps: () => void;
let count = 0;
let replId: string;

beforeAll(() => {
  const apps = makeAppsDir();
  ({ root } = apps);
  removeApps = apps.remove;
  process.env.STELE_IDLE_STOP = "2s";
  process.env.STELE_MOVE_DRAIN_MS = "300";
  process.env.STELE_START_TIMEOUT = "5s";
  serve("east", "west");
  east = clusterStore("east");
  west = clusterStore("west");
});

beforeEach(() => {
  replId = `repl${++count}`;
  authority.decision = "open";
});

afterEach(async () => {
  for (const ref of await containerDriver().list()) await containerDriver().stop(ref, 0);
  await db.exec`DELETE FROM proxy_instance`;
  await db.exec`DELETE FROM container`;
});

afterAll(async () => {
  containerDriver().close();
  removeApps();
});

const entry = (kind: "created" | "moved" | "deleted", clusterId: string, generation: number) => ({
  seq: 1,
  kind,
  replId,
  name: "app",
  owner: "demo",
  clusterId,
  fromClusterId: null,
  generation,
  migrationId: null,
  cluster: null,
  hostname: null,
  present: null,
  at: new Date(0).toISOString(),
  traceparent: "",
});

async function create(clusterId = "east"): Promise<void> {
  authority.homes.set(replId, { clusterId, generation: 1 });
  for (const store of [east, west]) await applyToCluster(store, [entry("created", clusterId, 1)]);
}

const home = () => ({ clusterId: "east", replId, generation: 1, ...authority.homes.get(replId) });

async function createAndDeploy(files: Record<string, string> = { "index.mjs": NOTES }) {
  await create();
  return await deploy(home(), makeApp(root, files), undefined);
}

const upstreamOf = async (store: ClusterStore): Promise<string | null> => {
  const route = await store.route(replId);
  return route?.upstreamHost ? `http://${route.upstreamHost}:${route.upstreamPort}` : null;
};

const ask = async (store: ClusterStore, path = "/", method = "GET"): Promise<string> => {
  const response = await fetch(`${await upstreamOf(store)}${path}`, { method });
  return await response.text();
};

/** Longer than any test; shorter where its end is looked at. */
const LEASE_MS = 60_000;

const order = (clusterId: string, generation: number) => ({
  clusterId,
  replId,
  migrationId: "3c8f2b54-0000-4000-8000-000000000000",
  generation,
  leaseMs: LEASE_MS,
});

const stageWest = (generation: number) =>
  moves.stage({ ...order("west", generation), name: "app", owner: "demo", peer: "east" });

const stateOf = async (store: ClusterStore, generation: number) =>
  (await store.container(replId, generation))?.state;

/** A proxy that says what a test wants it to. */
async function proxy(ackedVersion: number, busy: string[] = []): Promise<void> {
  await db.exec`
    INSERT INTO proxy_instance (cluster_id, instance_id, acked_version, busy, lease_until)
    VALUES ('east', 'p1', ${ackedVersion}, ${busy}, now() + interval '1 hour')
    ON CONFLICT (cluster_id, instance_id) DO UPDATE SET acked_version = excluded.acked_version,
      busy = excluded.busy`;
}
const EVERYTHING = 1_000_000_000;

/** So many statements wait for a row that somebody else has locked. */
async function untilWaiting(count: number): Promise<void> {
  await until(`${count} wait for a lock`, async () => {
    const row = await db.queryRow<{ waiting: number }>`
      SELECT count(*)::int AS waiting FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return (row?.waiting ?? 0) >= count;
  });
}

describe("deploy", () => {
  it("starts the app, publishes where it listens, and says what it is", async () => {
    expect(await createAndDeploy()).toEqual({
      release: 1,
      command: "node index.mjs",
      framework: "Node.js",
      clusterId: "east",
    });
    expect(await ask(east)).toBe("@east");
    expect(await upstreamOf(west)).toBeNull();
  });

  it("gives the app nothing of the platform's environment", async () => {
    process.env.STELE_TEST_SECRET = "secret";
    await createAndDeploy();
    const env = JSON.parse(await ask(east, "/env")) as Record<string, string>;
    expect(Object.keys(env).sort()).toEqual(
      (
        "HOME HOST LANG NODE_ENV PATH PORT PWD PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED " +
        "STELE_CLUSTER STELE_CONTAINER STELE_GENERATION STELE_NAME STELE_OWNER STELE_REPL TZ"
      ).split(" "),
    );
    expect(env.STELE_CONTAINER).toBe(`east/${replId}/1`);
  });

  it("keeps what the app wrote when a new release comes", async () => {
    await createAndDeploy();
    await ask(east, "/", "POST");
    const second = await deploy(home(), makeApp(root, { "index.mjs": `${NOTES}//2` }), undefined);
    expect(second.release).toBe(2);
    expect(await ask(east)).toBe("x@east");
  });

  it("says why an app does not start, with its last lines", async () => {
    await create();
    const app = makeApp(root, { "index.mjs": `console.log("no luck"); process.exit(3);` });
    await expect(deploy(home(), app, undefined)).rejects.toThrow(
      /Cannot start repl ".*": exit code 3 before it listened; its last lines:\nno luck/,
    );
    expect(await stateOf(east, 1)).toBe("failed");
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "failed" });
  });

  it("says what it looked for when it recognises nothing", async () => {
    await create();
    const app = makeApp(root, { "readme.txt": "" });
    await expect(deploy(home(), app, undefined)).rejects.toThrow(/looked for .*Procfile/);
    await expect(deploy(home(), "relative", undefined)).rejects.toThrow("an absolute path");
    await expect(deploy(home(), "/nowhere", undefined)).rejects.toThrow("ENOENT");
  });

  it("serves a folder of files", async () => {
    const deployed = await createAndDeploy({ "index.html": "<h1>hi", "a b.txt": "odd" });
    expect(deployed.framework).toBe("static");
    expect(await ask(east)).toBe("<h1>hi");
    expect(await ask(east, "/a%20b.txt")).toBe("odd");
    expect(await ask(east, "/../manifest.json")).toBe("Not found\n");
  });
});

describe("wake", () => {
  it("starts what sleeps, once, however many ask", async () => {
    await createAndDeploy();
    await putToSleep(home());
    expect(await upstreamOf(east)).toBeNull();
    expect(await stateOf(east, 1)).toBe("stopped");
    const woken = await Promise.all(
      Array.from({ length: 20 }, () => wake(wakeKey("east", replId))),
    );
    expect(new Set(woken.map(({ port }) => port)).size).toBe(1);
    expect(woken[0]).toMatchObject({ outcome: "running", generation: 1 });
    expect(await ask(east)).toBe("@east");
  });

  it("is asked again when a freeze called the start off, and was undone before that ended", async () => {
    const slow = `setTimeout(() => import("./notes.mjs"), 1_000);`;
    await createAndDeploy({ "index.mjs": slow, "notes.mjs": NOTES });
    await putToSleep(home());
    const woken = wake(wakeKey("east", replId));
    await until("it starts", async () => (await stateOf(east, 1)) === "starting");
    callOffStart(home(), "a move");
    expect(await woken).toMatchObject({ outcome: "frozen", reason: "its start was called off" });
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "running" });
  });

  it("starts nothing that the authority says is elsewhere", async () => {
    await createAndDeploy();
    await putToSleep(home());
    authority.homes.set(replId, { clusterId: "west", generation: 2 });
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "moved" });
    expect(await stateOf(east, 1)).toBe("stopped");
  });

  it("knows what is not here", async () => {
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "none" });
    await create("west");
    expect(await wake(wakeKey("west", replId))).toMatchObject({
      outcome: "failed",
      reason: "nothing was deployed yet",
    });
  });

  it("comes back after a crash, and a request at that moment waits", async () => {
    await createAndDeploy();
    const { pid } = (await east.container(replId, 1)) ?? {};
    process.kill(pid ?? 0, "SIGKILL");
    await until("the crash is seen", async () => (await stateOf(east, 1)) === "failed");
    expect(await upstreamOf(east)).toBeNull();
    expect((await east.container(replId, 1))?.reason).toBe("signal SIGKILL");
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "running" });
    await restartContainer(home());
    expect(await ask(east)).toBe("@east");
    const lines = await lastLines({ clusterId: "east", replId }, 100);
    expect(lines).toContain("stele: ended by itself: signal SIGKILL");
  });
});

describe("a handoff", () => {
  it("moves files and traffic, and leaves nothing behind", async () => {
    await createAndDeploy();
    await ask(east, "/", "POST");
    expect(await moves.inspect("east", replId)).toMatchObject({
      state: "active",
      generation: 1,
      running: true,
      filesChanged: true,
    });
    expect(await stageWest(2)).toEqual({ outcome: "done", reason: "" });
    const copy = { ...order("west", 2), fromCluster: "east" };
    expect(await moves.copyFiles({ ...copy, final: false })).toMatchObject({ files: 2 });
    await ask(east, "/", "POST");
    expect(await moves.freeze({ ...order("east", 2), cut: false })).toEqual({
      outcome: "frozen",
      wasRunning: true,
      reason: "",
    });
    expect(await stateOf(east, 1)).toBe("stopped");
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "frozen" });
    expect(await moves.copyFiles({ ...copy, final: true })).toMatchObject({ outcome: "done" });
    const booted = await boot(order("west", 2));
    expect(booted.outcome).toBe("done");
    expect(await upstreamOf(west)).toBeNull();
    const verified = await verify(order("west", 2));
    expect(verified).toMatchObject({ outcome: "done", release: 1 });
    expect(verified.leaseLeftMs).toBeGreaterThan(LEASE_MS / 2);
    await moves.activate(order("west", 2));
    expect(await ask(west)).toBe("xx@west");
    await moves.tombstone({ ...order("east", 2), to: "west" });
    expect(await east.route(replId)).toMatchObject({ state: "tombstone", peer: "west" });
    expect(await moves.drainOld({ ...order("east", 2), oldGeneration: 1, waitMs: 0 })).toBe(true);
    await moves.cleanup(order("east", 2));
    expect(await east.container(replId, 1)).toBeNull();
    expect(await east.release(replId, 1)).toBeNull();
    // Its files stay for an undo, and go by themselves.
    const old = generationDir({ clusterId: "east", replId, generation: 1 });
    expect(existsSync(old)).toBe(true);
    await sweepKept(east, { keepMs: 0, maxBytes: EVERYTHING });
    expect(existsSync(old)).toBe(false);
    expect(await wake(wakeKey("east", replId))).toMatchObject({ outcome: "moved", generation: 2 });
  });

  it("names what cannot be moved, and looks again at a folder in which an app has run", async () => {
    await createAndDeploy();
    await stageWest(2);
    const socket = createServer();
    const folder = filesOf(generationDir({ clusterId: "east", replId, generation: 1 }));
    await new Promise<void>((resolve) => socket.listen(join(folder, "app.sock"), resolve));
    const copy = { ...order("west", 2), fromCluster: "east" };
    expect(await moves.copyFiles({ ...copy, final: false })).toMatchObject({
      outcome: "done",
      special: ["app.sock"],
    });
    await new Promise((resolve) => socket.close(resolve));
    await moves.freeze({ ...order("east", 2), cut: false });
    await moves.copyFiles({ ...copy, final: true });
    expect(await boot(order("west", 2))).toMatchObject({ outcome: "done" });
    // A coordinator that was replaced long ago asks for the copy once more, after the app has ended.
    const notes = join(
      filesOf(generationDir({ clusterId: "west", replId, generation: 2 })),
      "notes.txt",
    );
    writeFileSync(notes, "of a boot that was never verified");
    process.kill((await west.container(replId, 2))!.pid!, "SIGKILL");
    await until("it has ended", async () => (await stateOf(west, 2)) === "failed");
    expect(await moves.copyFiles({ ...copy, final: true })).toMatchObject({ outcome: "done" });
    expect(existsSync(notes)).toBe(false);
  });

  it("stays frozen as long as it is told to", async () => {
    await createAndDeploy();
    const before = Date.now();
    await moves.freeze({ ...order("east", 2), cut: false, deadlineMs: 600_000 });
    const row = await db.queryRow<{ deadline: Date }>`
      SELECT freeze_deadline AS deadline FROM route WHERE repl_id = ${replId}`;
    expect(row?.deadline.getTime()).toBeGreaterThanOrEqual(before + 600_000);
  });

  it("comes back to the files it left, with what was written since", async () => {
    await createAndDeploy({ "index.mjs": NOTES, "same.txt": "same", "old.txt": "old" });
    await ask(east, "/", "POST");
    const hand = async (from: ClusterStore, to: ClusterStore, generation: number) => {
      const [source, destination] = [
        order(from.clusterId, generation),
        order(to.clusterId, generation),
      ];
      const staged = { ...destination, name: "app", owner: "demo", peer: from.clusterId };
      expect(await moves.stage(staged)).toMatchObject({ outcome: "done" });
      const copy = { ...destination, fromCluster: from.clusterId };
      const first = await moves.copyFiles({ ...copy, final: false });
      await moves.freeze({ ...source, cut: false });
      await moves.copyFiles({ ...copy, final: true });
      await boot(destination);
      await moves.activate(destination);
      await moves.tombstone({ ...source, to: to.clusterId });
      await moves.cleanup(source);
      return first;
    };
    await hand(east, west, 2);
    await ask(west, "/", "POST");
    // Another content under the same size and time: only a look at the bytes tells.
    const files = (clusterId: string, generation: number) =>
      filesOf(generationDir({ clusterId, replId, generation }));
    const same = join(files("west", 2), "same.txt");
    const { atime, mtime } = statSync(same);
    writeFileSync(same, "else");
    utimesSync(same, atime, mtime);
    rmSync(join(files("west", 2), "old.txt"));
    const { outcome, changedFiles } = await hand(west, east, 3);
    expect(outcome).toBe("done");
    // The notes and the other text; and what was copied in the last moment before, which is looked at.
    expect(changedFiles).toBeGreaterThanOrEqual(2);
    expect(await ask(east)).toBe("xx@east");
    expect(readFileSync(join(files("east", 3), "same.txt"), "utf8")).toBe("else");
    expect(existsSync(join(files("east", 3), "old.txt"))).toBe(false);
    expect(existsSync(generationDir({ clusterId: "east", replId, generation: 1 }))).toBe(false);
    expect(
      existsSync(join(generationDir({ clusterId: "east", replId, generation: 3 }), "kept")),
    ).toBe(false);
  });

  it("brings a release that was deployed after the first copy", async () => {
    await createAndDeploy();
    await stageWest(2);
    const copy = { ...order("west", 2), fromCluster: "east" };
    await moves.copyFiles({ ...copy, final: false });
    const second = NOTES.replace('"@"', '"#"');
    await deploy(home(), makeApp(root, { "index.mjs": second }), undefined);
    await moves.freeze({ ...order("east", 2), cut: false });
    await expect(deploy(home(), makeApp(root, { "index.mjs": "" }), undefined)).rejects.toThrow(
      "is being moved",
    );
    await moves.copyFiles({ ...copy, final: true });
    await boot(order("west", 2));
    expect(await verify(order("west", 2))).toMatchObject({ outcome: "done", release: 2 });
    await moves.activate(order("west", 2));
    expect(await ask(west)).toBe("#west");
  });

  it("ends with nothing left when the repl is deleted after the commit", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    await boot(order("west", 2));
    for (const store of [west, east]) {
      await applyToCluster(store, [entry("moved", "west", 2), entry("deleted", "west", 3)]);
    }
    expect(await moves.activate(order("west", 2))).toMatchObject({ outcome: "done" });
    expect(await moves.tombstone({ ...order("east", 2), to: "west" })).toMatchObject({
      outcome: "done",
    });
    const drain = { ...order("east", 2), oldGeneration: 1, waitMs: 10_000 };
    expect(await moves.drainOld(drain)).toBe(true);
    expect(await moves.cleanup(order("east", 2))).toMatchObject({ outcome: "done" });
    for (const [store, generation] of [
      [east, 1],
      [west, 2],
    ] as const) {
      expect(await store.route(replId)).toMatchObject({ state: "none", deleted: true });
      await until("it is gone", async () => (await stateOf(store, generation)) === undefined);
      expect(existsSync(generationDir({ clusterId: store.clusterId, replId, generation }))).toBe(
        false,
      );
    }
  });

  it("rolled back leaves the source as it was, and fences the destination", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    await moves.freeze({ ...order("east", 2), cut: false });
    await boot(order("west", 2));
    await moves.unstage(order("west", 2));
    expect(await stateOf(west, 2)).toBe("stopped");
    expect(existsSync(generationDir({ clusterId: "west", replId, generation: 2 }))).toBe(false);
    await moves.thaw({ ...order("east", 2), restart: true });
    await until("it runs again", async () => (await upstreamOf(east)) !== null);
    expect(await ask(east)).toBe("@east");
    // What comes late of that move finds the fence.
    expect(await boot(order("west", 2))).toMatchObject({ outcome: "refused" });
    expect(await stageWest(2)).toMatchObject({ outcome: "refused" });
    expect(await moves.freeze({ ...order("east", 2), cut: false })).toMatchObject({
      outcome: "refused",
    });
    expect(await stageWest(3)).toMatchObject({ outcome: "done" });
  });

  it("stops when its boot lease ends, and is home all the same if the commit came first", async () => {
    await createAndDeploy();
    await ask(east, "/", "POST");
    await stageWest(2);
    await moves.freeze({ ...order("east", 2), cut: false });
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: true });
    await boot(order("west", 2));
    expect(await west.renewLease(replId, 2, 0)).toBe(true);
    const sweep = startSweep();
    try {
      await until("it stops", async () => (await stateOf(west, 2)) === "stopped");
    } finally {
      sweep.close();
    }
    expect(await west.route(replId)).toMatchObject({ state: "staged", fence: 2 });
    expect(await boot(order("west", 2))).toMatchObject({ outcome: "refused" });
    await applyToCluster(west, [entry("moved", "west", 2)]);
    authority.homes.set(replId, { clusterId: "west", generation: 2 });
    expect(await wake(wakeKey("west", replId))).toMatchObject({ outcome: "running" });
    expect(await ask(west)).toBe("x@west");
  });

  it("boots nothing for a move that is aborted, however late the command comes", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    authority.decision = "aborted";
    expect(await boot(order("west", 2))).toMatchObject({ outcome: "refused" });
    expect(await stateOf(west, 2)).toBeUndefined();
  });

  it("stops at the end of its boot lease, though nobody looks after it", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    expect(await boot({ ...order("west", 2), leaseMs: 2_000 })).toMatchObject({
      outcome: "done",
    });
    const ref = { clusterId: "west", replId, generation: 2 };
    await until("it stops", async () => !containerDriver().isRunning(ref));
    expect(await verify(order("west", 2))).toMatchObject({ outcome: "refused" });
  });

  it("keeps its deadlines when an older move is closed late", async () => {
    await createAndDeploy();
    await stageWest(3);
    await moves.copyFiles({ ...order("west", 3), fromCluster: "east", final: false });
    await boot(order("west", 3));
    await moves.unstage(order("west", 2));
    expect(await west.leaseLeftMs(replId, 3)).toBeGreaterThan(0);
    await moves.freeze({ ...order("east", 3), cut: false });
    const { migrationId } = order("east", 3);
    await moves.thaw({ ...order("east", 2), restart: false });
    expect(await east.route(replId)).toMatchObject({ state: "frozen", fence: 2, migrationId });
    await db.exec`UPDATE route SET freeze_deadline = now() WHERE repl_id = ${replId}`;
    await moves.thaw({ ...order("east", 1), restart: false });
    expect(await east.route(replId)).toMatchObject({ state: "frozen", freezeEnded: true });
  });

  it("takes a staging back by itself when the move was aborted and nobody says so", async () => {
    await createAndDeploy();
    await stageWest(2);
    const route = await west.route(replId);
    if (!route) throw new Error("it is not staged");
    await moves.settleStaged(west, route);
    expect(await west.route(replId)).toMatchObject({ state: "staged", fence: 0 });
    authority.decision = "aborted";
    await moves.settleStaged(west, route);
    expect(await west.route(replId)).toMatchObject({ state: "none", fence: 2 });
    expect(existsSync(generationDir({ clusterId: "west", replId, generation: 2 }))).toBe(false);
  });

  it("repeats a freeze with the same answer", async () => {
    await createAndDeploy();
    const first = await moves.freeze({ ...order("east", 2), cut: false });
    expect(await moves.freeze({ ...order("east", 2), cut: false })).toEqual(first);
  });

  it("takes a freeze back while a request runs, and cuts it when told to", async () => {
    await createAndDeploy();
    await proxy(EVERYTHING, [replId]);
    expect(await moves.freeze({ ...order("east", 2), cut: false })).toMatchObject({
      outcome: "busy",
    });
    expect(await ask(east)).toBe("@east");
    expect(await east.route(replId)).toMatchObject({ state: "active", fence: 0 });
    expect(await moves.freeze({ ...order("east", 2), cut: true })).toMatchObject({
      outcome: "frozen",
    });
    expect((await east.route(replId))?.cutAt).not.toBeNull();
    expect(await stateOf(east, 1)).toBe("stopped");
  });

  it("stops nothing that is thawed just before it would be stopped", async () => {
    await createAndDeploy();
    await proxy(EVERYTHING, [replId]);
    const freezing = moves.freeze({ ...order("east", 2), cut: false });
    await until("frozen", async () => (await east.route(replId))?.state === "frozen");
    // Whoever wants the route's row waits in the order of arrival: the thaw, then the stop.
    const holder = await db.begin();
    await holder.queryRow`SELECT repl_id FROM route WHERE repl_id = ${replId} FOR UPDATE`;
    const thawing = moves.thaw({ ...order("east", 2), restart: false });
    await untilWaiting(1);
    await proxy(EVERYTHING);
    await untilWaiting(2);
    await holder.commit();
    expect(await thawing).toMatchObject({ outcome: "done" });
    expect(await freezing).toMatchObject({ outcome: "refused", wasRunning: true });
    expect(await stateOf(east, 1)).toBe("running");
    expect(await ask(east)).toBe("@east");
  });

  it("does not stop the source before the proxies have acknowledged the freeze", async () => {
    await createAndDeploy();
    await proxy(0);
    const freezing = moves.freeze({ ...order("east", 2), cut: false });
    await until("frozen", async () => (await east.route(replId))?.state === "frozen");
    expect(await stateOf(east, 1)).toBe("running");
    await proxy(EVERYTHING);
    expect(await freezing).toMatchObject({ outcome: "frozen" });
  });
});

describe("an overlap", () => {
  it("takes no release from the seal on, and is refused when one came after the copy", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    const app = makeApp(root, { "index.mjs": `${NOTES}//2` });
    await deploy(home(), app, undefined);
    expect(await moves.seal({ ...order("east", 2), release: 1 })).toEqual({
      outcome: "refused",
      reason: "release 2 came after release 1 was copied",
    });
    const second = { ...order("east", 3), release: 2 };
    expect(await moves.seal(second)).toMatchObject({ outcome: "done" });
    expect(await moves.seal(second)).toMatchObject({ outcome: "done" });
    await expect(deploy(home(), app, undefined)).rejects.toThrow("is being moved");
    expect(await ask(east)).toBe("@east");
    await moves.thaw({ ...order("east", 3), restart: false });
    expect(await deploy(home(), app, undefined)).toMatchObject({ release: 3 });
  });

  it("is not sealed while a deploy is under way", async () => {
    await createAndDeploy();
    const app = makeApp(root, {
      "index.mjs": `await new Promise((go) => setTimeout(go, 4_000));${NOTES}`,
    });
    const deploying = deploy(home(), app, undefined);
    await until("it is stopped for it", async () => (await upstreamOf(east)) === null);
    await expect(moves.seal({ ...order("east", 2), release: 1 })).rejects.toThrow("under way");
    expect(await deploying).toMatchObject({ release: 2 });
    expect(await east.route(replId)).toMatchObject({ sealedBy: null });
  });

  it("drains the old container: quiet at once, else cut at the deadline", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    await boot(order("west", 2));
    await proxy(EVERYTHING, [replId]);
    await moves.activate(order("west", 2));
    await moves.tombstone({ ...order("east", 2), to: "west" });
    const drain = { ...order("east", 2), oldGeneration: 1 };
    expect(await moves.drainOld({ ...drain, waitMs: 0 })).toBe(false);
    expect(await stateOf(east, 1)).toBe("running");
    await until("cut", async () => {
      await moves.drainOld({ ...drain, waitMs: 0 });
      return (await east.route(replId))?.cutAt instanceof Date;
    });
    expect(await stateOf(east, 1)).toBe("running");
    await proxy(EVERYTHING);
    expect(await moves.drainOld({ ...drain, waitMs: 5_000 })).toBe(true);
    expect(await stateOf(east, 1)).toBe("stopped");
  });
});

describe("the sweep", () => {
  let sweep: ReturnType<typeof startSweep>;
  beforeEach(() => {
    sweep = startSweep();
  });
  afterEach(() => sweep.close());

  it("fences a destination that nobody verifies, and then stops it", async () => {
    await createAndDeploy();
    await stageWest(2);
    await moves.copyFiles({ ...order("west", 2), fromCluster: "east", final: false });
    await boot({ ...order("west", 2), leaseMs: 1_500 });
    await until("fenced", async () => (await west.route(replId))?.fence === 2, 15_000);
    await until("stopped", async () => (await stateOf(west, 2)) === "stopped");
    expect(await verify(order("west", 2))).toMatchObject({ outcome: "refused" });
  });

  it("stops what nobody uses, unless something is open", async () => {
    await createAndDeploy();
    await db.exec`
      INSERT INTO proxy_instance (cluster_id, instance_id, acked_version, lease_until)
      VALUES ('east', 'p1', ${EVERYTHING}, now() + interval '1 hour')`;
    await db.exec`
      INSERT INTO hit (cluster_id, repl_id, instance_id, last_hit, in_flight)
      VALUES ('east', ${replId}, 'p1', now(), 1)`;
    await new Promise((resolve) => {
      setTimeout(resolve, 2_600);
    });
    expect(await stateOf(east, 1)).toBe("running");
    await db.exec`UPDATE hit SET in_flight = 0`;
    await until("asleep", async () => (await stateOf(east, 1)) === "stopped");
    expect((await east.container(replId, 1))?.reason).toBe("nobody used it");
  });

  it("asks for the abort at the freeze's deadline, and does not thaw by itself", async () => {
    await createAndDeploy();
    process.env.STELE_FREEZE_DEADLINE = "5s";
    await moves.freeze({ ...order("east", 2), cut: false });
    await db.exec`UPDATE route SET freeze_deadline = now() WHERE repl_id = ${replId}`;
    await until("asked", () => authority.asked.length > 0);
    expect((await east.route(replId))?.state).toBe("frozen");
  });

  it("starts again what crashed", async () => {
    await createAndDeploy();
    const { pid } = (await east.container(replId, 1)) ?? {};
    process.kill(pid ?? 0, "SIGKILL");
    await until("again", async () => {
      const container = await east.container(replId, 1);
      return container?.state === "running" && container.pid !== pid;
    });
    expect(await ask(east)).toBe("@east");
  });
});

describe("after a restart of the platform", () => {
  it("adopts what is what it was, and ends the rest", async () => {
    await createAndDeploy();
    const before = await east.container(replId, 1);
    containerDriver().close(); // Forgets everything, as a new process knows nothing.
    await reconcile("east");
    expect(containerDriver().isRunning({ clusterId: "east", replId, generation: 1 })).toBe(true);
    expect(await east.container(replId, 1)).toEqual(before);
    expect(await ask(east)).toBe("@east");

    containerDriver().close();
    await db.exec`UPDATE container SET identity = 'other' WHERE repl_id = ${replId}`;
    await reconcile("east");
    expect(await containerDriver().list()).toEqual([]);
    expect(await stateOf(east, 1)).toBe("stopped");
    expect(await upstreamOf(east)).toBeNull();
  });

  it("ends orphans", async () => {
    await createAndDeploy();
    containerDriver().close();
    await db.exec`DELETE FROM container WHERE repl_id = ${replId}`;
    await reconcile("east");
    expect(await containerDriver().list()).toEqual([]);
  });
});

describe("the log", () => {
  it("may come in any order, twice, and beside commands", async () => {
    await createAndDeploy();
    const moved = entry("moved", "west", 2);
    const back = entry("moved", "east", 3);
    await applyToCluster(east, [back, moved, moved, entry("created", "east", 1)]);
    expect(await east.route(replId)).toMatchObject({ state: "active", generation: 3 });
    await applyToCluster(west, [moved]);
    expect(await west.route(replId)).toMatchObject({ state: "active", generation: 2 });
    await applyToCluster(west, [back, moved]);
    expect(await west.route(replId)).toMatchObject({ state: "tombstone", peer: "east" });
  });

  it("deletes: stops, removes, and never comes back", async () => {
    await createAndDeploy();
    const files = filesOf(generationDir({ clusterId: "east", replId, generation: 1 }));
    writeFileSync(join(files, "data"), "");
    expect(readFileSync(join(files, "index.mjs"), "utf8")).toBe(NOTES);
    await applyToCluster(east, [entry("deleted", "east", 1), entry("created", "east", 1)]);
    await until("removed", () => !existsSync(files));
    expect(await east.route(replId)).toMatchObject({ state: "none", deleted: true });
    expect(await containerDriver().list()).toEqual([]);
  });

  it("tells of peers and hostnames by version", async () => {
    const peer = {
      id: "west",
      state: "active" as const,
      ingress: ["127.0.2.1"],
      httpPort: 8080,
      listen: ["127.0.2.1:8080"],
      apiUrl: null,
      publicKey: null,
      removed: false,
    };
    await applyToCluster(east, [
      { ...entry("created", "west", 1), kind: "cluster", replId: null, cluster: peer },
      { ...entry("created", "", 1), kind: "hostname", hostname: "a.example", present: true },
      { ...entry("created", "", 1), kind: "hostname", hostname: "b.example", present: false },
    ]);
    const rows = await db.queryAll`
      SELECT hostname, repl_id FROM hostname WHERE cluster_id = 'east' ORDER BY version`;
    expect(rows).toEqual([
      { hostname: "a.example", repl_id: replId },
      { hostname: "b.example", repl_id: "" },
    ]);
    const known = await db.queryRow`SELECT ingress, listen FROM peer WHERE peer_id = 'west'`;
    expect(known).toEqual({ ingress: ["127.0.2.1"], listen: ["127.0.2.1:8080"] });
  });
});

describe("the database", () => {
  it("lets no generation, fence or version of a route fall", async () => {
    await create();
    await expect(
      db.exec`UPDATE route SET generation = 0 WHERE repl_id = ${replId}`,
    ).rejects.toThrow(/would fall/);
    await db.exec`UPDATE route SET fence = 5 WHERE repl_id = ${replId}`;
    await expect(db.exec`UPDATE route SET fence = 4 WHERE repl_id = ${replId}`).rejects.toThrow(
      /would fall/,
    );
  });

  it("holds one container of a repl that is not retired, and one for each port", async () => {
    await east.starting(replId, 1, 20_500);
    await expect(east.starting(replId, 2, 20_501)).rejects.toThrow(/container_one_not_retired/);
    expect(await east.starting("other", 1, 20_500)).toBe(false);
  });
});
