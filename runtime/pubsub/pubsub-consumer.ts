import { AsyncResource } from "node:async_hooks";

import type { SubscriptionModel } from "../app-model";
import { Batch } from "./batch";
import { afterFailure, isSpent } from "./delivery-policy";
import type { Channel, Claim, PubSubStore } from "./pubsub-store";

/** In flight at once where a subscription sets no limit, as in Encore's own local queue. */
const DEFAULT_CONCURRENCY = 100;

/** Claimed in one go: enough to fill the round trip, few enough to share with other processes. */
const CLAIM_MAX = 100;

/** Look for messages at least this often, should a notification be lost. */
const POLL_MS = 5_000;

/** After some messages more will come: asking when the next is due would be work in vain. */
const BUSY_MS = 20;

/** After a failure of the database; twice as long after each further one, up to `POLL_MS`. */
const PAUSE_MS = 250;

/** Claims are extended so often within their deadline: one that fails leaves time for others. */
const EXTENSIONS = 3;

/** Deliveries that end in one statement. */
const SETTLE_LIMITS = { items: 1_000, size: Infinity };

export type LogLine = (level: "info" | "error", message: string, fields: object) => void;

export interface ConsumerOptions {
  readonly model: SubscriptionModel;
  readonly channel: Channel;
  readonly store: PubSubStore;
  readonly log: LogLine;
  /** Resolves to acknowledge; rejects to have the message again. */
  readonly deliver: (claim: Claim) => unknown;
}

interface Retry {
  readonly claim: Claim;
  readonly delayMs: number;
}

/** Takes the messages of one subscription and gives each to the handler. */
export class Consumer {
  /** Those whose handler runs. */
  private readonly running = new Set<Claim>();
  /** Everything that is not over, its acknowledgement included. */
  private readonly pending = new Set<Promise<void>>();
  private readonly concurrency: number;
  private readonly acknowledgements: Batch<Claim>;
  private readonly retries: Batch<Retry>;
  private extending: NodeJS.Timeout | undefined;
  private stopped = false;
  private wanted = false;
  private wakeUp: () => void = () => {};
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly options: ConsumerOptions) {
    const { store, model } = options;
    this.concurrency = model.maxConcurrency || DEFAULT_CONCURRENCY;
    this.acknowledgements = new Batch((claims) => store.acknowledge(claims), SETTLE_LIMITS);
    this.retries = new Batch(
      (retries) =>
        store.retry(
          retries.map(({ claim }) => claim),
          retries.map(({ delayMs }) => delayMs),
        ),
      SETTLE_LIMITS,
    );
  }

  get topic(): string {
    return this.options.channel.topic;
  }

  start(): void {
    const { ackDeadlineMs } = this.options.model;
    this.extending = setInterval(() => this.extend(), ackDeadlineMs / EXTENSIONS);
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
    await Promise.all(this.pending);
    clearInterval(this.extending);
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.stopped;) {
      this.wanted = false;
      let pauseMs = 0;
      try {
        pauseMs = await this.takeSome();
        if (failures > 0) this.report("info", "messages can be taken again", {});
        failures = 0;
      } catch (error) {
        // Said once: the database may be away for hours.
        const why = { error: (error as Error).message };
        if (failures === 0) this.report("error", "cannot take messages, trying again", why);
        pauseMs = Math.min(POLL_MS, PAUSE_MS * 2 ** failures++);
      }
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
    if (claims.length > 0) return BUSY_MS;
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
      .finally(() => this.pending.delete(work));
    this.pending.add(work);
  }

  private async handle(claim: Claim): Promise<void> {
    const { store, model, deliver } = this.options;
    if (isSpent(claim.attempt, model)) {
      return store.bury(claim, "the process ended while it handled the last attempt");
    }
    this.running.add(claim);
    try {
      // Each delivery in a context of its own: the SDK enters it and never leaves.
      await new AsyncResource("stele.delivery").runInAsyncScope(() => deliver(claim));
    } catch (error) {
      this.ended(claim);
      return this.fail(claim, error);
    }
    this.ended(claim);
    return this.acknowledgements.add(claim);
  }

  /** There is room for another. */
  private ended(claim: Claim): void {
    const wasFull = this.running.size === this.concurrency;
    this.running.delete(claim);
    if (wasFull) this.wake();
  }

  private async fail(claim: Claim, error: unknown): Promise<void> {
    const { store, model } = this.options;
    const reason = error instanceof Error ? error.message : String(error);
    const fields = { id: claim.messageId, attempt: claim.attempt, error: reason };
    const next = afterFailure(claim.attempt, model);
    if (next.to === "dead letter") {
      this.report("error", "message given up", fields);
      return store.bury(claim, reason);
    }
    const { delayMs } = next;
    this.report("error", "message failed", { ...fields, retryInMs: delayMs });
    await this.retries.add({ claim, delayMs });
    // Sooner than it would look by itself, perhaps.
    if (delayMs < POLL_MS) setTimeout(() => this.wake(), delayMs).unref();
  }

  private extend(): void {
    const claims = [...this.running];
    if (claims.length === 0) return;
    const { store, model } = this.options;
    store.extend(claims, model.ackDeadlineMs).catch((error: Error) => {
      this.report("error", "cannot extend claims", { error: error.message });
    });
  }

  private report(level: "info" | "error", message: string, fields: object): void {
    const { topic, name } = this.options.model;
    this.options.log(level, message, { topic, subscription: name, ...fields });
  }
}
