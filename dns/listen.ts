/** The main thread's side of all that answers: starts the threads, feeds them, ends them. */
import type { Worker } from "node:worker_threads";

import type { startWorker } from "../shared/worker";
import type { CatalogOptions, Told } from "./core/catalog";
import { Counters, lineWritten, newCounterBuffer, type Totals, totalsOf } from "./core/counters";
import type { LoggedQuery } from "./core/query-log";
import { newLimiterBuffer } from "./core/rate-limit";
import { FLAG, readHeader } from "./core/wire";
import { Feed } from "./feed";
import { BatchedUdp } from "./listen-batched";
import type {
  Asked,
  EncryptedOptions,
  EncryptedState,
  FromWorker,
  Guard,
  ListenAddress,
  StreamInput,
  ThreadInput,
} from "./protocol";
import { type Ask, Thread } from "./thread";
import { type Kernel, loadKernel } from "./udp/kernel";

/** The stream worker's source, from the application's root. */
export const STREAM_WORKER = "dns/worker.ts";

/** With port 0, TCP's free port may be taken for UDP: so often another one is tried. */
const PORT_ATTEMPTS = 10;

/** How UDP is answered: in batches where that can be done, or by Node's own sockets. */
export type UdpMode = "auto" | "batched" | "portable";

/** The way that is used. */
export interface UdpPath {
  readonly path: "batched" | "portable";
  /** For each address. */
  readonly workers: number;
  /** Why not in batches; null where they are used, or not wanted. */
  readonly reason: string | null;
}

export interface AnswererOptions {
  readonly catalog: CatalogOptions;
  readonly guard: Guard;
  readonly encrypted: EncryptedOptions;
  readonly addresses: readonly ListenAddress[];
  readonly udp: { readonly mode: UdpMode; readonly workers: number };
  /** Everything that a new thread must know, what was told before included. */
  readonly snapshot: () => Told;
  readonly startWorker: typeof startWorker;
  readonly onDeath: (reason: string) => void;
  /** One query in so many is told; 0 for none. */
  readonly logOneIn: number;
  readonly onLogged?: (query: LoggedQuery) => void;
  /** Answers a signed message, in batches; each waits until the one before is on its way. */
  readonly answerSigned?: (asked: Asked) => AsyncIterable<readonly Uint8Array[]> | undefined;
  /** Told when DNS over TLS and HTTPS are answered, or why they are not. */
  readonly onEncrypted?: (state: EncryptedState) => void;
}

export class Answerer {
  readonly #options: AnswererOptions;
  readonly #feed = new Feed();
  readonly #stream: Thread;
  #batched: BatchedUdp | undefined;
  #udp: UdpPath = { path: "portable", workers: 1, reason: null };
  /** As asked for; while it listens with the ports that were free. */
  #addresses: readonly ListenAddress[];
  /** This thread counts what it answers in the first, each other in one of its own. */
  readonly #buffers = [newCounterBuffer()];
  readonly #counters = new Counters(this.#buffers[0]!);
  readonly #limits = newLimiterBuffer();
  #opening: Promise<void> | undefined;

  constructor(options: AnswererOptions) {
    this.#options = options;
    this.#addresses = options.addresses;
    this.#stream = this.#thread(
      (common) => this.#startStream(common),
      (ask) => this.#listen(ask),
    );
  }

  get listening(): readonly ListenAddress[] {
    const isOpen = this.#stream.isOpen && (this.#batched?.isOpen ?? true);
    return isOpen ? this.#addresses : [];
  }

  /** Threads that answer now. */
  get threads(): number {
    return Number(this.#stream.isOpen) + (this.#batched?.threads ?? 0);
  }

  get deaths(): number {
    return this.#stream.deaths + (this.#batched?.deaths ?? 0);
  }

  get totals(): Totals {
    return totalsOf(this.#buffers);
  }

  /** How UDP is answered, once it is. */
  get udp(): UdpPath {
    return this.#udp;
  }

  /** Start answering. Rejects when an address cannot be bound; then nothing is. */
  async open(): Promise<void> {
    this.#opening = this.#open();
    await this.#opening;
  }

  async #open(): Promise<void> {
    const kernel = this.#kernel();
    const isAnyPort = this.#options.addresses.some(({ port }) => port === 0);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#openOnce(kernel);
      } catch (error) {
        this.#addresses = this.#options.addresses;
        if (!isAnyPort || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /** All threads answer by it, which the snapshot must hold already, when this returns. */
  tell(told: Told): void {
    this.#feed.publish(told);
  }

  /** Stop accepting, finish what is open within `graceMs`, end the threads. */
  async close(graceMs: number): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await Promise.all([this.#stream.close(graceMs), this.#batched?.close(graceMs)]);
  }

  /** Nothing where UDP is the stream worker's. */
  #kernel(): Kernel | undefined {
    const { mode, workers } = this.#options.udp;
    this.#udp = { path: "portable", workers: 1, reason: null };
    if (mode === "portable") return undefined;
    try {
      const kernel = loadKernel();
      this.#udp = { path: "batched", workers, reason: null };
      return kernel;
    } catch (error) {
      const [reason] = (error as Error).message.split("\n", 1);
      if (mode === "batched") throw new Error(`Cannot answer UDP in batches: ${reason}`);
      this.#udp = { ...this.#udp, reason: reason! };
      return undefined;
    }
  }

  async #openOnce(kernel: Kernel | undefined): Promise<void> {
    // TCP first: where the port is another's, none of its queries shall come here.
    await this.#stream.open();
    if (!kernel) return;
    this.#batched ??= new BatchedUdp({
      kernel,
      workers: this.#udp.workers,
      startWorker: this.#options.startWorker,
      newThread: (start, opening) => this.#thread(start, opening),
    });
    try {
      await this.#batched.open(this.#addresses);
    } catch (error) {
      await this.#stream.close(0);
      throw error;
    }
  }

  #listen(ask: Ask): Promise<void> {
    const hasUdp = this.#udp.path === "portable";
    return ask((id) => ({ kind: "listen", id, addresses: this.#addresses, hasUdp }));
  }

  #startStream(common: ThreadInput): Promise<Worker> {
    const { encrypted, startWorker } = this.#options;
    const input: StreamInput = { ...common, encrypted };
    return startWorker(STREAM_WORKER, input, [common.feed.port]);
  }

  #thread(
    start: (common: ThreadInput) => Promise<Worker>,
    opening: (ask: Ask) => Promise<void>,
  ): Thread {
    const { catalog, guard, snapshot, onDeath, logOneIn } = this.#options;
    const counters = newCounterBuffer();
    this.#buffers.push(counters);
    return new Thread({
      feed: this.#feed,
      snapshot,
      start: (feed) => start({ catalog, guard, feed, counters, logOneIn, limits: this.#limits }),
      opening,
      onMessage: (message) => this.#hear(message, counters),
      onDeath,
      answerSigned: (asked) => this.#answerSigned(asked),
    });
  }

  #hear(message: FromWorker, counters: SharedArrayBuffer): void {
    if (message.kind === "logged") {
      this.#options.onLogged?.(message.query);
      lineWritten(counters);
    }
    if (message.kind === "listening") this.#addresses = message.addresses;
    if (message.kind === "encrypted") this.#options.onEncrypted?.(message.state);
  }

  /** The answers of `answerSigned`, counted. A transfer is one, however many messages it has. */
  async *#answerSigned(asked: Asked): AsyncGenerator<readonly Uint8Array[]> {
    let isFirst = true;
    for await (const messages of this.#options.answerSigned?.(asked) ?? []) {
      if (isFirst && messages.length > 0) {
        const flags = readHeader(messages[0]!)?.flags ?? 0;
        this.#counters.answer(flags & 0xf, (flags & FLAG.TC) !== 0);
        isFirst = false;
      }
      yield messages;
    }
  }
}
