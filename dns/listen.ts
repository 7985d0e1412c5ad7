/**
 * The main thread's side of the answering worker: feeds it, waits until it answers what it was told,
 * and puts a new one in the place of one that died.
 */
import type { Worker } from "node:worker_threads";

import { type Backoff, backoffMs } from "../shared/backoff";
import type { Batch, CatalogOptions } from "./core/catalog";
import { Counters, newCounterBuffer, type Totals, totalsOf } from "./core/counters";
import { FLAG, readHeader } from "./core/wire";
import {
  type Asked,
  type EncryptedOptions,
  type EncryptedState,
  type FromWorker,
  type Guard,
  type ListenAddress,
  type ToWorker,
  type WorkerInput,
} from "./protocol";

/** The first replacement comes at once; one that dies again and again must not burn a core. */
const REPLACE: Backoff = { minMs: 50, maxMs: 5_000 };
/** A worker that lived so long died of something new. */
const STABLE_MS = 10_000;

export interface AnswererOptions {
  readonly catalog: CatalogOptions;
  readonly guard: Guard;
  readonly encrypted: EncryptedOptions;
  readonly addresses: readonly ListenAddress[];
  /** Everything that a new worker must know, the batches that were applied before included. */
  readonly snapshot: () => Batch;
  readonly startWorker: (input: WorkerInput) => Promise<Worker>;
  readonly onDeath: (reason: string) => void;
  /** Answers a signed message, in batches; each waits until the one before is on its way. */
  readonly answerSigned?: ((asked: Asked) => AsyncIterable<readonly Uint8Array[]>) | undefined;
  /** Told when DNS over TLS and HTTPS are answered, or why they are not. */
  readonly onEncrypted?: (state: EncryptedState) => void;
}

/** What the worker has not answered yet. Kept when it dies: its successor's snapshot covers it. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Answerer {
  readonly #options: AnswererOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #deaths = 0;
  #startedAt = 0;
  #isClosing = false;
  #listening: readonly ListenAddress[] = [];
  /** The worker counts in the first, this thread what it answers in the second. */
  readonly #buffers = [newCounterBuffer(), newCounterBuffer()] as const;
  readonly #counters = new Counters(this.#buffers[1]);

  constructor(options: AnswererOptions) {
    this.#options = options;
  }

  get listening(): readonly ListenAddress[] {
    return this.#listening;
  }

  get deaths(): number {
    return this.#deaths;
  }

  get totals(): Totals {
    return totalsOf(this.#buffers);
  }

  /** Start answering. Rejects when an address cannot be bound; then nothing is. */
  async open(): Promise<void> {
    const { catalog, guard, encrypted, addresses, snapshot, startWorker } = this.#options;
    const worker = await startWorker({ catalog, guard, encrypted, counters: this.#buffers[0] });
    let hasOpened = false;
    let fault = "it ended";
    worker.on("error", (error) => (fault = error.stack ?? String(error)));
    worker.on("message", (message: FromWorker) => {
      if (message.kind === "asked") void this.#answerSigned(worker, message.asked);
      else this.#hear(message);
    });
    const exited = new Promise<never>((_, reject) => {
      worker.on("exit", () => {
        if (hasOpened) this.#replace(fault);
        else reject(new Error(`Cannot answer: the worker died: ${fault}`));
      });
    });
    try {
      // From here on batches go to this worker, behind the snapshot that holds all before them.
      this.#worker = worker;
      const loaded = this.#ask((id) => ({ kind: "apply", id, batch: snapshot() }));
      const bound = this.#ask((id) => ({ kind: "listen", id, addresses }));
      await Promise.race([Promise.all([loaded, bound]), exited]);
      hasOpened = true;
      this.#startedAt = performance.now();
    } catch (error) {
      this.#worker = undefined;
      await worker.terminate();
      throw error;
    }
    this.#release();
  }

  /** Resolves when the worker answers by `batch`, which the snapshot must hold already. */
  async apply(batch: Batch): Promise<void> {
    // Without a worker nothing older is answered either; the next one starts with the snapshot.
    if (!this.#worker) return;
    await this.#ask((id) => ({ kind: "apply", id, batch }));
  }

  /** Stop accepting, finish what is open within `graceMs`, end the worker. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const worker = this.#worker;
    if (!worker) return;
    await this.#ask((id) => ({ kind: "close", id, graceMs })).catch(() => undefined);
    this.#worker = undefined;
    this.#listening = [];
    await worker.terminate();
    this.#release();
  }

  #ask(message: (id: number) => ToWorker): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker?.postMessage(message(id));
    });
  }

  /** The worker that asked gets the answer, or nobody: another one knows nothing of it. */
  async #answerSigned(worker: Worker, asked: Asked): Promise<void> {
    const give = async (messages: readonly Uint8Array[]): Promise<void> => {
      if (this.#worker !== worker) throw new Error("the worker that asked has ended");
      await this.#ask((id) => ({ kind: "answer", id, to: asked.id, messages }));
    };
    let isFirst = true;
    try {
      for await (const messages of this.#options.answerSigned?.(asked) ?? []) {
        if (messages.length === 0) continue;
        // A transfer is one answer, however many messages it has.
        if (isFirst) this.#count(messages[0]!);
        isFirst = false;
        await give(messages);
      }
      await give([]);
    } catch {
      // Who asked has left, or will ask again.
      await give([]).catch(() => undefined);
    }
  }

  #count(answer: Uint8Array): void {
    const flags = readHeader(answer)?.flags ?? 0;
    this.#counters.answer(flags & 0xf, (flags & FLAG.TC) !== 0);
  }

  #hear(message: FromWorker): void {
    if (message.kind === "listening") this.#listening = message.addresses;
    if (message.kind === "encrypted") this.#options.onEncrypted?.(message.state);
    if (message.kind !== "done") return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.fault === null) waiting?.resolve();
    else waiting?.reject(new Error(message.fault));
  }

  /** All that was waited for before this worker opened is in what it was loaded with. */
  #release(): void {
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #replace(reason: string): void {
    this.#worker = undefined;
    this.#listening = [];
    if (this.#isClosing) return;
    this.#deaths = performance.now() - this.#startedAt > STABLE_MS ? 1 : this.#deaths + 1;
    this.#options.onDeath(reason);
    const waitMs = this.#deaths === 1 ? 0 : backoffMs(this.#deaths, REPLACE, Math.random());
    setTimeout(() => void this.#reopen(), waitMs);
  }

  async #reopen(): Promise<void> {
    if (this.#isClosing) return;
    try {
      await this.open();
    } catch (error) {
      this.#replace(String(error));
    }
  }
}
