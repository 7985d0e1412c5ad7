import type { MigrationSource } from "./sql/migration-files";

/**
 * What the source of an Encore application declares: the product of reading it, and the only thing
 * that the rest of the runtime knows of the source. Plain JSON, so that it can be cached and handed
 * to another process.
 */
export interface AppModel {
  readonly services: readonly ServiceModel[];
  readonly endpoints: readonly EndpointModel[];
  readonly databases: readonly DatabaseModel[];
  readonly topics: readonly TopicModel[];
  readonly subscriptions: readonly SubscriptionModel[];
  readonly gateways: readonly GatewayModel[];
  readonly authHandler: AuthHandlerModel | null;
  readonly crons: readonly CronModel[];
  readonly secrets: readonly SecretModel[];
  readonly metrics: readonly MetricModel[];
  /** Names of buckets of object storage. */
  readonly buckets: readonly string[];
  /** Names of cache clusters. */
  readonly caches: readonly string[];
  /** Named types that schemas refer to, by key; recursion goes through them. */
  readonly types: Readonly<Record<string, Schema>>;
}

/** Where something stands: a path relative to the application's root, and a line from 1. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
}

export interface ServiceModel {
  readonly name: string;
  /** The service's folder, relative to the root. */
  readonly dir: string;
  readonly at: SourcePosition;
  /** Databases that it queries, its own and others' by `SQLDatabase.named`. */
  readonly databases: readonly string[];
}

export type EndpointKind = "typed" | "raw" | "static" | "streamIn" | "streamOut" | "streamInOut";

export function isStream({ kind }: Pick<EndpointModel, "kind">): boolean {
  return kind === "streamIn" || kind === "streamOut" || kind === "streamInOut";
}

export interface EndpointModel {
  readonly service: string;
  readonly name: string;
  readonly kind: EndpointKind;
  readonly at: SourcePosition;
  readonly expose: boolean;
  readonly auth: boolean;
  readonly sensitive: boolean;
  readonly tags: readonly string[];
  /** Upper case; `["*"]` is every method. */
  readonly methods: readonly string[];
  /** As written: `/v1/repls/:replId`, `/files/*path`, `/!rest`. */
  readonly path: string;
  /** Bytes; null is no limit. */
  readonly bodyLimit: number | null;
  readonly request: ObjectSchema | null;
  readonly response: ObjectSchema | null;
  readonly handshake: ObjectSchema | null;
  readonly assets: StaticAssets | null;
}

export interface StaticAssets {
  readonly dir: string;
  readonly notFound: string | null;
  readonly notFoundStatus: number | null;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

export interface DatabaseModel {
  readonly name: string;
  /** The service whose folder declares it. */
  readonly service: string | null;
  readonly at: SourcePosition;
  /** Relative to the root; null when it has no migrations. */
  readonly migrationsDir: string | null;
  readonly migrationSource: MigrationSource;
}

export interface TopicModel {
  readonly name: string;
  readonly at: SourcePosition;
  readonly deliveryGuarantee: "at-least-once" | "exactly-once";
  readonly orderingAttribute: string | null;
  readonly message: Schema;
  /** The services that publish to it. */
  readonly publishers: readonly string[];
}

/** Durations are milliseconds. */
export interface SubscriptionModel {
  readonly topic: string;
  readonly name: string;
  readonly service: string;
  readonly at: SourcePosition;
  readonly maxConcurrency: number;
  readonly ackDeadlineMs: number;
  readonly retentionMs: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly maxRetries: number;
}

export interface GatewayModel {
  readonly name: string;
  readonly service: string;
  readonly at: SourcePosition;
  /** The exported variable that holds it. */
  readonly variable: string;
}

export interface AuthHandlerModel {
  readonly service: string;
  readonly name: string;
  readonly at: SourcePosition;
  readonly params: ObjectSchema;
  readonly data: Schema;
}

export interface CronModel {
  readonly name: string;
  readonly at: SourcePosition;
  /** Minutes between runs, or null when `schedule` says when. */
  readonly everyMinutes: number | null;
  /** Five fields, UTC; or null when `everyMinutes` says when. */
  readonly schedule: string | null;
  readonly service: string;
  readonly endpoint: string;
}

export interface SecretModel {
  readonly name: string;
  readonly services: readonly string[];
}

export interface MetricModel {
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly at: SourcePosition;
  /** The variable that holds it, or null. */
  readonly variable: string | null;
  readonly labels: readonly string[];
  /** The services that use it. */
  readonly services: readonly string[];
}

/** The shape of a value on the wire. */
export type Schema =
  | {
      readonly kind:
        | "string"
        | "number"
        | "boolean"
        | "bigint"
        | "decimal"
        | "date"
        | "any"
        | "null";
    }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "array"; readonly element: Schema }
  | { readonly kind: "record"; readonly value: Schema }
  | { readonly kind: "union"; readonly members: readonly Schema[] }
  | { readonly kind: "validated"; readonly base: Schema; readonly rule: ValidationRule }
  | { readonly kind: "named"; readonly type: string }
  | ObjectSchema;

export interface ObjectSchema {
  readonly kind: "object";
  /** The declared name of a request, response or message. */
  readonly typeName?: string;
  readonly fields: readonly FieldSchema[];
}

export interface FieldSchema {
  /** The name of the property in the program. */
  readonly name: string;
  readonly optional: boolean;
  readonly schema: Schema;
  /** Where it travels; `auto` is decided by method (query or body), path parameters are found by name. */
  readonly location: "auto" | "header" | "query" | "cookie" | "status";
  /** The name on the wire, when it differs. */
  readonly wireName: string;
}

export type ValidationRule =
  | { readonly rule: "min" | "max" | "minLen" | "maxLen"; readonly value: number }
  | { readonly rule: "matchesRegexp" | "startsWith" | "endsWith"; readonly value: string }
  | { readonly rule: "isEmail" | "isURL" }
  | { readonly rule: "and" | "or"; readonly rules: readonly ValidationRule[] };
