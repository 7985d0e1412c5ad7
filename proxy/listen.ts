/**
 * The main thread's side of a cluster's data plane: feeds the worker the routes, keeps its lease, and
 * asks on its behalf. Restarts it when it dies.
 */
import { randomUUID } from "node:crypto";
import type { Worker } from "node:worker_threads";

import log from "encore.dev/log";

import { backoffMs } from "../shared/backoff";
import { recordSpan } from "./spans";
import { monotonicMs } from "./clock";
import type { Cause, Found, LookupQuery, WakeOutcome } from "./questions";
import type { FromWorker, ToWorker, WorkerInput } from "./protocol";
import type { ProxyStats } from "./proxy";
import * as store from "./store";

const LEASE_MS = 1_000;
/** The database may finish the renewal later than we began it, never earlier. */
const RENEW_MS = 250;
const LISTEN_RETRY_MS = 1_000;
const STATS_TIMEOUT_MS = 1_000;
const RESTART = { minMs: 50, maxMs: 5_000 };
/** A worker that lived so long died of something new: its successor comes at once. */
const STABLE_MS = 10_000;

/** Calls to other services, each with its own time-out. They reject when the other side is away. */
export interface Platform {
  startWorker(input: WorkerInput): Promise<Worker>;
  wake(clusterId: string, replId: string, cause: Cause): Promise<WakeOutcome>;
  lookup(query: LookupQuery): Promise<Found>;
}

export interface ProxyStatus extends ProxyStats {
  readonly clusterId: string;
  readonly instanceId: string;
}

export class ClusterProxy {
  readonly instanceId = randomUUID();
  private worker: Worker | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** The version up to which the worker was told everything; -1: it knows nothing. */
  private told = -1;
  private ackedVersion = 0;
  private busy: readonly string[] = [];
  private wanted: readonly string[] = [];
  private bound: readonly string[] = [];
  private faults = "";
  private read: Promise<void> = Promise.resolve();
  private nextRead: Promise<void> | undefined;
  private writingAck = false;
  private ackDirty = false;
  private renewFailed = false;
  private closing = false;
  private closed = false;
  private deaths = 0;
  private startedAt = 0;
  private nextStats = 1;
  private readonly stats = new Map<number, (stats: ProxyStats) => void>();
  private onDrained: (() => void) | undefined;

  constructor(
    private readonly input: WorkerInput,
    private readonly platform: Platform,
  ) {}

  get clusterId(): string {
    return this.input.clusterId;
  }

  async open(addresses: readonly string[]): Promise<void> {
    this.wanted = addresses;
    this.timer = setInterval(() => void this.renew(), RENEW_MS);
    await this.startWorker();
  }

  private async startWorker(): Promise<void> {
    try {
      const worker = await this.platform.startWorker(this.input);
      worker.on("message", (message: FromWorker) => this.hear(message));
      worker.on("error", (error) => log.error(error, "a proxy worker died", this.fields()));
      worker.on("exit", () => this.workerEnded());
      this.worker = worker;
      this.startedAt = monotonicMs();
      this.told = -1;
      await this.renew();
      this.tell({ kind: "listen", addresses: this.wanted });
    } catch (error) {
      log.error(error, "cannot start a proxy worker", this.fields());
      this.workerEnded();
    }
  }

  private workerEnded(): void {
    this.worker = undefined;
    this.bound = [];
    if (this.closing) return;
    // Its connections went with it, so nothing is in flight; the version stays the last one applied.
    this.busy = [];
    const stable = monotonicMs() - this.startedAt > STABLE_MS;
    this.deaths = stable ? 1 : this.deaths + 1;
    const waitMs = this.deaths === 1 ? 0 : backoffMs(this.deaths, RESTART, Math.random());
    setTimeout(() => void (this.closing ? undefined : this.startWorker()), waitMs);
  }

  private fields(): { clusterId: string; instanceId: string } {
    return { clusterId: this.clusterId, instanceId: this.instanceId };
  }

  private tell(message: ToWorker): void {
    this.worker?.postMessage(message);
  }

  // Routes and the lease.

  /** The lease counts from before it was asked for, so ours ends before the database's does. */
  private async renew(): Promise<void> {
    const untilMs = monotonicMs() + LEASE_MS;
    try {
      const version = await store.renewLease(this.instance(), LEASE_MS);
      if (version > this.told) await this.refresh();
      if (this.told >= 0) this.tell({ kind: "lease", untilMs });
      this.renewFailed = false;
    } catch (error) {
      if (!this.renewFailed && !this.closing) {
        log.warn("cannot renew a proxy's lease", { ...this.fields(), reason: String(error) });
      }
      this.renewFailed = true;
    }
  }

  private instance(): store.Instance {
    return { ...this.fields(), ackedVersion: this.ackedVersion, busy: this.busy };
  }

  /** Tells the worker every change committed before this call. */
  refresh(): Promise<void> {
    // A read that runs may have begun before that change; all who ask meanwhile share the next one.
    this.nextRead ??= this.read
      .catch(() => undefined)
      .then(() => {
        this.nextRead = undefined;
        this.read = this.readChanges();
        return this.read;
      });
    return this.nextRead;
  }

  private async readChanges(): Promise<void> {
    const { worker } = this;
    const after = this.told;
    const version = await store.version(this.clusterId);
    if (version <= after || worker === undefined) return;
    const delta = await store.changes(this.clusterId, after, version);
    if (this.worker !== worker) return;
    this.told = version;
    this.tell({ kind: "apply", delta });
  }

  private async writeAck(): Promise<void> {
    this.ackDirty = true;
    if (this.writingAck) return;
    this.writingAck = true;
    while (this.ackDirty) {
      this.ackDirty = false;
      await store.acknowledge(this.instance()).catch((error: unknown) => {
        log.warn("cannot acknowledge routes", { ...this.fields(), reason: String(error) });
      });
    }
    this.writingAck = false;
  }

  // What the worker says.

  private hear(message: FromWorker): void {
    switch (message.kind) {
      case "acknowledge":
        this.ackedVersion = message.version;
        this.busy = message.busy;
        void this.writeAck();
        return;
      case "wake":
        void this.wake(message.replId, message.cause);
        return;
      case "lookup":
        void this.lookup(message.key, message.query);
        return;
      case "reread":
        void this.reread();
        return;
      case "sampled":
        recordSpan(message.span);
        return;
      case "hits":
        void store.writeHits(this.clusterId, this.instanceId, message.hits).catch(() => undefined);
        return;
      case "listening":
        this.listened(message.addresses, message.faults);
        return;
      case "stats":
        this.stats.get(message.id)?.(message.stats);
        return;
      case "drained":
        this.onDrained?.();
    }
  }

  private async wake(replId: string, cause: Cause): Promise<void> {
    const outcome = await this.platform
      .wake(this.clusterId, replId, cause)
      .catch((error: unknown): WakeOutcome => {
        const { requestId } = cause;
        const reason = String(error);
        log.warn("cannot wake a repl", { ...this.fields(), replId, requestId, reason });
        return "unreachable";
      });
    // The route that the wake wrote comes before its outcome, so that the worker knows what to dial.
    await this.refresh().catch(() => undefined);
    this.tell({ kind: "woke", replId, outcome });
  }

  private async lookup(key: string, query: LookupQuery): Promise<void> {
    const placement = await this.platform.lookup(query).catch(() => null);
    this.tell({ kind: "found", key, placement });
  }

  private async reread(): Promise<void> {
    await this.refresh().catch(() => undefined);
    this.tell({ kind: "reread" });
  }

  private listened(addresses: readonly string[], faults: readonly string[]): void {
    this.bound = addresses;
    const text = faults.join("; ");
    if (text !== "" && text !== this.faults) log.error(text, this.fields());
    this.faults = text;
    if (faults.length === 0 || this.closing) return;
    setTimeout(() => {
      if (!this.closing) this.tell({ kind: "listen", addresses: this.wanted });
    }, LISTEN_RETRY_MS);
  }

  listenOn(addresses: readonly string[]): void {
    if (addresses.join() === this.wanted.join()) return;
    this.wanted = addresses;
    this.tell({ kind: "listen", addresses });
  }

  /** Why the cluster's visitors are not served; null when they are. */
  whyUnready(): string | null {
    if (this.told < 0) return `cluster "${this.clusterId}" has no routes yet`;
    if (this.faults !== "") return this.faults;
    const missing = this.wanted.find((address) => !this.bound.includes(address));
    return missing === undefined ? null : `"${missing}" is not bound yet`;
  }

  async status(): Promise<ProxyStatus> {
    const id = this.nextStats++;
    const stats = await new Promise<ProxyStats>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`No answer from the proxy of "${this.clusterId}"`)),
        STATS_TIMEOUT_MS,
      );
      this.stats.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.tell({ kind: "stats", id });
    }).finally(() => this.stats.delete(id));
    return { ...stats, ...this.fields() };
  }

  /** Takes no new visitors and lets what is in flight finish; other clusters' proxies are served on. */
  async drainVisitors(deadlineMs: number): Promise<void> {
    await this.drain("visitors", deadlineMs);
  }

  /** Ends accepting, lets what is in flight finish, and gives the lease back. */
  async close(deadlineMs: number): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.drain("all", deadlineMs);
    clearInterval(this.timer);
    await this.worker?.terminate();
    await store.leave(this.clusterId, this.instanceId).catch(() => undefined);
  }

  private async drain(who: "visitors" | "all", deadlineMs: number): Promise<void> {
    this.closing = true;
    const { worker } = this;
    if (worker === undefined) return;
    await new Promise<void>((resolve) => {
      this.onDrained = resolve;
      worker.once("exit", () => resolve());
      this.tell({ kind: "drain", who, deadlineMs });
    });
  }
}
