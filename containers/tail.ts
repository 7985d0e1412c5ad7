import { setTimeout as delay } from "node:timers/promises";

import log from "encore.dev/log";

import { backoffMs } from "../shared/backoff";
import { failpoint } from "../shared/failpoint";
import { isShuttingDown } from "../shared/hosting";
import { singleFlight } from "../shared/single-flight";
import { type LogEntry, readLog, TAIL_LIMIT } from "./authority";
import { KeyedLock } from "./keyed-lock";
import { onKick } from "./kick";
import { markOpen, setLocalClusters } from "./local";
import { carryOut, discardRepl } from "./moves";
import { markCaughtUp } from "./runner";
import { config } from "./settings";
import { clusterStore, type ClusterStore } from "./store";
import { cursor, knownClusters, REGISTRY, setCursor, setKnownCluster } from "./store-registry";
import { forgetKeys } from "./trust";

const applying = new KeyedLock();
const RETRY = { minMs: 50, maxMs: 2_000 };

/** Called when a cluster becomes one of this process; it is done before its log is read. */
export type OnLocal = (clusterId: string) => Promise<void>;

export interface Tail {
  /** Null when it has read the log to its end since it began, or why not. */
  whyUnready(): string | null;
  close(): Promise<void>;
}

/** How far each reader has come: the local clusters, and the list of all clusters. */
type Cursors = Map<string, number>;

/**
 * Applies the placement log to the local clusters, for as long as it is open. Each has a cursor of its
 * own, so that a cluster that was added today begins at the log's beginning; one long poll serves all.
 */
export function startTail(onLocal: OnLocal): Tail {
  const state: TailState = {
    cursors: new Map(),
    onLocal,
    isClosed: false,
    unready: "not read yet",
  };
  const stopKicks = onKick(() => {
    if (!state.isClosed) void readQuick(state).catch(() => undefined);
  });
  const running = run(state);
  return {
    whyUnready: () => state.unready,
    close: async () => {
      state.isClosed = true;
      stopKicks();
      await Promise.race([running, delay(500, undefined, { ref: false })]);
    },
  };
}

interface TailState {
  readonly cursors: Cursors;
  readonly onLocal: OnLocal;
  isClosed: boolean;
  unready: string | null;
}

async function run(state: TailState): Promise<void> {
  for (let failures = 0; !state.isClosed;) {
    try {
      if (state.unready !== null) await adoptClusters(state);
      await readOnce(state, state.unready !== null);
      failures = 0;
    } catch (error) {
      if (isShuttingDown()) return;
      failures++;
      const reason = String(error);
      if (failures === 3) log.warn("cannot read the placement log, trying again", { reason });
      await delay(backoffMs(failures, RETRY, Math.random()));
    }
  }
}

/** The clusters that this process serves, by the setting and by what is registered so far. */
async function adoptClusters(state: TailState): Promise<void> {
  const { localClusters: wanted } = config();
  const serveAll = wanted.includes("*");
  const known = await knownClusters();
  const served = known.filter(({ apiUrl, removed }) => apiUrl === null && !removed);
  const local = serveAll ? served.map(({ id }) => id) : wanted;
  const added = local.filter((clusterId) => !state.cursors.has(clusterId));
  setLocalClusters(local);
  for (const clusterId of added) {
    await state.onLocal(clusterId);
    markOpen(clusterId);
  }
  for (const reader of [REGISTRY, ...local]) {
    if (!state.cursors.has(reader)) state.cursors.set(reader, await cursor(reader));
  }
  for (const reader of state.cursors.keys()) {
    if (reader !== REGISTRY && !local.includes(reader)) state.cursors.delete(reader);
  }
}

const quickReads = singleFlight((state: TailState) => readOnce(state, true));

/** Beside the long poll, which may have been sent before what is new was written. */
async function readQuick(state: TailState): Promise<void> {
  await quickReads(state);
}

async function readOnce(state: TailState, isQuick: boolean): Promise<void> {
  if (state.cursors.size === 0) return; // Not yet read where it was.
  const after = Math.min(...state.cursors.values());
  const entries = await readLog(after, isQuick);
  // The long poll and a quick read may bring the same: one applies it, the other finds it applied.
  await applying.run("", async () => {
    for (const reader of [...state.cursors.keys()].sort(registryFirst)) {
      // One that was added since the read began is behind: these entries are not its next.
      if ((state.cursors.get(reader) ?? 0) < after) continue;
      await applyTo(state, reader, entries);
    }
  });
  const isEnd = entries.length < TAIL_LIMIT;
  if (!isEnd || [...state.cursors.values()].some((seq) => seq < after)) return;
  for (const reader of state.cursors.keys()) if (reader !== REGISTRY) markCaughtUp(reader);
  state.unready = null;
}

/** Clusters are known before their routes are. */
function registryFirst(a: string, b: string): number {
  return Number(b === REGISTRY) - Number(a === REGISTRY);
}

async function applyTo(
  state: TailState,
  reader: string,
  entries: readonly LogEntry[],
): Promise<void> {
  const seq = state.cursors.get(reader) ?? 0;
  const fresh = entries.filter((entry) => entry.seq > seq);
  const last = fresh.at(-1)?.seq;
  if (last === undefined) return;
  if (reader === REGISTRY) await applyToRegistry(state, fresh);
  else await applyToCluster(clusterStore(reader), fresh);
  await setCursor(reader, last);
  if (state.cursors.has(reader)) {
    state.cursors.set(reader, Math.max(last, state.cursors.get(reader) ?? 0));
  }
}

async function applyToRegistry(state: TailState, entries: readonly LogEntry[]): Promise<void> {
  const changes = entries.flatMap(({ cluster }) => cluster ?? []);
  if (changes.length === 0) return;
  for (const change of changes) await setKnownCluster(change);
  forgetKeys();
  await adoptClusters(state);
}

/** Idempotent: the same entry may come twice, after a crash or beside a command that says the same. */
export async function applyToCluster(
  store: ClusterStore,
  entries: readonly LogEntry[],
): Promise<void> {
  const replIds = entries.flatMap(({ replId }) => replId ?? []);
  const known = new Set(await store.known(replIds));
  for (const entry of entries) {
    if (entry.kind === "cluster" && entry.cluster) await store.setPeer(entry.cluster);
    else if (entry.kind === "hostname" && entry.hostname !== null) {
      await store.setHostname(entry.hostname, entry.present ? (entry.replId ?? "") : "");
    } else {
      await applyPlacement(store, entry, known);
      if (entry.kind === "moved") await failpoint("containers.tail.applied", entry.replId ?? "");
    }
  }
}

async function applyPlacement(
  store: ClusterStore,
  entry: LogEntry,
  known: Set<string>,
): Promise<void> {
  const { kind, replId, clusterId, generation } = entry;
  if (replId === null) return;
  const details = { name: entry.name ?? undefined, owner: entry.owner ?? undefined };
  const isHome = clusterId === store.clusterId;
  if (kind === "deleted") {
    if (!known.has(replId)) return;
    await store.decideRoute(replId, { kind: "deleted" });
    inBackground(replId, () => discardRepl(store, replId));
  } else if (generation !== null && clusterId !== null && isHome) {
    known.add(replId);
    const command = { kind: kind === "created" ? "created" : "activate", generation } as const;
    const { effects } = await store.decideRoute(replId, command, details);
    inBackground(replId, () => carryOut(store, replId, effects));
  } else if (kind === "moved" && generation !== null && clusterId !== null && known.has(replId)) {
    const command = { kind: "tombstone", generation, to: clusterId } as const;
    const { effects } = await store.decideRoute(replId, command);
    inBackground(replId, () => carryOut(store, replId, effects));
  }
}

/** To stop a container takes seconds, and the next entry must not wait; the sweep repairs the rest. */
function inBackground(replId: string, work: () => Promise<void>): void {
  work().catch((error: unknown) => {
    log.warn("cannot carry out a change of placement", { replId, error: String(error) });
  });
}
