/** How an instance comes up and goes down. No socket is bound before there is something to answer. */
import log from "encore.dev/log";
import { clusters } from "~encore/clients";

import { type Backoff, backoffMs } from "../shared/backoff";
import { registerReadiness } from "../shared/hosting";
import { listen, type Listener } from "../shared/listener";
import { outbound } from "../shared/outbound";
import { withSpan } from "../shared/trace";
import { bundleWorker } from "../shared/worker";
import { changeOf, type LogEntry } from "./core/log";
import { instance } from "./instance";
import { STREAM_WORKER } from "./listen";
import {
  isFromDisk,
  loadFromDatabase,
  loadFromDisk,
  reload,
  sayUnusable,
  snapshotSource,
} from "./loading";
import { closeMetrics, openMetrics } from "./metrics";
import { UDP_WORKER } from "./listen-batched";
import { formatAddress } from "./protocol";
import { config } from "./settings";
import { secondaries } from "./secondaries";
import { answerSigned } from "./signed";
import { findSnapshot, type StoredSnapshot } from "./snapshot-file";
import { SnapshotWriter } from "./snapshot-writer";
import { registry, stateOfThis } from "./state";
import * as store from "./store";
import { SHOWN_CHANNEL } from "./store-instances";
import { copyLog, readCursor } from "./store-placements";
import { startSweep, type Sweep } from "./sweep";
import { batchOf, LogCopy, type OnState, type ReadRequest, Tail } from "./tail";
import { zones } from "./zones";

const RETRY: Backoff = { minMs: 50, maxMs: 2_000 };
/** Longer than a long poll of the log. */
const TAIL_TIMEOUT_MS = 15_000;
/** How long a start waits to be as fresh as the log; `clusters` may be the one that is away. */
const CATCH_UP_MS = 300;
/** How long a start waits for the zones' last changes, once others know of it. */
const JOIN_MS = 1_500;
/** TCP askers get so long to finish; UDP has nothing to finish. */
const CLOSE_GRACE_MS = 500;
/** A database that does not take our leave: the others find that out by themselves. */
const LEAVE_MS = 500;

const fromClusters = outbound("clusters", { timeoutMs: TAIL_TIMEOUT_MS });

let tail: Tail | undefined;
let copy: LogCopy | undefined;
let listeners: Listener[] = [];
let sweep: Sweep | undefined;
let writer: SnapshotWriter | undefined;
let refreshFailures = 0;
let refreshTimer: NodeJS.Timeout | undefined;
let isStopping = false;

/** Logs when something stops working and when it works again. */
const stateOf =
  (what: string): OnState =>
  (reason) => {
    if (reason === null) log.info(`${what} works again`);
    else log.warn(`${what} does not work, will try again`, { reason });
  };

async function pause(attempt: number): Promise<void> {
  const waitMs = backoffMs(attempt, RETRY, Math.random());
  await new Promise((resolve) => setTimeout(resolve, waitMs));
}

async function readLog(request: ReadRequest): Promise<readonly LogEntry[]> {
  const { items } = await fromClusters(() => clusters.tail(request));
  return items;
}

/** Read the kick of an event, or of anybody who knows that the log has grown. */
export async function kick(): Promise<void> {
  await tail?.kick();
}

/** Load, catch up for a moment, answer, and follow what changes. */
export async function start(): Promise<void> {
  const { answerer } = instance();
  registerReadiness("dns", async () =>
    answerer.listening.length > 0 ? null : "the name server does not listen",
  );
  await openMetrics();
  const stored = await findSnapshot(config().snapshotFile);
  // Meanwhile the workers' bundles are made, where they are out of date; opening them says what is wrong.
  const isBundled = Promise.allSettled([STREAM_WORKER, UDP_WORKER].map(bundleWorker));
  await load(stored);
  await isBundled;
  follow();
  await Promise.race([tail!.caughtUp, new Promise((done) => setTimeout(done, CATCH_UP_MS))]);
  const joined = join();
  // Without the database nobody can change anything, nor wait for us.
  if (!isFromDisk()) await joined;
  await openSockets();
  void registry().refresh();
  if (isStopping) return;
  // Its base is much work, which nobody waits for.
  writer = new SnapshotWriter({ file: config().snapshotFile, source: snapshotSource });
  writer.schedule();
}

async function load(found: StoredSnapshot | undefined): Promise<void> {
  let stored = found;
  for (let attempt = 1; !isStopping; attempt++) {
    // Nothing to answer from: an empty server would deny names that exist.
    if (attempt > 1) await pause(attempt);
    try {
      return await loadFromDatabase(stored);
    } catch (error) {
      const reason = String(error);
      if (attempt === 1) log.warn("cannot read the database, will try again", { reason });
    }
    try {
      if (!stored) continue;
      await loadFromDisk(stored);
      return log.warn("starts from the snapshot on disk");
    } catch (error) {
      sayUnusable(error);
      stored = undefined;
    }
  }
}

function follow(): void {
  instance().onChange = (batch) => {
    writer?.add(batch);
    secondaries().schedule();
  };
  instance().answerSigned = answerSigned;
  secondaries().schedule();
  const onCopyState = stateOf("copying the placement log");
  copy = new LogCopy({ read: readLog, readCursor, copy: copyLog, onState: onCopyState });
  tail = new Tail({
    read: readLog,
    position: () => instance().snapshot.seq,
    onEntries: takeEntries,
    onLevel: (at) => (instance().logLevelAt = at),
    onState: stateOf("following the placement log"),
  });
  tail.start();
  const change = { onNotify: () => void refresh(), onConnect: () => void refresh() };
  const shown = {
    onNotify: (message: string) => registry().hear(message),
    onConnect: () => void registry().refresh(),
  };
  listeners = [
    listen(store.connectionString(), store.CHANNEL, change),
    listen(store.connectionString(), SHOWN_CHANNEL, shown),
  ];
  sweep = startSweep();
}

/**
 * Take a place among the instances before anything is answered: whoever changes something from here
 * on waits for us, and what was changed before is read.
 */
async function join(): Promise<void> {
  instance().onAnswered = () => registry().advance();
  zones().onRevision = () => registry().advance();
  const onRevision = (revision: number): void => {
    // A notification was lost.
    if (!zones().meets(revision)) void refresh();
  };
  await registry().join(() => JSON.stringify(stateOfThis()), onRevision);
  await Promise.race([refresh(), new Promise((done) => setTimeout(done, JOIN_MS))]);
}

/** Into the answers first, into our database after. */
function takeEntries(entries: readonly LogEntry[]): void {
  const after = instance().snapshot.seq;
  // Spans end in the microtask after this function.
  const isAnswered = new Promise<void>((resolve) => queueMicrotask(resolve));
  for (const entry of entries) void trace(entry, isAnswered);
  instance().apply(batchOf(entries));
  copy?.add(after, entries);
}

/** The span of a change ends when it is answered. Entries without a trace are not worth one. */
async function trace(entry: LogEntry, isAnswered: Promise<void>): Promise<void> {
  if (entry.traceparent === "" || !changeOf(entry)) return;
  const attributes = { seq: entry.seq, kind: entry.kind, replId: entry.replId ?? "" };
  await withSpan("dns.change", { parent: entry.traceparent, attributes }, () => isAnswered);
}

/** Zones as they are now; also after the database was away, which may be another one then. */
async function refresh(): Promise<void> {
  clearTimeout(refreshTimer);
  try {
    await reload();
    await zones().refresh();
    if (refreshFailures > 0) log.info("reading the zones works again");
    refreshFailures = 0;
  } catch (error) {
    // Answers stay as they are. A notification may come sooner than the next try.
    if (isStopping) return;
    refreshFailures++;
    if (refreshFailures === 1) log.warn("cannot read the zones", { reason: String(error) });
    const waitMs = backoffMs(refreshFailures, RETRY, Math.random());
    refreshTimer = setTimeout(() => void refresh(), waitMs);
  }
}

async function openSockets(): Promise<void> {
  const { answerer } = instance();
  for (let attempt = 1; !isStopping; attempt++) {
    try {
      await answerer.open();
      const addresses = answerer.listening.map(formatAddress);
      const { seq } = instance().snapshot;
      log.info("the name server answers", { addresses, udp: answerer.udp, seq });
      return;
    } catch (error) {
      if (attempt === 1) log.error(error, "cannot bind the name server, will try again");
      await pause(attempt);
    }
  }
}

/** Stop following, finish what is being answered, write down what is known. */
export async function drain(deadlineMs: number): Promise<void> {
  isStopping = true;
  clearTimeout(refreshTimer);
  sweep?.stop();
  secondaries().stop();
  tail?.stop();
  await instance().answerer.close(Math.min(deadlineMs, CLOSE_GRACE_MS));
  await registry().leave(LEAVE_MS);
  await Promise.all([
    writer?.close(),
    copy?.stop(),
    ...listeners.map((one) => one.close()),
    closeMetrics(),
  ]);
}
