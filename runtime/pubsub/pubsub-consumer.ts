import { AsyncResource } from "node:async_hooks";

import type { SubscriptionModel } from "../app-model";
import type { Channel, Claim, PubSubStore } from "./pubsub-store";

/** In flight at once where a subscription sets no limit, as in Encore's own local queue. */
const DEFAULT_CONCURRENCY = 100;

/** Claimed in one go: enough to fill the round trip, few enough to share with other processes. */
const CLAIM_MAX = 20;

/** Look for messages at least this often, should a notification be lost. */
const POLL_MS = 5_000;

/** After a failure of the database. */
const PAUSE_MS = 250;

/** A claim is extended when this part of its deadline has passed. */
const EXTEND_AT = 0.5;

/** Encore's own numbers for "for ever" and "not once". */
const INFINITE_RETRIES = -1;
const NO_RETRIES = -2;
const DEFAULT_RETRIES = 100;

/** How often a message is delivered before it goes to the dead letters. */
export function maxAttempts(maxRetries: number): number {
  if (maxRetries === INFINITE_RETRIES) return Infinity;
  if (maxRetries === NO_RETRIES) return 1;
  return 1 + (maxRetries === 0 ? DEFAULT_RETRIES : maxRetries);
}

/** Doubles with each failed attempt, from `minBackoffMs` to `maxBackoffMs`. */
export function backoffMs(
  attempt: number,
  { minBackoffMs, maxBackoffMs }: { minBackoffMs: number; maxBackoffMs: number },
): number {
  return Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(attempt - 1, 52));
}

export type LogLine = (level: "info" | "error", message: string, fields: object) => void;

export interface ConsumerOptions {
  readonly model: SubscriptionModel;
  readonly channel: Channel;
  readonly store: PubSubStore;
  readonly log: LogLine;
  /** Resolves to acknowledge; rejects to have the message again. */
  readonly deliver: (claim: Claim) => unknown;
}

/** Takes the messages of one subscription and gives each to the handler. */
export class Consumer {
  private readonly running = new Set<Promise<void>>();
  private readonly concurrency: number;
  private stopped = false;
  private wanted = false;
  private wakeUp: () => void = () => {};
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: ConsumerOptions) {
    this.concurrency = options.model.maxConcurrency || DEFAULT_CONCURRENCY;
  }

  get topic(): string {
    return this.options.channel.topic;
  }

  start(): void {
    this.loop = this.run();
  }

  /** There may be a message, or room for one. */
  wake(): void {
    this.wanted = true;
    this.wakeUp();
  }

  /** Takes nothing more and waits for what runs. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.loop;
    await Promise.all(this.running);
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      this.wanted = false;
      const pauseMs = await this.takeSome().catch((error: Error) => {
        this.report("error", "cannot take messages", { error: error.message });
        return PAUSE_MS;
      });
      if (pauseMs > 0) await this.rest(pauseMs);
    }
  }

  /** Answers how long to wait for more. */
  private async takeSome(): Promise<number> {
    const { store, channel, model } = this.options;
    const room = Math.min(this.concurrency - this.running.size, CLAIM_MAX);
    if (room <= 0) return POLL_MS;
    const claims = await store.claim(channel, room, model.ackDeadlineMs);
    for (const claim of claims) this.begin(claim);
    if (claims.length === room) return 0;
    const dueMs = await store.nextDueMs(channel);
    return dueMs === null ? POLL_MS : Math.min(POLL_MS, Math.max(1, dueMs));
  }

  private rest(ms: number): Promise<void> {
    if (this.wanted || this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      this.wakeUp = done;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }

  private begin(claim: Claim): void {
    const work = this.handle(claim)
      .catch((error: Error) => {
        // The claim runs out by itself, and the message comes again.
        this.report("error", "cannot settle a message", {
          id: claim.messageId,
          error: error.message,
        });
      })
      .finally(() => {
        this.running.delete(work);
        this.wake();
      });
    this.running.add(work);
  }

  private async handle(claim: Claim): Promise<void> {
    const { store, model, deliver } = this.options;
    const limit = maxAttempts(model.maxRetries);
    if (claim.attempt > limit) {
      return store.bury(claim, "the process ended while it handled the last attempt");
    }
    const extend = (): void => void store.extend(claim, model.ackDeadlineMs).catch(() => {});
    const extending = setInterval(extend, model.ackDeadlineMs * EXTEND_AT);
    try {
      // Each delivery in a context of its own: the SDK enters it and never leaves.
      await new AsyncResource("stele.delivery").runInAsyncScope(() => deliver(claim));
      clearInterval(extending);
      await store.acknowledge(claim);
    } catch (error) {
      clearInterval(extending);
      await this.fail(claim, limit, error);
    }
  }

  private async fail(claim: Claim, limit: number, error: unknown): Promise<void> {
    const { store, model } = this.options;
    const reason = error instanceof Error ? error.message : String(error);
    const fields = { id: claim.messageId, attempt: claim.attempt, error: reason };
    if (claim.attempt >= limit) {
      this.report("error", "message given up", fields);
      return store.bury(claim, reason);
    }
    const delayMs = backoffMs(claim.attempt, model);
    this.report("error", "message failed", { ...fields, retryInMs: delayMs });
    return store.retry(claim, delayMs);
  }

  private report(level: "info" | "error", message: string, fields: object): void {
    const { topic, name } = this.options.model;
    this.options.log(level, message, { topic, subscription: name, ...fields });
  }
}
