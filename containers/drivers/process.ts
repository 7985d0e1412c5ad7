import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import { choosePort, type Endpoint, holderOf } from "../core/ports";
import { holderPid, listeningSockets } from "../detect-port";
import {
  type Capabilities,
  type ContainerDriver,
  type ContainerRef,
  type ContainerSpec,
  type DriverEvents,
  type Incarnation,
  markerOf,
  parseMarker,
  type Remembered,
  type Started,
} from "./driver";
import { launch, type Launcher, MARKER_VARIABLE } from "./launch";
import { accepts } from "./probe";
import {
  bootId,
  environmentOf,
  isDead,
  markedProcesses,
  processStat,
  type ProcessStat,
  sessionProcesses,
} from "./proc";

/**
 * An ordinary server listens after 30 to 100 ms, and requests may be held until it is seen; a slow one
 * must not be asked a thousand times.
 */
const POLL_MS = { first: 2, last: 50, firstFor: 200 };
/** A server that ignores $PORT is looked for so often, and must be seen twice. */
const SCAN_EVERY_MS = 150;
/** Ended processes tell at once when they are our children; others are asked so often. */
const WATCH_EVERY_MS = 250;
/** After SIGKILL nothing runs on; the kernel needs a moment to take it down. */
const KILL_WAIT_MS = 3_000;

interface Running {
  readonly ref: ContainerRef;
  pid: number;
  identity: string;
  upstream: Endpoint | null;
  /** Set by `stop`, so that the end is no crash. */
  stopping: boolean;
  /** How its main process ended; null while it runs, or while it cannot be known. */
  exit: string | null;
  /** A child of this process tells of its end; others are watched. */
  isChild: boolean;
  /** Of a child: resolves at its end. */
  gone: Promise<unknown>;
  /** Its end is being looked into: it may be told of twice. */
  ending: boolean;
}

/** Runs apps as processes of this machine, each under a user of its own where that is possible. */
export class ProcessDriver implements ContainerDriver {
  readonly kind = "process";
  private readonly running = new Map<string, Running>();
  private readonly starts = new Map<string, Promise<Started>>();
  private watch: NodeJS.Timeout | undefined;

  constructor(
    /** Absolute; apps' folders lie below it, which tells ours from another platform's. */
    private readonly appsDir: string,
    private readonly launcher: Launcher,
    private readonly events: DriverEvents,
  ) {}

  capabilities(): Capabilities {
    return {
      isolation: process.getuid?.() === 0 ? "user" : "none",
      limits: ["open files", "core"],
      portScan: process.platform === "linux",
    };
  }

  async start(
    spec: ContainerSpec,
    onSpawned: (incarnation: Incarnation) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Started> {
    const key = markerOf(spec.ref);
    const upstream = this.running.get(key)?.upstream;
    if (upstream) return { upstream };
    const under = this.starts.get(key);
    if (under) return await under;
    const started = this.startNew(spec, onSpawned, signal).finally(() => this.starts.delete(key));
    this.starts.set(key, started);
    return await started;
  }

  private async startNew(
    spec: ContainerSpec,
    onSpawned: (incarnation: Incarnation) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Started> {
    signal.throwIfAborted();
    const record = await this.spawn(spec);
    try {
      await onSpawned({ pid: record.pid, identity: record.identity });
      const upstream = await this.untilListening(record, spec, signal);
      record.upstream = upstream;
      if (record.exit !== null) await this.mainEnded(record);
      return { upstream };
    } catch (error) {
      await this.stop(spec.ref, 0);
      throw error;
    }
  }

  private async spawn(spec: ContainerSpec): Promise<Running> {
    const child = launch(spec, this.launcher);
    const record: Running = {
      ref: spec.ref,
      pid: child.pid ?? 0,
      identity: "",
      upstream: null,
      stopping: false,
      exit: null,
      isChild: true,
      gone: once(child, "exit").catch(() => undefined),
      ending: false,
    };
    this.running.set(markerOf(spec.ref), record);
    await this.follow(child, record);
    record.identity = identityOf(record.pid);
    return record;
  }

  /** Resolves when the system has started it; from then on its end is told. */
  private async follow(child: ChildProcess, record: Running): Promise<void> {
    child.once("exit", (code, signal) => {
      record.exit = signal ? `signal ${signal}` : `exit code ${code}`;
      if (record.upstream && !record.stopping) void this.mainEnded(record);
    });
    try {
      await new Promise((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", reject);
      });
    } catch (error) {
      this.running.delete(markerOf(record.ref));
      throw error;
    }
  }

  private async untilListening(
    record: Running,
    spec: ContainerSpec,
    signal: AbortSignal,
  ): Promise<Endpoint> {
    const startedAt = performance.now();
    const end = startedAt + spec.startTimeoutMs;
    const scan = new Scan();
    for (let waitMs = POLL_MS.first; ; waitMs = nextPollMs(waitMs, startedAt)) {
      signal.throwIfAborted();
      const wanted = await this.atWantedPort(record, spec.port);
      if (wanted) return wanted;
      if (record.exit !== null && (await this.processesOf(record.ref)).length === 0) {
        throw new Error(`${record.exit} before it listened`);
      }
      const elsewhere = scan.isDue() ? await this.elsewhere(record, spec.port, scan) : null;
      if (elsewhere) return elsewhere;
      if (performance.now() > end) {
        throw new Error(
          `it did not listen on $PORT (${spec.port}) within ${spec.startTimeoutMs} ms`,
        );
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Whoever accepts at $PORT must be the app: another's socket would be a silent wrong route. */
  private async atWantedPort(record: Running, port: number): Promise<Endpoint | null> {
    // IPv4 again after IPv6: a server of both may have begun to listen in between.
    for (const host of ["127.0.0.1", "::1", "127.0.0.1"]) {
      if (!(await accepts({ host, port }))) continue;
      if (host === "::1" && (await accepts({ host: "127.0.0.1", port }))) continue;
      const holder = await this.holder(record, { host, port });
      if (holder === "own") return { host, port };
      if (holder === "foreign") {
        throw new Error(`port ${port} is held by a process that is not the app's`);
      }
    }
    return null;
  }

  private async holder(record: Running, at: Endpoint): Promise<"own" | "foreign" | "none"> {
    // The main process is the server more often than not, which spares looking at all the others.
    const quick = await listeningSockets([record.pid]);
    if (quick === null || holderOf(at, quick) === "own") return "own";
    const sockets = await listeningSockets(await this.pidsOf(record.ref));
    return sockets === null ? "own" : holderOf(at, sockets);
  }

  private async elsewhere(record: Running, wanted: number, scan: Scan): Promise<Endpoint | null> {
    const sockets = await listeningSockets(await this.pidsOf(record.ref));
    const found = sockets && choosePort(sockets, wanted);
    // The given port is the probe's to find; anything else must last, since servers that help
    // the main one may listen before it.
    if (!found || found.port === wanted) return null;
    return scan.isStable(found) && (await accepts(found)) ? found : null;
  }

  private async processesOf(ref: ContainerRef): Promise<ProcessStat[]> {
    const marker = markerOf(ref);
    const marked = await markedProcesses(MARKER_VARIABLE, this.appsDir);
    const ours = marked.filter((process) => process.marker === marker);
    const record = this.running.get(marker);
    // A process that cleared its environment is still of the group. A pid that came to somebody
    // else is not ours, and its identity tells.
    const isLeader = record && (record.isChild || isIdentical(record));
    if (!isLeader || !kill(-record.pid, 0)) return ours;
    const known = new Set(ours.map(({ pid }) => pid));
    const session = await sessionProcesses(record.pid);
    return [...ours, ...session.filter(({ pid }) => !known.has(pid))];
  }

  private async pidsOf(ref: ContainerRef): Promise<number[]> {
    return (await this.processesOf(ref)).map(({ pid }) => pid);
  }

  /** Servers fork and restart themselves: while one of its processes holds the port, it runs. */
  private async mainEnded(record: Running): Promise<void> {
    if (record.ending) return;
    record.ending = true;
    const pids = await this.pidsOf(record.ref);
    const heir = record.upstream && (await holderPid(pids, record.upstream.port));
    if (record.stopping || this.running.get(markerOf(record.ref)) !== record) return;
    if (heir !== null) {
      record.pid = heir;
      record.isChild = false;
      record.identity = identityOf(heir);
      record.ending = false;
      this.watchOthers();
      this.events.onIncarnation(record.ref, { pid: heir, identity: record.identity });
      return;
    }
    const reason = record.exit ?? "it ended";
    await this.stop(record.ref, 0);
    this.events.onExit(record.ref, { reason });
  }

  async stop(ref: ContainerRef, graceMs: number): Promise<void> {
    const record = this.running.get(markerOf(ref));
    if (record) {
      record.stopping = true;
      if (graceMs > 0) await this.endMain(record, graceMs);
    }
    const wasTold = await this.signalUntilGone(ref, "SIGTERM", graceMs);
    if (!wasTold && !(await this.signalUntilGone(ref, "SIGKILL", KILL_WAIT_MS))) {
      throw new Error(`Cannot stop container "${markerOf(ref)}": it runs after SIGKILL`);
    }
    if (this.running.get(markerOf(ref)) === record) this.running.delete(markerOf(ref));
  }

  /** The usual end: the group is told, and its main process goes. What is left is looked for then. */
  private async endMain(record: Running, graceMs: number): Promise<void> {
    const isMain = record.isChild ? record.exit === null : isIdentical(record);
    if (!isMain) return;
    if (!kill(-record.pid, "SIGTERM")) kill(record.pid, "SIGTERM");
    if (record.isChild) {
      const grace = new AbortController();
      const late = delay(graceMs, undefined, { signal: grace.signal }).catch(() => undefined);
      await Promise.race([record.gone, late]);
      grace.abort();
      return;
    }
    const end = performance.now() + graceMs;
    for (let pauseMs = 1; performance.now() < end; pauseMs = Math.min(pauseMs * 2, 10)) {
      if (!isIdentical(record)) return;
      await delay(pauseMs);
    }
  }

  /** True when nothing of it runs any more, within `waitMs`. */
  private async signalUntilGone(
    ref: ContainerRef,
    signal: "SIGTERM" | "SIGKILL",
    waitMs: number,
  ): Promise<boolean> {
    const end = performance.now() + waitMs;
    const told = new Map<number, string>();
    for (;;) {
      // Escaped and newly made processes are found by their marker, so look again until none is.
      const left = await this.stillRunning(ref);
      if (left.length === 0) return true;
      if (signal === "SIGTERM" && waitMs === 0) return false;
      for (const { pid, startTime } of left) {
        if (signal === "SIGKILL" || told.get(pid) !== startTime) kill(pid, signal);
        told.set(pid, startTime);
      }
      await untilDead(left, end);
      if (performance.now() > end) return false;
    }
  }

  private async stillRunning(ref: ContainerRef): Promise<Named[]> {
    if (process.platform === "linux") return await this.processesOf(ref);
    const record = this.running.get(markerOf(ref));
    if (!record) return [];
    // Without /proc the process group is all that is known of it.
    return kill(-record.pid, 0) ? [{ pid: -record.pid, startTime: "" }] : [];
  }

  async adopt({ ref, pid, identity, upstream }: Remembered): Promise<boolean> {
    if (this.isRunning(ref)) return true;
    if (identity === "" || identityOf(pid) !== identity) return false;
    const env = environmentOf(pid);
    if (env.get(MARKER_VARIABLE) !== markerOf(ref)) return false;
    if (!env.get("HOME")?.startsWith(`${this.appsDir}/`)) return false;
    const gone = new Promise(() => undefined);
    const state = { stopping: false, exit: null, isChild: false, gone, ending: false };
    this.running.set(markerOf(ref), { ref, pid, identity, upstream, ...state });
    this.watchOthers();
    return true;
  }

  isRunning(ref: ContainerRef): boolean {
    const record = this.running.get(markerOf(ref));
    return record !== undefined && record.upstream !== null && !record.stopping;
  }

  async probe(ref: ContainerRef): Promise<boolean> {
    const upstream = this.running.get(markerOf(ref))?.upstream;
    return upstream ? await accepts(upstream) : false;
  }

  async list(): Promise<readonly ContainerRef[]> {
    const marked = await markedProcesses(MARKER_VARIABLE, this.appsDir);
    const markers = new Set(marked.map(({ marker }) => marker));
    return [...markers].map(parseMarker).filter((ref) => ref !== null);
  }

  close(): void {
    clearInterval(this.watch);
    this.watch = undefined;
    this.running.clear();
  }

  /** One timer for all that are not our children. */
  private watchOthers(): void {
    this.watch ??= setInterval(() => {
      for (const record of this.running.values()) {
        if (record.isChild || record.stopping || record.upstream === null) continue;
        if (!isIdentical(record)) void this.mainEnded(record);
      }
    }, WATCH_EVERY_MS).unref();
  }
}

function nextPollMs(waitMs: number, startedAt: number): number {
  if (performance.now() - startedAt < POLL_MS.firstFor) return POLL_MS.first;
  return Math.min(waitMs + 1, POLL_MS.last);
}

/** What was seen listening, and since when. */
class Scan {
  private last = performance.now();
  private seen: string | null = null;

  isDue(): boolean {
    if (performance.now() - this.last < SCAN_EVERY_MS) return false;
    this.last = performance.now();
    return true;
  }

  isStable({ host, port }: Endpoint): boolean {
    const now = `${host} ${port}`;
    const same = now === this.seen;
    this.seen = now;
    return same;
  }
}

function identityOf(pid: number): string {
  const stat = processStat(pid);
  return stat && !isDead(stat) ? `${bootId()}:${stat.startTime}` : "";
}

function isIdentical({ pid, identity }: Running): boolean {
  return identityOf(pid) === identity;
}

interface Named {
  readonly pid: number;
  readonly startTime: string;
}

async function untilDead(processes: readonly Named[], end: number): Promise<void> {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, POLL_MS.last)) {
    if (!processes.some(isAlive) || performance.now() > end) return;
    await delay(pauseMs);
  }
}

function isAlive({ pid, startTime }: Named): boolean {
  if (pid < 0) return kill(pid, 0);
  const stat = processStat(pid);
  return !isDead(stat) && stat?.startTime === startTime;
}

/** False when there is nobody to tell. */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
