import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { AppModel, SubscriptionModel } from "../app-model";
import { onExit } from "../drain";
import { type DatabaseConfig, type InfraConfig, PUBSUB_DATABASE } from "../infra-config";
import { jsonText, parseJson } from "../json-text";
import { ensureDatabase } from "../sql/migrate";
import { Batch } from "./batch";
import { Consumer, type LogLine } from "./pubsub-consumer";
import { PubSubLine } from "./pubsub-line";
import { type Channel, type Claim, type Message, PubSubStore } from "./pubsub-store";

/** One delivery of a message to a subscription. */
export interface Delivery {
  readonly service: string;
  readonly topic: string;
  readonly subscription: string;
  readonly id: string;
  /** RFC 3339. */
  readonly publishedAt: string;
  /** From 1. */
  readonly attempt: number;
  /** The message's JSON, parsed; whole numbers beyond 2^53 are bigints. */
  readonly payload: unknown;
  /** What `PubSubOptions.attributes` gave when it was published. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface SubscriptionHandler {
  readonly topicName: string;
  readonly subscriptionName: string;
  /** Success acknowledges; a rejection has the message delivered again. */
  readonly handler: (request: never) => unknown;
}

/** Makes the Request that the handler gets. Throwing counts as a failed delivery. */
export type MakeRequest = (delivery: Delivery) => unknown;

export interface PubSubOptions {
  /** A message as JSON text; the default writes JSON as Encore does. */
  readonly encode?: (topic: string, message: unknown) => string;
  /** What travels beside the message, such as trace ids, taken from the publishing request. */
  readonly attributes?: (source: unknown) => Record<string, string>;
  readonly log?: LogLine;
}

export interface PubSubTopic {
  /** The message's id. Rejects for a topic that the infra config does not know. */
  publish(message: unknown, source?: unknown): Promise<string>;
}

export interface PubSubSubscription {
  /** Pending for as long as the process lives; delivery begins with `PubSub.start()`. */
  subscribe(): Promise<void>;
}

/** Encore's limit for a message. */
const MESSAGE_MAX_BYTES = 10_000_000;

/** Messages that are kept in one statement, and their characters. */
const PUBLISH_LIMITS = { items: 500, size: 4_000_000 };

/** How often messages of processes that are gone are taken back. */
const ORPHANS_MS = 2_000;

/** How often retention is looked after. */
const TIDY_MS = 60_000;

/** Between two tries to reach the messages' database at a start. */
const START_AGAIN_MS = 1_000;

const OWNER_MAX = 2 ** 31 - 1;

/** A subscription of this process: what it reads, and who takes it. */
interface Served {
  readonly channel: Channel;
  readonly model: SubscriptionModel;
  readonly handler: SubscriptionHandler;
  readonly makeRequest: MakeRequest;
}

/** Every topic and subscription of a process. Nothing is connected before it is needed. */
export class PubSub {
  private readonly config: DatabaseConfig | null;
  private readonly owner = randomInt(1, OWNER_MAX);
  private readonly subscriptions = new Map<string, [SubscriptionHandler, MakeRequest]>();
  /** What is about to be published, by physical topic. */
  private readonly outgoing = new Map<string, Batch<Message>>();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly log: LogLine;
  private consumers: Consumer[] = [];
  private line: PubSubLine | null = null;
  private store: Promise<PubSubStore> | null = null;
  private isDraining = false;

  constructor(
    private readonly model: AppModel,
    private readonly infra: InfraConfig,
    private readonly options: PubSubOptions = {},
  ) {
    this.config = pubsubDatabase(infra);
    this.log = options.log ?? (() => {});
  }

  topic(name: string): PubSubTopic {
    return { publish: (message, source) => this.publish(name, message, source) };
  }

  /** A subscription that the infra config leaves out is silently not served, as in Encore. */
  subscription(handler: SubscriptionHandler, makeRequest: MakeRequest): PubSubSubscription {
    this.subscriptions.set(`${handler.topicName}/${handler.subscriptionName}`, [
      handler,
      makeRequest,
    ]);
    return { subscribe: () => new Promise<void>(() => {}) };
  }

  /**
   * Begins to deliver. Call it when every handler is registered. Where the messages' database is away,
   * it is tried again until it is there: what else the process does need not wait for it.
   */
  async start(): Promise<void> {
    const served = [...this.subscriptions.values()].flatMap(([handler, makeRequest]) => {
      const channel = this.channelOf(handler.topicName, handler.subscriptionName);
      const model = this.modelOf(handler);
      return channel && model ? [{ channel, model, handler, makeRequest }] : [];
    });
    if (served.length === 0 || this.config === null) return;
    await this.consume(served, this.config).catch((error: Error) => {
      this.log("error", "cannot reach pub/sub, trying again", { error: error.message });
      void this.consumeLater(served, this.config as DatabaseConfig);
    });
  }

  private async consumeLater(served: readonly Served[], config: DatabaseConfig): Promise<void> {
    for (let isBegun = false; !isBegun && !this.isDraining;) {
      await sleep(START_AGAIN_MS, undefined, { ref: false });
      isBegun = await this.consume(served, config).then(
        () => true,
        () => false,
      );
    }
    if (!this.isDraining) this.log("info", "pub/sub works", {});
  }

  private async consume(served: readonly Served[], config: DatabaseConfig): Promise<void> {
    const store = await this.open();
    const line = new PubSubLine(config, store.presence, (topic) => this.wake(topic));
    try {
      await line.open();
      await store.releaseOrphans();
    } catch (error) {
      await line.close();
      throw error;
    }
    if (this.isDraining) return line.close();
    this.line = line;
    this.consumers = served.map(({ channel, model, handler, makeRequest }) => {
      const deliver = (claim: Claim): unknown =>
        handler.handler(makeRequest(toDelivery(claim, model)) as never);
      return new Consumer({ model, channel, store, log: this.log, deliver });
    });
    for (const consumer of this.consumers) consumer.start();
    this.every(ORPHANS_MS, () => store.releaseOrphans());
    this.every(TIDY_MS, () => this.tidy(store, served));
  }

  /** Takes no more messages and waits for handlers that run, until `signal` aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    this.isDraining = true;
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    const idle = Promise.all(this.consumers.map((consumer) => consumer.stop()));
    await Promise.race([idle, aborted(signal)]);
    // What is still claimed goes to other processes once this connection is closed.
    await this.line?.close();
  }

  /** Ends the connections. Until then requests that are still answered may publish. */
  async close(): Promise<void> {
    await this.line?.close();
    const store = await this.store?.catch(() => null);
    await store?.close();
  }

  private async publish(name: string, message: unknown, source: unknown): Promise<string> {
    const topic = this.infra.topics[name];
    if (!topic) throw new Error(`topic "${name}" is not configured for use by this process`);
    const body = this.options.encode?.(name, message) ?? jsonText(message);
    const size = Buffer.byteLength(body);
    if (size > MESSAGE_MAX_BYTES) {
      throw new Error(
        `Cannot publish to "${name}": the message has ${size} bytes, at most ${MESSAGE_MAX_BYTES}`,
      );
    }
    const id = randomUUID();
    const attributes = this.options.attributes?.(source) ?? {};
    const orderingKey = this.orderingKeyOf(name, message);
    await this.batchOf(topic.name).add({ id, body, attributes, orderingKey });
    return id;
  }

  private batchOf(topic: string): Batch<Message> {
    let batch = this.outgoing.get(topic);
    if (!batch) {
      const write = async (messages: readonly Message[]): Promise<void> =>
        (await this.open()).publish(topic, messages);
      batch = new Batch(write, PUBLISH_LIMITS, ({ body }) => body.length);
      this.outgoing.set(topic, batch);
    }
    return batch;
  }

  /** The value of the topic's ordering attribute in this message. */
  private orderingKeyOf(topic: string, message: unknown): string | null {
    const model = this.model.topics.find(({ name }) => name === topic);
    const attribute = model?.orderingAttribute ?? null;
    if (attribute === null) return null;
    const value = (message as Record<string, unknown> | null)?.[attribute];
    if (value === undefined || value === null) return null;
    // Nothing in a text of Postgres may be a zero byte.
    return JSON.stringify(value);
  }

  /** Subscriptions are made known before the first message, which would otherwise miss them. */
  private open(): Promise<PubSubStore> {
    this.store ??= this.connect().catch((error: unknown) => {
      this.store = null;
      throw error;
    });
    return this.store;
  }

  private async connect(): Promise<PubSubStore> {
    if (this.config === null) {
      throw new Error("Pub/Sub has no database: the infra config names no SQL server");
    }
    const channels = Object.values(this.infra.topics).flatMap((topic) =>
      Object.values(topic.subscriptions).map(({ name }) => ({
        topic: topic.name,
        subscription: name,
      })),
    );
    await ensureDatabase(this.config, anyDatabase(this.infra));
    const store = new PubSubStore(this.config, this.owner);
    try {
      await store.prepare(channels);
      onExit(() => this.close());
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  private wake(topic: string | null): void {
    for (const consumer of this.consumers) {
      if (topic === null || consumer.topic === topic) consumer.wake();
    }
  }

  private channelOf(topicName: string, subscriptionName: string): Channel | null {
    const topic = this.infra.topics[topicName];
    const subscription = topic?.subscriptions[subscriptionName];
    return topic && subscription ? { topic: topic.name, subscription: subscription.name } : null;
  }

  private modelOf(handler: SubscriptionHandler): SubscriptionModel | undefined {
    return this.model.subscriptions.find(
      ({ topic, name }) => topic === handler.topicName && name === handler.subscriptionName,
    );
  }

  private async tidy(
    store: PubSubStore,
    served: readonly { channel: Channel; model: SubscriptionModel }[],
  ): Promise<void> {
    await store.serve(served.map(({ channel }) => channel));
    for (const { channel, model } of served) await store.expire(channel, model.retentionMs);
    await store.forget();
  }

  private every(ms: number, work: () => Promise<void>): void {
    let isFailing = false;
    const run = (): void =>
      void work().then(
        () => (isFailing = false),
        (error: Error) => {
          if (!isFailing) this.log("error", "pub/sub upkeep failed", { error: error.message });
          isFailing = true;
        },
      );
    this.timers.push(setInterval(run, ms));
  }
}

/** Where messages are: the database of that name, or one on the server of the first database. */
export function pubsubDatabase(infra: InfraConfig): DatabaseConfig | null {
  const named = infra.databases[PUBSUB_DATABASE];
  if (named) return named;
  const first = Object.values(infra.databases)[0];
  return first ? { ...first, database: PUBSUB_DATABASE } : null;
}

/** A database that exists, from where another can be created. */
function anyDatabase(infra: InfraConfig): string {
  const other = Object.entries(infra.databases).find(([name]) => name !== PUBSUB_DATABASE);
  return other?.[1].database ?? "postgres";
}

function toDelivery(claim: Claim, model: SubscriptionModel): Delivery {
  return {
    service: model.service,
    topic: model.topic,
    subscription: model.name,
    id: claim.messageId,
    publishedAt: claim.publishedAt.toISOString(),
    attempt: claim.attempt,
    payload: parseJson(claim.body),
    attributes: claim.attributes,
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
