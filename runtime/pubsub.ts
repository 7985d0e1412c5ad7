import type { AppModel } from "./app-model";
import type { InfraConfig } from "./infra-config";

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
  readonly log?: (level: "info" | "error", message: string, fields: object) => void;
}

export interface PubSubTopic {
  /** The message's id. Rejects for a topic that the infra config does not know. */
  publish(message: unknown, source?: unknown): Promise<string>;
}

export interface PubSubSubscription {
  /** Pending for as long as the process lives; delivery begins with `PubSub.start()`. */
  subscribe(): Promise<void>;
}

export declare class PubSub {
  constructor(model: AppModel, infra: InfraConfig, options?: PubSubOptions);
  topic(name: string): PubSubTopic;
  subscription(cfg: SubscriptionHandler, makeRequest: MakeRequest): PubSubSubscription;
  start(): Promise<void>;
  /** Stops taking messages and waits for handlers that run, until `signal` aborts. */
  drain(signal: AbortSignal): Promise<void>;
}
