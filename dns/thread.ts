/** The main thread's side of one answering thread: puts a new one in the place of one that died. */
import type { Worker } from "node:worker_threads";

import { type Backoff, backoffMs } from "../shared/backoff";
import type { Told } from "./core/catalog";
import type { Feed, FeedInput } from "./feed";
import type { Asked, FromWorker, ToWorker } from "./protocol";

/** The first replacement comes at once; one that dies again and again must not burn a core. */
const REPLACE: Backoff = { minMs: 50, maxMs: 5_000 };
/** A thread that lived so long died of something new. */
const STABLE_MS = 10_000;

export interface ThreadOptions {
  readonly feed: Feed;
  /** Everything that a new thread must know, what was published before included. */
  readonly snapshot: () => Told;
  readonly start: (feed: FeedInput) => Promise<Worker>;
  /** What the thread must do before it counts as open, such as to listen. */
  readonly opening: (ask: Ask) => Promise<void>;
  readonly onMessage: (message: FromWorker) => void;
  readonly onDeath: (reason: string) => void;
  /** Answers a signed message, in batches; each waits until the one before is on its way. */
  readonly answerSigned: (asked: Asked) => AsyncIterable<readonly Uint8Array[]>;
}

/** Resolves when the thread has done it. */
export type Ask = (message: (id: number) => ToWorker) => Promise<void>;

/** A worker that runs, and what it has not answered yet. */
interface Running {
  readonly worker: Worker;
  hasEnded: boolean;
  readonly waiting: Map<number, { resolve: () => void; reject: (error: Error) => void }>;
}

export class Thread {
  readonly #options: ThreadOptions;
  #running: Running | undefined;
  #nextId = 1;
  #deaths = 0;
  #deathsInARow = 0;
  #startedAt = 0;
  #isClosing = false;
  #opening: Promise<void> | undefined;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#running !== undefined;
  }

  get deaths(): number {
    return this.#deaths;
  }

  /** Start answering. Rejects when the thread cannot open; then there is none. */
  async open(): Promise<void> {
    this.#isClosing = false;
    this.#opening = this.#start();
    await this.#opening;
  }

  async #start(): Promise<void> {
    const { feed, snapshot, start } = this.#options;
    const subscription = feed.subscribe(snapshot());
    try {
      const worker = await start(subscription.input);
      worker.on("exit", () => subscription.end());
      await this.#open({ worker, waiting: new Map(), hasEnded: false });
    } catch (error) {
      subscription.end();
      throw error;
    }
  }

  async #open(running: Running): Promise<void> {
    const { worker } = running;
    let fault = "it ended";
    worker.on("error", (error) => (fault = error.stack ?? String(error)));
    worker.on("message", (message: FromWorker) => this.#hear(running, message));
    worker.on("exit", () => {
      running.hasEnded = true;
      for (const { reject } of running.waiting.values()) reject(new Error(ENDED + fault));
      if (this.#running === running) this.#replace(fault);
    });
    try {
      await this.#options.opening((message) => this.#ask(running, message));
      if (this.#isClosing) throw new Error("Cannot answer: closed already");
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    this.#running = running;
    this.#startedAt = performance.now();
  }

  /** Stop accepting, finish what is open within `graceMs`, end the thread. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    await this.#opening?.catch(() => undefined);
    const running = this.#running;
    if (!running) return;
    await this.#ask(running, (id) => ({ kind: "close", id, graceMs })).catch(() => undefined);
    this.#running = undefined;
    await running.worker.terminate();
  }

  #ask(running: Running, message: (id: number) => ToWorker): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (running.hasEnded) return reject(new Error(`${ENDED}before`));
      running.waiting.set(id, { resolve, reject });
      running.worker.postMessage(message(id));
    });
  }

  #hear(running: Running, message: FromWorker): void {
    if (message.kind === "asked") return void this.#answerSigned(running, message.asked);
    if (message.kind !== "done") return this.#options.onMessage(message);
    const waiting = running.waiting.get(message.id);
    running.waiting.delete(message.id);
    if (message.fault === null) waiting?.resolve();
    else waiting?.reject(new Error(message.fault));
  }

  /** The worker that asked gets the answer, or nobody: another one knows nothing of it. */
  async #answerSigned(running: Running, asked: Asked): Promise<void> {
    const give: Give = (messages) =>
      this.#ask(running, (id) => ({ kind: "answer", id, to: asked.id, messages }));
    try {
      for await (const messages of this.#options.answerSigned(asked)) {
        if (messages.length > 0) await give(messages);
      }
      await give([]);
    } catch {
      // Who asked has left, or will ask again.
      await give([]).catch(() => undefined);
    }
  }

  #replace(reason: string): void {
    this.#running = undefined;
    if (this.#isClosing) return;
    const isStable = performance.now() - this.#startedAt > STABLE_MS;
    this.#deathsInARow = isStable ? 1 : this.#deathsInARow + 1;
    this.#deaths++;
    this.#options.onDeath(reason);
    const again = this.#deathsInARow;
    const waitMs = again === 1 ? 0 : backoffMs(again, REPLACE, Math.random());
    setTimeout(() => void this.#reopen(), waitMs);
  }

  async #reopen(): Promise<void> {
    if (this.#isClosing) return;
    try {
      this.#opening = this.#start();
      await this.#opening;
    } catch (error) {
      this.#replace(String(error));
    }
  }
}

type Give = (messages: readonly Uint8Array[]) => Promise<void>;
const ENDED = "Cannot answer: the worker died: ";
