import log from "encore.dev/log";

import { backoffMs } from "../shared/backoff";
import { type Duty, dutyOf } from "./core/duty";
import { isIdle } from "./core/idle";
import { isLive } from "./core/lifecycle";
import { type ContainerRef, markerOf } from "./drivers/driver";
import { replsOnDisk } from "./host";
import { sweepKept } from "./kept";
import { openClusters } from "./local";
import { rotateLog } from "./logs";
import { askToAbort, carryOut, discardRepl, drainStep, settleStaged } from "./moves";
import { containerDriver, crashed, lock, sleepIfUnused, stopLocked, wake, wakeKey } from "./runner";
import { config } from "./settings";
import { type ClusterStore, clusterStore } from "./store";
import type { AttendedRow, ContainerRow, Route } from "./store-rows";
import { forgetTombstones } from "./tombstones";

/** Deadlines are seconds; a quarter of one late is little against them. */
const EVERY_MS = 250;
/** What is not urgent is done at each so many-th time. */
const IDLE_EVERY = 4;
const LOGS_EVERY = 20;
const ORPHANS_EVERY = 120;
const ASK_AGAIN = { minMs: 500, maxMs: 5_000 };
/** Most stagings are over before; the others are asked about now and then. */
const ASK_STAGED = { minMs: 10_000, maxMs: 60_000 };

interface Sweep {
  close(): void;
}

/** Repairs what a crash, a lost command or a dead coordinator left undone, again and again. */
export function startSweep(): Sweep {
  let round = 0;
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    round++;
    void sweepAll(round).finally(() => {
      isBusy = false;
    });
  }, EVERY_MS);
  return { close: () => clearInterval(timer) };
}

async function sweepAll(round: number): Promise<void> {
  await Promise.all(
    openClusters().map(async (clusterId) => {
      try {
        await sweepCluster(clusterStore(clusterId), round);
      } catch (error) {
        if (round % LOGS_EVERY === 0) {
          log.warn("cannot look after a cluster", { clusterId, error: String(error) });
        }
      }
    }),
  );
}

async function sweepCluster(store: ClusterStore, round: number): Promise<void> {
  for (const route of await store.underWay()) await sweepMove(store, route);
  const attended = await store.attended();
  // To stop one takes seconds, and no other shall wait for it; its lock keeps it to one at a time.
  for (const row of attended) inBackground(row.replId, () => sweepContainer(store, row));
  if (round % IDLE_EVERY === 0) await sweepIdle(store);
  if (round % LOGS_EVERY === 0) {
    for (const { replId } of attended) await rotateLog({ clusterId: store.clusterId, replId });
  }
  if (round % ORPHANS_EVERY === 0) {
    await endOrphans(store);
    await store.forgetDeadProxies();
    tidy(store);
  }
}

const tidying = new Set<string>();

/** What may take long, beside the deadlines that the sweep looks after: never twice at once. */
function tidy(store: ClusterStore): void {
  const { clusterId } = store;
  if (tidying.has(clusterId)) return;
  tidying.add(clusterId);
  void Promise.all([forgetTombstones(store), sweepKept(store)])
    .catch((error: unknown) => {
      log.warn("cannot tidy up a cluster", { clusterId, error: String(error) });
    })
    .finally(() => tidying.delete(clusterId));
}

async function sweepMove(store: ClusterStore, route: Route): Promise<void> {
  const { replId, generation, state, migrationId } = route;
  if (state === "staged" && route.leaseEnded) {
    const command = { kind: "lease_ended", generation } as const;
    const { effects, outcome } = await store.decideRoute(replId, command);
    if (outcome === "done") log.info("boot lease ended", { replId, generation });
    inBackground(replId, () => carryOut(store, replId, effects));
  }
  if (state === "staged") {
    const staged = `${store.clusterId}/${replId}/${generation}`;
    // Not at once: most are over before.
    if (!asked.has(staged)) askedNow(staged, ASK_STAGED);
    if (isDue(staged, ASK_STAGED)) inBackground(replId, () => settleStaged(store, route));
  }
  if (state === "frozen" && route.freezeEnded && migrationId !== null) askAgain(migrationId);
}

function inBackground(replId: string, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    log.warn("cannot look after a repl", { replId, error: String(error) });
  });
}

const asked = new Map<string, { attempts: number; notBefore: number }>();

function askedNow(key: string, backoff: typeof ASK_AGAIN): void {
  const attempts = (asked.get(key)?.attempts ?? 0) + 1;
  // A move ends one day; what is remembered of it is not worth keeping.
  if (asked.size > 1_000) asked.clear();
  const notBefore = performance.now() + backoffMs(attempts, backoff, Math.random());
  asked.set(key, { attempts, notBefore });
}

/** Whether to ask now; if so, it counts as asked. */
function isDue(key: string, backoff: typeof ASK_AGAIN): boolean {
  if (performance.now() < (asked.get(key)?.notBefore ?? 0)) return false;
  askedNow(key, backoff);
  return true;
}

/** The authority may be down: asked with back-off, and never waited for. */
function askAgain(migrationId: string): void {
  if (!isDue(migrationId, ASK_AGAIN)) return;
  askToAbort(migrationId).catch((error: unknown) => {
    log.warn("cannot ask for an abort", { migrationId, error: String(error) });
  });
}

function dutyFor(store: ClusterStore, row: AttendedRow): Duty {
  const { replId, generation, state, retiredAt, autoRestart, restartAt } = row;
  return dutyOf(
    { state: row.routeState, generation: row.routeGeneration, fence: row.routeFence },
    {
      generation,
      state,
      isRetired: retiredAt !== null,
      runs: containerDriver().isRunning({ clusterId: store.clusterId, replId, generation }),
      isDue: autoRestart && (restartAt?.getTime() ?? 0) <= Date.now(),
    },
  );
}

async function sweepContainer(store: ClusterStore, row: AttendedRow): Promise<void> {
  const { replId, generation } = row;
  const ref = { clusterId: store.clusterId, replId, generation };
  if (lock.isHeld(markerOf(ref))) return;
  const duty = dutyFor(store, row);
  switch (duty) {
    case "drain":
      await drainStep(store, ref);
      return;
    case "stop":
    case "lost":
      await lock.run(markerOf(ref), () => endLocked(store, ref, duty));
      return;
    case "restart":
      void wake(wakeKey(ref.clusterId, replId)).catch(() => undefined);
      return;
    case "nothing":
  }
}

/** Since the row was read it may have started, ended, or been given a place: look again, alone. */
async function endLocked(
  store: ClusterStore,
  ref: ContainerRef,
  duty: "stop" | "lost",
): Promise<void> {
  const row = await store.attendedOne(ref.replId, ref.generation);
  if (!row || dutyFor(store, row) !== duty) return;
  if (duty === "lost" && row.retiredAt === null) await crashed(ref, "its process is gone");
  else await stopLocked(store, ref, duty === "lost" ? "it is gone" : "nothing asks for it");
}

async function sweepIdle(store: ClusterStore): Promise<void> {
  for (const { replId, generation, startedAt, lastHitAt, inFlight } of await store.uses()) {
    const use = {
      startedAt: startedAt?.getTime() ?? 0,
      lastHitAt: lastHitAt?.getTime() ?? null,
      inFlight,
    };
    if (!isIdle(use, Date.now(), config().idleStopMs)) continue;
    await sleepIfUnused(store, { clusterId: store.clusterId, replId, generation });
  }
}

/** Processes of ours that no row speaks of. */
async function endOrphans(store: ClusterStore): Promise<void> {
  const found = await containerDriver().list();
  for (const ref of found) {
    if (ref.clusterId !== store.clusterId || lock.isHeld(markerOf(ref))) continue;
    const row = await store.container(ref.replId, ref.generation);
    if (row && isLive(row.state)) continue;
    log.warn("ended a container that nobody knows", { ...ref });
    await containerDriver().stop(ref, config().stopGraceMs);
  }
}

/**
 * What a former process of the platform left: what still is what it was goes on, all else ends. Until
 * this is done no container of the cluster is started.
 */
export async function reconcile(clusterId: string): Promise<void> {
  const store = clusterStore(clusterId);
  const rows = (await store.attended()).filter(({ state }) => isLive(state));
  await Promise.all(rows.map((row) => reconcileOne(store, row)));
  await endOrphans(store);
  for (const replId of replsOnDisk(clusterId)) {
    if ((await store.route(replId))?.deleted) await discardRepl(store, replId);
  }
}

async function reconcileOne(store: ClusterStore, row: ContainerRow): Promise<void> {
  const { replId, generation, pid, identity, upstreamHost: host, upstreamPort: port } = row;
  const ref = { clusterId: store.clusterId, replId, generation };
  if (row.state === "running" && pid && identity && host !== null && port !== null) {
    const isAdopted = await containerDriver().adopt({
      ref,
      pid,
      identity,
      upstream: { host, port },
    });
    if (isAdopted) {
      log.info("container adopted", { ...ref, pid });
      return;
    }
  }
  await lock.run(markerOf(ref), () => stopLocked(store, ref, "the platform was restarted"));
}
