/** The main thread's side of all that answers: starts the threads, feeds them, ends them. */
import type { Worker } from "node:worker_threads";

import type { startWorker } from "../shared/worker";
import type { Batch, CatalogOptions } from "./core/catalog";
import { Counters, newCounterBuffer, type Totals, totalsOf } from "./core/counters";
import { FLAG, readHeader } from "./core/wire";
import { Feed, type FeedInput } from "./feed";
import {
  type Asked,
  type EncryptedOptions,
  type EncryptedState,
  type FromWorker,
  type Guard,
  type ListenAddress,
  type StreamInput,
} from "./protocol";
import { Thread } from "./thread";

/** The answering thread's source, from the application's root. */
export const STREAM_WORKER = "dns/worker.ts";

export interface AnswererOptions {
  readonly catalog: CatalogOptions;
  readonly guard: Guard;
  readonly encrypted: EncryptedOptions;
  readonly addresses: readonly ListenAddress[];
  /** Everything that a new thread must know, the batches that were applied before included. */
  readonly snapshot: () => Batch;
  readonly startWorker: typeof startWorker;
  readonly onDeath: (reason: string) => void;
  /** Answers a signed message, in batches; each waits until the one before is on its way. */
  readonly answerSigned?: (asked: Asked) => AsyncIterable<readonly Uint8Array[]> | undefined;
  /** Told when DNS over TLS and HTTPS are answered, or why they are not. */
  readonly onEncrypted?: (state: EncryptedState) => void;
}

export class Answerer {
  readonly #options: AnswererOptions;
  readonly #feed = new Feed();
  readonly #stream: Thread;
  /** As asked for; after the first start with the ports that were free. */
  #addresses: readonly ListenAddress[];
  /** The stream worker counts in the first, this thread what it answers in the second. */
  readonly #buffers = [newCounterBuffer(), newCounterBuffer()] as const;
  readonly #counters = new Counters(this.#buffers[1]);

  constructor(options: AnswererOptions) {
    this.#options = options;
    this.#addresses = options.addresses;
    this.#stream = new Thread({
      feed: this.#feed,
      snapshot: options.snapshot,
      start: (feed) => this.#startStream(feed),
      opening: (ask) => ask((id) => ({ kind: "listen", id, addresses: this.#addresses })),
      onMessage: (message) => this.#hear(message),
      onDeath: options.onDeath,
      answerSigned: (asked) => this.#answerSigned(asked),
    });
  }

  get listening(): readonly ListenAddress[] {
    return this.#stream.isOpen ? this.#addresses : [];
  }

  get deaths(): number {
    return this.#stream.deaths;
  }

  get totals(): Totals {
    return totalsOf(this.#buffers);
  }

  /** Start answering. Rejects when an address cannot be bound; then nothing is. */
  async open(): Promise<void> {
    await this.#stream.open();
  }

  /** All threads answer by `batch`, which the snapshot must hold already, when this returns. */
  apply(batch: Batch): void {
    this.#feed.publish(batch);
  }

  /** Stop accepting, finish what is open within `graceMs`, end the threads. */
  async close(graceMs: number): Promise<void> {
    await this.#stream.close(graceMs);
  }

  #startStream(feed: FeedInput): Promise<Worker> {
    const { catalog, guard, encrypted, startWorker } = this.#options;
    const input: StreamInput = { catalog, guard, encrypted, feed, counters: this.#buffers[0] };
    return startWorker(STREAM_WORKER, input, [feed.port]);
  }

  #hear(message: FromWorker): void {
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
