import { existsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

import log from "encore.dev/log";

import { backoffMs } from "../shared/backoff";
import { failpoint } from "../shared/failpoint";
import { singleFlight } from "../shared/single-flight";
import { withSpan } from "../shared/trace";
import { untilQuiet } from "./acks";
import { isHome } from "./authority";
import type { Endpoint } from "./core/ports";
import { isLive } from "./core/lifecycle";
import { afterCrash } from "./core/restart";
import { mayRun, type RouteRow } from "./core/route";
import {
  type ContainerDriver,
  type ContainerRef,
  type DriverEvents,
  type Incarnation,
  markerOf,
} from "./drivers/driver";
import { ProcessDriver } from "./drivers/process";
import { filesOf } from "./file-tree";
import { ownFolder } from "./files";
import { generationDir, host, logFile, makeGenerationDir, openGenerationDir } from "./host";
import { KeyedLock } from "./keyed-lock";
import { appendToLog } from "./logs";
import { config } from "./settings";
import { type ClusterStore, clusterStore } from "./store";
import type { ContainerRow, Release } from "./store-rows";
import { portRangeOf } from "./ports-of-cluster";

/** A request that comes just after a crash waits for the restart rather than fail. */
const BACKOFF_PATIENCE_MS = 2_000;
/** What is in flight when a container is stopped on purpose: first asked, then cut, then ended. */
const DRAIN_MS = 5_000;
const CUT_MS = 2_000;
/** A database that is started again is back within a second or two; requests are held for 10 s. */
const NOTED_MS = 5_000;
const NOTE_AGAIN = { minMs: 20, maxMs: 500 };

export interface WakeOutcome {
  readonly outcome: "running" | "frozen" | "moved" | "failed" | "none";
  readonly generation: number;
  readonly host: string;
  readonly port: number;
  /** For the owner: why it is not running. */
  readonly reason: string;
}

/** Work on one container is done by one at a time. */
export const lock = new KeyedLock();

/** The starts under way, so that a freeze need not wait for them. */
const starts = new Map<string, AbortController>();

/** Clusters whose log was read to its end since this process began. */
const caughtUp = new Set<string>();

export function markCaughtUp(clusterId: string): void {
  caughtUp.add(clusterId);
}

let driver: ContainerDriver | undefined;

const events: DriverEvents = {
  onExit: (ref, { reason }) => {
    crashed(ref, reason).catch((error: unknown) => {
      // The sweep finds a row whose container does not run.
      log.warn("cannot record the end of a container", { ...refFields(ref), error: String(error) });
    });
  },
  onIncarnation: (ref, { pid, identity }) => {
    clusterStore(ref.clusterId)
      .spawned(ref.replId, ref.generation, pid, identity)
      .catch((error: unknown) => {
        log.warn("cannot record a container's process", {
          ...refFields(ref),
          error: String(error),
        });
      });
  },
};

/** What runs the containers of this process. */
export function containerDriver(): ContainerDriver {
  driver ??= new ProcessDriver(host().appsDir, host().launcher, events);
  return driver;
}

/** For logs: just what names it. */
export function refFields({
  clusterId,
  replId,
  generation,
}: ContainerRef): Record<string, string | number> {
  return { clusterId, replId, generation };
}

const refOf = (store: ClusterStore, replId: string, generation: number): ContainerRef => ({
  clusterId: store.clusterId,
  replId,
  generation,
});

/** Starts what is asleep; once, however many ask. Rejects only when the database cannot be asked. */
export const wake = singleFlight(async (key: string): Promise<WakeOutcome> => {
  const [clusterId = "", replId = ""] = key.split("/");
  const store = clusterStore(clusterId);
  const route = await store.route(replId);
  const refusal = refusalOf(route);
  if (refusal || !route) return refusal ?? answer("none", 0);
  const ref = refOf(store, replId, route.generation);
  return await lock.run(markerOf(ref), () => wakeLocked(store, ref));
});

/** What `wake` takes: it shares its outcome by this key. */
export function wakeKey(clusterId: string, replId: string): string {
  return `${clusterId}/${replId}`;
}

function answer(
  outcome: WakeOutcome["outcome"],
  generation: number,
  reason = "",
  at: Endpoint = { host: "", port: 0 },
): WakeOutcome {
  return { outcome, generation, host: at.host, port: at.port, reason };
}

/** Null when its container may run. */
function refusalOf(route: RouteRow | null): WakeOutcome | null {
  if (!route) return answer("none", 0);
  if (route.state === "active") return null;
  if (route.state === "frozen") return answer("frozen", route.generation, "it is being moved");
  if (route.state === "tombstone") return answer("moved", route.generation);
  return answer("none", route.generation);
}

async function wakeLocked(store: ClusterStore, ref: ContainerRef): Promise<WakeOutcome> {
  const { replId, generation } = ref;
  const route = await store.route(replId);
  const refusal = refusalOf(route);
  if (refusal) return refusal;
  if (route?.generation !== generation) return answer("moved", route?.generation ?? 0);
  const container = await store.container(replId, generation);
  const upstream = container && upstreamOf(container);
  if (upstream && containerDriver().isRunning(ref)) {
    if (route.upstreamHost === null) await store.publish(replId, generation);
    return answer("running", generation, "", upstream);
  }
  return (
    (await backoffReason(ref, container)) ??
    (await strangerReason(ref)) ??
    (await startLocked(store, ref, container))
  );
}

/** After a crash it is not started at once, however often it is asked for. */
async function backoffReason(
  { generation }: ContainerRef,
  container: ContainerRow | null,
): Promise<WakeOutcome | null> {
  if (!container?.restartAt) return null;
  const waitMs = container.restartAt.getTime() - Date.now();
  if (waitMs > BACKOFF_PATIENCE_MS) {
    return answer("failed", generation, container.reason ?? "it failed");
  }
  if (waitMs > 0) await delay(waitMs);
  return null;
}

function upstreamOf({ state, upstreamHost, upstreamPort }: ContainerRow): Endpoint | null {
  const isUp = state === "running" && upstreamHost !== null && upstreamPort !== null;
  return isUp ? { host: upstreamHost, port: upstreamPort } : null;
}

/**
 * A host that was down may not know that the repl has moved: before it has read the log to its end, it
 * asks the authority (design section 4, rule 4). Where that is away, the cluster's own route decides: a
 * move that allows one writer freezes it in this database before its commit. What `overlap` moves may
 * run twice by its nature.
 */
async function strangerReason(ref: ContainerRef): Promise<WakeOutcome | null> {
  if (caughtUp.has(ref.clusterId)) return null;
  try {
    return (await isHome(ref)) ? null : answer("moved", ref.generation);
  } catch (error) {
    log.warn("cannot ask whether a repl lives here: its route says so", {
      ...refFields(ref),
      reason: (error as Error).message,
    });
    return null;
  }
}

/**
 * Starts a container, under its lock. Its route says so in the same transaction as its row, if it is
 * active by then; a route that was frozen or fenced meanwhile wins, and the container is stopped.
 */
export async function startLocked(
  store: ClusterStore,
  ref: ContainerRef,
  before: ContainerRow | null,
): Promise<WakeOutcome> {
  const { replId, generation } = ref;
  const release = await store.release(replId, generation);
  if (!release || !existsSync(filesOf(generationDir(ref)))) {
    return answer("failed", generation, "nothing was deployed yet");
  }
  const abort = new AbortController();
  starts.set(markerOf(ref), abort);
  try {
    const upstream = await launch(store, ref, release, abort.signal);
    await noted(() => store.running(replId, generation, upstream), abort.signal);
    const route = await store.route(replId);
    const isWanted = route !== null && mayRun(route, generation);
    if (isWanted && !abort.signal.aborted) return answer("running", generation, "", upstream);
    await stopLocked(store, ref, "its route changed while it started");
    return refusalOf(route) ?? calledOff(generation);
  } catch (error) {
    return await startFailed(store, ref, { before, signal: abort.signal, error: error as Error });
  } finally {
    starts.delete(markerOf(ref));
  }
}

/** By a freeze that is over already, since it was undone: not the app's fault, and whoever waits asks again. */
function calledOff(generation: number): WakeOutcome {
  return answer("frozen", generation, "its start was called off");
}

/** The database may be away for a moment, which is no fault of the app: its start waits. */
async function noted<T>(write: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const end = performance.now() + NOTED_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (signal.aborted || performance.now() > end) throw error;
      await delay(backoffMs(attempt, NOTE_AGAIN, Math.random()));
    }
  }
}

interface FailedStart {
  readonly before: ContainerRow | null;
  readonly signal: AbortSignal;
  readonly error: Error;
}

async function startFailed(
  store: ClusterStore,
  ref: ContainerRef,
  { before, signal, error }: FailedStart,
): Promise<WakeOutcome> {
  const { replId, generation } = ref;
  if (signal.aborted) {
    await store.ended(replId, generation, { ...STOPPED, reason: "its start was called off" });
    return refusalOf(await store.route(replId)) ?? calledOff(generation);
  }
  const crash = afterCrash({ crashes: before?.crashes ?? 0, upMs: 0 }, Math.random());
  await store.ended(replId, generation, {
    state: "failed",
    reason: error.message,
    crashes: crash.crashes,
    restartAt: new Date(Date.now() + crash.waitMs),
    autoRestart: crash.automatic,
  });
  appendToLog(ref, `cannot start: ${error.message}`);
  log.info("container failed to start", { ...refFields(ref), reason: error.message });
  return answer("failed", generation, error.message);
}

const STOPPED = { state: "stopped", crashes: 0, restartAt: null, autoRestart: false } as const;

async function launch(
  store: ClusterStore,
  ref: ContainerRef,
  { command }: Release,
  signal: AbortSignal,
): Promise<Endpoint> {
  const { replId, generation } = ref;
  const uid = await uidOf(store, replId);
  const directory = filesOf(generationDir(ref));
  if (uid !== null && statSync(directory).uid !== uid) {
    await ownFolder({ generationDir: generationDir(ref), uid });
  }
  makeGenerationDir(ref, uid);
  openGenerationDir(ref, uid);
  const port = await claimPort(store, ref);
  await failpoint("containers.start.claimed", replId);
  const route = await store.route(replId);
  const spec = {
    ref,
    directory,
    logFile: logFile(ref),
    command,
    env: { STELE_OWNER: route?.owner ?? "", STELE_NAME: route?.name ?? "" },
    port,
    uid,
    startTimeoutMs: config().startTimeoutMs,
  };
  const onSpawned = async ({ pid, identity }: Incarnation): Promise<void> => {
    await failpoint("containers.start.spawned", replId);
    await noted(() => store.spawned(replId, generation, pid, identity), signal);
  };
  const { upstream } = await withSpan("containers.start_process", {}, () =>
    containerDriver().start(spec, onSpawned, signal),
  );
  await failpoint("containers.start.listening", replId);
  return upstream;
}

/**
 * Clusters of one machine share no user as long as each has fewer repls than this, and user ids stay
 * below 65 536, which is all that a container of the platform itself may have.
 */
const USERS_PER_CLUSTER = 5_000;
const users = new Map<string, number>();

/** The user that a repl's container runs as; null for the platform's own. */
export async function uidOf(store: ClusterStore, replId: string): Promise<number | null> {
  if (!host().usersApart) return null;
  const key = wakeKey(store.clusterId, replId);
  const known = users.get(key);
  if (known !== undefined) return known;
  const { ordinal } = await portRangeOf(store.clusterId);
  const number = await store.userNumber(replId);
  const uid = config().firstUid + ordinal * USERS_PER_CLUSTER + number;
  users.set(key, uid);
  return uid;
}

/** A free port of the cluster's range, taken by the container's row. */
async function claimPort(store: ClusterStore, ref: ContainerRef): Promise<number> {
  const { first, count } = await portRangeOf(store.clusterId);
  const taken = await store.livePorts();
  // From a random place: a port that was just given up may still be dialled by mistake.
  const start = Math.floor(Math.random() * count);
  for (let step = 0; step < count; step++) {
    const port = first + ((start + step) % count);
    if (taken.has(port) || !(await isFree(port))) continue;
    if (await store.starting(ref.replId, ref.generation, port)) return port;
  }
  throw new Error(`no free port from ${first} to ${first + count - 1}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** Calls a start off, if one is under way; its lock is free soon after. */
export function callOffStart(ref: ContainerRef, reason: string): void {
  starts.get(markerOf(ref))?.abort(new Error(reason));
}

/** Stops a container, under its lock; whatever it has in flight ends with it. */
export async function stopLocked(
  store: ClusterStore,
  ref: ContainerRef,
  reason: string,
): Promise<void> {
  await store.stopping(ref.replId, ref.generation);
  await endLocked(store, ref, reason);
}

/** Ends a container whose row says `stopping`, under its lock. */
export async function endLocked(
  store: ClusterStore,
  { replId, generation }: ContainerRef,
  reason: string,
): Promise<void> {
  const ref = refOf(store, replId, generation);
  await failpoint("containers.stop.row", replId);
  await containerDriver().stop(ref, config().stopGraceMs);
  await failpoint("containers.stop.gone", replId);
  await store.ended(replId, generation, { ...STOPPED, reason });
  appendToLog(ref, `stopped: ${reason}`);
}

/** Takes the container out of service for requests that wait, then stops it; under its lock. */
export async function drainAndStopLocked(
  store: ClusterStore,
  ref: ContainerRef,
  reason: string,
): Promise<void> {
  const version = await store.withdraw(ref.replId, ref.generation);
  if (version !== null && !(await untilQuiet(store, ref.replId, version, { waitMs: DRAIN_MS }))) {
    const cut = await store.cut(ref.replId);
    await untilQuiet(store, ref.replId, cut, { waitMs: CUT_MS });
  }
  await stopLocked(store, ref, reason);
}

/**
 * Puts a container to sleep that nobody uses. False when somebody came: then it goes on, and nobody
 * has noticed.
 */
export async function sleepIfUnused(store: ClusterStore, ref: ContainerRef): Promise<boolean> {
  const key = markerOf(ref);
  if (lock.isHeld(key)) return false;
  return await lock.run(key, async () => {
    const version = await store.withdraw(ref.replId, ref.generation);
    if (version === null) return false;
    const isAbandoned = (): boolean => lock.waitingFor(key) > 0;
    const quiet = await untilQuiet(store, ref.replId, version, { waitMs: CUT_MS, isAbandoned });
    if (!quiet || isAbandoned()) {
      await store.publish(ref.replId, ref.generation);
      return false;
    }
    await stopLocked(store, ref, "nobody used it");
    return true;
  });
}

/** A container ended by itself: no proxy dials it from here on, and it may come back after a while. */
export async function crashed(ref: ContainerRef, reason: string): Promise<void> {
  const store = clusterStore(ref.clusterId);
  const container = await store.container(ref.replId, ref.generation);
  if (!container || !isLive(container.state)) return;
  const upMs = container.startedAt ? Date.now() - container.startedAt.getTime() : 0;
  const crash = afterCrash({ crashes: container.crashes, upMs }, Math.random());
  const isFirst = await store.ended(ref.replId, ref.generation, {
    state: "failed",
    reason,
    crashes: crash.crashes,
    restartAt: new Date(Date.now() + crash.waitMs),
    autoRestart: crash.automatic,
  });
  // The driver tells of it and the sweep sees it; it is one crash.
  if (!isFirst) return;
  appendToLog(ref, `ended by itself: ${reason}`);
  log.info("container ended by itself", { ...refFields(ref), reason, crashes: crash.crashes });
}
