import { setTimeout as delay } from "node:timers/promises";

import { APIError } from "encore.dev/api";
import log from "encore.dev/log";

import { failpoint } from "../shared/failpoint";
import { isShuttingDown } from "../shared/hosting";
import { untilQuiet } from "./acks";
import { withSpan } from "../shared/trace";
import { askForAbort, migrationOf } from "./authority";
import { endBootLease } from "./boot-lease";
import { callOffCopy, copyRound } from "./copies";
import { isLive } from "./core/lifecycle";
import { isLeftOver, mayBoot, type RouteCommand, type RouteEffect } from "./core/route";
import { type ContainerRef, markerOf } from "./drivers/driver";
import { shown } from "./file-names";
import { filesChanged, removeFolder } from "./files";
import {
  closeGenerationDir,
  generationDir,
  generationsOnDisk,
  makeGenerationDir,
  replFolder,
} from "./host";
import { keepNewest, takeKept } from "./kept";
import { kickTail } from "./kick";
import {
  callOffStart,
  containerDriver,
  endLocked,
  lock,
  stopLocked,
  uidOf,
  wake,
  wakeKey,
} from "./runner";
import { config } from "./settings";
import { type ClusterStore, clusterStore } from "./store";
import { forgetKept } from "./store-kept";
import type { Route, RouteChange, RouteDetails } from "./store-rows";

/** What every command carries. */
export interface MoveCommand {
  readonly clusterId: string;
  readonly replId: string;
  readonly migrationId: string;
  readonly generation: number;
}

export interface CommandOutcome {
  readonly outcome: "done" | "refused";
  readonly reason: string;
}

export interface FreezeOutcome {
  readonly outcome: "frozen" | "busy" | "refused";
  readonly wasRunning: boolean;
  readonly reason: string;
}

/** Requests in flight get so long to end before a freeze counts as busy (design section 4). */
const IN_FLIGHT_MS = 2_000;
/** What a freeze must end, after it has asked what to cut. */
const CUT_MS = 2_000;
/** A cluster may hear of an older move a moment after the coordinator has begun the next. */
const HEARSAY_MS = 2_000;
const HEARSAY_EVERY_MS = 25;
/** Why a container is not there that the freeze of its move has stopped. */
const STOPPED_FOR_MOVE = "it is being moved";

const DONE: CommandOutcome = { outcome: "done", reason: "" };
const refused = (reason: string): CommandOutcome => ({ outcome: "refused", reason });

const refOf = ({ clusterId, replId }: MoveCommand, generation: number): ContainerRef => ({
  clusterId,
  replId,
  generation,
});

function toResult({ outcome, reason }: RouteChange): CommandOutcome {
  return outcome === "refused" ? refused(reason) : DONE;
}

/**
 * Decides a command that is refused while the cluster has not heard of an earlier move; the refusal is
 * final for the coordinator, so the log is read first.
 */
async function decideInformed(
  store: ClusterStore,
  replId: string,
  command: RouteCommand,
  details: RouteDetails,
): Promise<RouteChange> {
  const end = performance.now() + HEARSAY_MS;
  for (;;) {
    const change = await store.decideRoute(replId, command, details);
    const { state, generation, fence } = change.row;
    const isOlder = "generation" in command && generation < command.generation;
    const mayChange = isOlder && "generation" in command && fence < command.generation;
    if (change.outcome !== "refused" || !mayChange || performance.now() > end) return change;
    if (state === "frozen") return change;
    kickTail();
    await delay(HEARSAY_EVERY_MS);
  }
}

export interface Inspection {
  readonly state: string;
  readonly generation: number;
  readonly running: boolean;
  readonly filesChanged: boolean;
  readonly fileBytes: number;
}

/** A process that ends finishes what requests are held for, and lets the rest wait for its successor. */
function beginNothingAtTheEnd(): void {
  if (isShuttingDown()) throw APIError.unavailable("Cannot begin a move here: this process ends");
}

/** What the choice of a mode needs to know. */
export async function inspect(clusterId: string, replId: string): Promise<Inspection> {
  const route = await clusterStore(clusterId).route(replId);
  const { state = "none", generation = 0 } = route ?? {};
  const ref = { clusterId, replId, generation };
  const running = state !== "none" && containerDriver().isRunning(ref);
  const { changed, bytes } = await filesChanged({ generationDir: generationDir(ref) });
  return { state, generation, running, filesChanged: changed, fileBytes: bytes };
}

export async function stage(
  command: MoveCommand & { name: string; owner: string; peer: string },
): Promise<CommandOutcome> {
  beginNothingAtTheEnd();
  const { clusterId, replId, generation, peer, name, owner, migrationId } = command;
  const store = clusterStore(clusterId);
  const details = { name, owner, migrationId };
  const change = await decideInformed(store, replId, { kind: "stage", generation, peer }, details);
  await carryOut(store, replId, change.effects);
  if (change.outcome === "refused") return refused(change.reason);
  await failpoint("containers.stage.row", replId);
  const ref = refOf(command, generation);
  await takeKept(store, ref);
  makeGenerationDir(ref, await uidOf(store, replId));
  return DONE;
}

export interface CopyOutcome extends CommandOutcome {
  readonly files: number;
  readonly bytes: number;
  readonly changedFiles: number;
  readonly changedBytes: number;
  readonly unsettledBytes: number;
  readonly ms: number;
  readonly special: string[];
}

const COPIED_NOTHING = {
  files: 0,
  bytes: 0,
  changedFiles: 0,
  changedBytes: 0,
  unsettledBytes: 0,
  ms: 0,
  special: [],
};
/** For people: a folder of a thousand sockets needs no thousand names. */
const MAX_NAMED = 100;

/** One round of the copy, drawn by the destination into its own folder of this generation. */
export async function copyFiles(
  command: MoveCommand & { fromCluster: string; final: boolean },
): Promise<CopyOutcome> {
  const { clusterId, replId, migrationId, generation, fromCluster, final } = command;
  // The last round is drawn: requests are held for it.
  if (!final) beginNothingAtTheEnd();
  const store = clusterStore(clusterId);
  const route = await store.route(replId);
  if (!route || !mayBoot(route, generation)) {
    return { ...COPIED_NOTHING, ...refused(`generation ${generation} is not staged here`) };
  }
  const ref = refOf(command, generation);
  const order = { replId, migrationId, generation, fromCluster, final };
  const begun = performance.now();
  const { special, release, ...copied } = await copyRound(ref, order, async () => {
    const booted = await store.container(replId, generation);
    // Repeated late: a container that runs has files of its own by now.
    if (booted && isLive(booted.state)) return null;
    const uid = await uidOf(store, replId);
    return { generationDir: makeGenerationDir(ref, uid), uid };
  });
  await failpoint(`containers.${final ? "copy_delta" : "copy_files"}.copied`, replId);
  if (release) await store.putRelease(replId, generation, release);
  const ms = performance.now() - begun;
  return { ...copied, ...DONE, ms, special: special.slice(0, MAX_NAMED).map(shown) };
}

interface FreezeCommand extends MoveCommand {
  readonly cut: boolean;
  /** Until it asks for the abort; the setting's when absent. */
  readonly deadlineMs?: number;
}

const freezing = new Map<string, Promise<FreezeOutcome>>();

/** Holds the repl's requests and stops its container. Repeated while it runs, it is one freeze. */
export async function freeze(command: FreezeCommand): Promise<FreezeOutcome> {
  const key = `${command.clusterId}/${command.replId}/${command.generation}`;
  const under = freezing.get(key);
  if (under) return await under;
  const started = freezeOnce(command).finally(() => freezing.delete(key));
  freezing.set(key, started);
  return await started;
}

async function freezeOnce(command: FreezeCommand): Promise<FreezeOutcome> {
  const { clusterId, replId, generation, migrationId } = command;
  const { deadlineMs = config().freezeDeadlineMs } = command;
  const store = clusterStore(clusterId);
  if (isShuttingDown() && (await store.route(replId))?.state !== "frozen") {
    return { outcome: "busy", wasRunning: false, reason: "the cluster's process ends" };
  }
  const change = await decideInformed(
    store,
    replId,
    { kind: "freeze", generation },
    { migrationId, freezeDeadline: new Date(Date.now() + deadlineMs) },
  );
  if (change.outcome === "refused") {
    return { outcome: "refused", wasRunning: false, reason: change.reason };
  }
  await failpoint("containers.freeze.row", replId);
  const ref = refOf(command, change.row.generation);
  callOffStart(ref, STOPPED_FOR_MOVE);
  const frozen = await soon(markerOf(ref), () => stopFrozen(store, ref, command, change.version));
  if (frozen) return frozen;
  await store.decideRoute(replId, { kind: "unfreeze", generation });
  return { outcome: "busy", wasRunning: true, reason: "a deploy or a start is under way" };
}

/** The lock, if it is free within the time that requests in flight would get. */
async function soon<T>(key: string, work: () => Promise<T>): Promise<T | null> {
  let isLate = false;
  let hasBegun = false;
  const waiting = lock.run(key, async () => {
    if (isLate) return null;
    hasBegun = true;
    return await work();
  });
  await Promise.race([waiting, delay(IN_FLIGHT_MS, undefined, { ref: false })]);
  if (hasBegun) return await waiting;
  isLate = true;
  return null;
}

async function stopFrozen(
  store: ClusterStore,
  ref: ContainerRef,
  { replId, generation, cut }: FreezeCommand,
  version: number,
): Promise<FreezeOutcome> {
  const container = await store.container(replId, ref.generation);
  if (!container || !isLive(container.state)) {
    const wasRunning = container?.reason === STOPPED_FOR_MOVE;
    return { outcome: "frozen", wasRunning, reason: "" };
  }
  const wasRunning = container.state === "running";
  const quiet = await withSpan("containers.await_proxies", {}, () =>
    untilQuiet(store, replId, version, { waitMs: IN_FLIGHT_MS }),
  );
  if (!quiet && !cut) {
    await store.decideRoute(replId, { kind: "unfreeze", generation });
    return { outcome: "busy", wasRunning, reason: "requests are in flight" };
  }
  if (!quiet) {
    await untilQuiet(store, replId, await store.cut(replId), { waitMs: CUT_MS });
  }
  await failpoint("containers.freeze.quiet", replId);
  if (!(await store.stoppingFrozen(replId, ref.generation, generation))) {
    return { outcome: "refused", wasRunning, reason: "the move was called off meanwhile" };
  }
  await withSpan("containers.stop", {}, () => endLocked(store, ref, STOPPED_FOR_MOVE));
  return { outcome: "frozen", wasRunning, reason: "" };
}

/**
 * Source, of a move that holds nothing: from now on no release comes in, unless one has come since
 * the destination took its copy. Requests are served as before.
 */
export async function seal(command: MoveCommand & { release: number }): Promise<CommandOutcome> {
  const { clusterId, replId, generation, release, migrationId } = command;
  const store = clusterStore(clusterId);
  const home = (await store.route(replId))?.generation ?? 0;
  const sealed = await soon(markerOf(refOf(command, home)), async () => {
    const here = (await store.release(replId, home))?.release ?? 0;
    if (here !== release)
      return refused(`release ${here} came after release ${release} was copied`);
    const order = { kind: "seal", generation } as const;
    const decided = await store.decideRoute(replId, order, { migrationId });
    await failpoint("containers.seal.row", replId);
    return toResult(decided);
  });
  if (sealed) return sealed;
  throw APIError.unavailable(`Cannot seal repl "${replId}": a deploy or a start is under way`);
}

type AppliedCommand = Extract<
  RouteCommand,
  { readonly kind: "activate" | "tombstone" | "unstage" | "thaw" }
>;

/** A command that is a change of the route and what follows from it. */
async function apply(command: MoveCommand, change: AppliedCommand): Promise<CommandOutcome> {
  const store = clusterStore(command.clusterId);
  const decided = await store.decideRoute(command.replId, change);
  await failpoint(`containers.${change.kind}.row`, command.replId);
  await carryOut(store, command.replId, decided.effects);
  return toResult(decided);
}

export async function activate(command: MoveCommand): Promise<CommandOutcome> {
  return await apply(command, { kind: "activate", generation: command.generation });
}

export async function tombstone(command: MoveCommand & { to: string }): Promise<CommandOutcome> {
  const { generation, to } = command;
  return await apply(command, { kind: "tombstone", generation, to });
}

/** Fenced first, durably; then stopped. Only then is it said. */
export async function unstage(command: MoveCommand): Promise<CommandOutcome> {
  const { clusterId, generation } = command;
  const result = await apply(command, { kind: "unstage", generation });
  // A repetition finds the row as it should be; the container may still be on its way down.
  await stopAndDiscard(clusterStore(clusterId), refOf(command, generation));
  return result;
}

export async function thaw(command: MoveCommand & { restart: boolean }): Promise<CommandOutcome> {
  const result = await apply(command, { kind: "thaw", generation: command.generation });
  if (command.restart) void wakeAgain(command);
  return result;
}

async function wakeAgain({ clusterId, replId }: MoveCommand): Promise<void> {
  try {
    await wake(wakeKey(clusterId, replId));
  } catch (error) {
    // The next request wakes it.
    log.warn("cannot start a thawed repl", { clusterId, replId, error: String(error) });
  }
}

/** What follows from a change of the route. A crash before it leaves it to the sweep. */
export async function carryOut(
  store: ClusterStore,
  replId: string,
  effects: readonly RouteEffect[],
): Promise<void> {
  for (const { kind, generation } of effects) {
    const ref = { clusterId: store.clusterId, replId, generation };
    // The upstream is published with the row, and the sweep drains what is retired.
    if (kind === "publish_upstream") endBootLease(ref);
    if (kind === "stop_container") await stopUnwanted(store, ref);
    if (kind === "discard_files") await discardFiles(store, ref);
  }
}

/** Stops a container that may not run, and removes its files. Not there any more is no error. */
export async function stopAndDiscard(store: ClusterStore, ref: ContainerRef): Promise<void> {
  await stopUnwanted(store, ref);
  await failpoint("containers.unstage.stopped", ref.replId);
  await discardFiles(store, ref);
}

async function stopUnwanted(store: ClusterStore, ref: ContainerRef): Promise<void> {
  callOffStart(ref, "the move was called off");
  await lock.run(markerOf(ref), async () => {
    const route = await store.route(ref.replId);
    if (route && !isLeftOver(route, ref.generation)) return;
    const container = await store.container(ref.replId, ref.generation);
    if (container && isLive(container.state)) await stopLocked(store, ref, "it is not needed here");
  });
}

/** Not those of a generation that has a place here, or may yet get it. */
async function discardFiles(store: ClusterStore, ref: ContainerRef): Promise<void> {
  await lock.run(markerOf(ref), async () => {
    const route = await store.route(ref.replId);
    if (route?.generation === ref.generation && route.state !== "none") return;
    await callOffCopy(ref);
    closeGenerationDir(ref);
    await removeFolder({ directory: generationDir(ref) });
  });
}

/**
 * One step of ending a container that a newer generation has replaced: it goes when nothing is in
 * flight on it, or some time after the drain deadline. True when it is gone.
 */
export async function drainStep(store: ClusterStore, ref: ContainerRef): Promise<boolean> {
  const { replId, generation } = ref;
  const container = await store.container(replId, generation);
  if (!container || !isLive(container.state)) return true;
  const route = await store.route(replId);
  if (!route || !container.retiredAt || lock.isHeld(markerOf(ref))) return false;
  const late = Date.now() - container.retiredAt.getTime() - config().moveDrainMs;
  const quiet = await store.isQuiet(replId, route.version);
  if (!quiet && late >= 0 && route.cutAt === null) await store.cut(replId);
  if (!quiet && late < CUT_MS) return false;
  await failpoint("containers.drain_old.quiet", replId);
  await lock.run(markerOf(ref), async () => {
    const still = await store.container(replId, generation);
    if (still && isLive(still.state)) await stopLocked(store, ref, "it has moved");
  });
  return true;
}

/** Waits for the old container of a move to end; false when it still runs after `waitMs`. */
export async function drainOld(
  command: MoveCommand & { oldGeneration: number; waitMs: number },
): Promise<boolean> {
  const store = clusterStore(command.clusterId);
  const ref = refOf(command, command.oldGeneration);
  const end = performance.now() + command.waitMs;
  for (;;) {
    if (await drainStep(store, ref)) return true;
    const route = await store.route(command.replId);
    const leftMs = end - performance.now();
    if (!route || leftMs <= 0) return false;
    await untilQuiet(store, command.replId, route.version, { waitMs: Math.min(leftMs, 250) });
  }
}

/**
 * Removes the folders of all generations that are neither the route's nor still run. The last one that
 * was home stays for an undo, for a while, and nothing starts from it.
 */
export async function cleanup({
  clusterId,
  replId,
  generation: leftFor,
}: MoveCommand): Promise<CommandOutcome> {
  const store = clusterStore(clusterId);
  const route = await store.route(replId);
  const isHere =
    route?.state === "active" || route?.state === "frozen" || route?.state === "staged";
  const live = (await store.containersOf(replId)).filter(({ state }) => isLive(state));
  const needed = new Set(live.map(({ generation }) => generation));
  if (isHere) needed.add(route.generation);
  const old = generationsOnDisk(clusterId, replId).filter((one) => !needed.has(one));
  const stays =
    isHere || route?.deleted
      ? null
      : await keepNewest(store, replId, { generations: old, leftFor });
  await failpoint("containers.cleanup.kept", replId);
  for (const generation of old) {
    if (generation !== stays) {
      closeGenerationDir({ clusterId, replId, generation });
      await removeFolder({ directory: generationDir({ clusterId, replId, generation }) });
    }
    await failpoint("containers.cleanup.removed", replId);
    await store.forgetGeneration(replId, generation);
  }
  return DONE;
}

/** After a deletion: everything of the repl stops, and nothing of it stays. */
export async function discardRepl(store: ClusterStore, replId: string): Promise<void> {
  for (const { generation } of await store.containersOf(replId)) {
    await stopAndDiscard(store, { clusterId: store.clusterId, replId, generation });
    await store.forgetGeneration(replId, generation);
  }
  await removeFolder({ directory: replFolder(store.clusterId, replId) });
  await forgetKept(store.clusterId, replId);
}

/**
 * A staging that goes on and on: its coordinator may have waited its lease out and gone, so that nobody
 * comes to take it back.
 */
export async function settleStaged(
  store: ClusterStore,
  { replId, generation, migrationId }: Pick<Route, "replId" | "generation" | "migrationId">,
): Promise<void> {
  if (migrationId === null) return;
  const { status } = await migrationOf(migrationId);
  if (status === "committed") kickTail();
  if (status !== "aborted") return;
  const { effects, outcome } = await store.decideRoute(replId, { kind: "unstage", generation });
  if (outcome === "done") log.info("staging taken back", { replId, generation });
  await carryOut(store, replId, effects);
}

/**
 * A freeze whose deadline has come: the authority is asked for the abort. It never thaws by itself
 * (design section 4, rule 5); the coordinator does, when the destination has said that it is fenced.
 */
export async function askToAbort(migrationId: string, traceparent = ""): Promise<void> {
  const status = await askForAbort(migrationId, traceparent);
  log.info("freeze deadline reached", { migrationId, status });
  if (status === "committed") kickTail();
}
