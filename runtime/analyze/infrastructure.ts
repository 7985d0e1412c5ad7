import { readdirSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import type * as TS from "typescript";
import type { CronModel, DatabaseModel, SubscriptionModel, TopicModel } from "../app-model";
import { declarationKey, ReadError, type Context } from "./context";
import { localPath } from "./endpoints";
import {
  durationLiteral,
  LiteralError,
  numberLiteral,
  objectLiteral,
  stringLiteral,
  type LiteralObject,
} from "./literals";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { ts } from "./typescript";

const NO_OPTIONS: LiteralObject = new Map();

/** `new SQLDatabase("name", { migrations: "./schema" })`. */
export function readDatabase(context: Context, reference: Reference): DatabaseModel {
  const { node, module } = reference;
  const at = positionOf(module, node);
  const name = resourceName(reference, 0);
  const options = optionsAt(reference, 1);
  const migrations = options.get("migrations");
  return {
    name,
    service: context.services.of(module.path)?.name ?? null,
    at,
    migrationsDir: migrations === undefined ? null : readMigrations(context, reference, migrations),
  };
}

function readMigrations(context: Context, { module }: Reference, node: TS.Expression): string {
  let pathNode = node;
  let source: string | null = null;
  if (ts.isObjectLiteralExpression(node)) {
    const config = objectLiteral(node);
    pathNode = config.get("path") ?? node;
    const sourceNode = config.get("source");
    source = sourceNode === undefined ? null : stringLiteral(sourceNode);
  }
  const dir = posix.join(posix.dirname(module.path), localPath(pathNode));
  if (!statSync(join(context.root, dir), { throwIfNoEntry: false })?.isDirectory()) {
    throw new ReadError(pathNode, `migrations directory does not exist: ${dir}`);
  }
  if (source === null) checkMigrationNames(context.root, dir, pathNode);
  return dir;
}

const MIGRATION_NAME = /^(\d+)_([^.]+)\.(up|down)\.sql$/;

function checkMigrationNames(root: string, dir: string, node: TS.Node): void {
  const byNumber = new Map<number, string>();
  for (const file of readdirSync(join(root, dir)).sort()) {
    if (!file.endsWith(".sql")) continue;
    const match = MIGRATION_NAME.exec(file);
    if (match === null) {
      const message = `invalid migration filename: ${file}, expected <number>_<name>.up.sql`;
      throw new ReadError(node, message);
    }
    if (match[3] !== "up") continue;
    const number = Number(match[1]);
    const other = byNumber.get(number);
    if (other !== undefined) {
      const message = `migrations ${other} and ${file} have the same number: only one would run`;
      throw new ReadError(node, message);
    }
    byNumber.set(number, file);
  }
}

/** `new Topic<Message>("name", { deliveryGuarantee })`; publishers are found later. */
export function readTopic(context: Context, reference: Reference): TopicModel {
  const { node, module } = reference;
  const options = optionsAt(reference, 1);
  const message = node.typeArguments?.[0];
  if (message === undefined) throw new ReadError(node, "missing message type parameter");
  const type = context.resolver.resolve(module, message);
  const open = context.resolver.underlying(type);
  const schema = open.kind === "object" ? context.schemas.root(type) : null;
  if (open.kind !== "object") context.schemas.schema(type);
  const ordering = options.get("orderingAttribute");
  return {
    name: resourceName(reference, 0),
    at: positionOf(module, node),
    deliveryGuarantee: readGuarantee(options.get("deliveryGuarantee")),
    orderingAttribute: ordering === undefined ? null : stringLiteral(ordering),
    message: schema,
    publishers: [],
  };
}

function readGuarantee(node: TS.Expression | undefined): TopicModel["deliveryGuarantee"] {
  if (node === undefined) return "at-least-once";
  const text = stringLiteral(node);
  if (text === "at-least-once" || text === "exactly-once") return text;
  throw new LiteralError(node, `invalid delivery guarantee "${text}"`);
}

/** A subscription whose topic is still a declaration, since topics may be read later. */
export interface FoundSubscription {
  readonly topicKey: string;
  readonly topicNode: TS.Node;
  readonly reference: Reference;
  readonly model: Omit<SubscriptionModel, "topic">;
}

const SECOND_MS = 1000;
const DEFAULT_CONCURRENCY = 100;

export function readSubscription(context: Context, reference: Reference): FoundSubscription {
  const { node, module } = reference;
  const at = positionOf(module, node);
  const topicNode = node.arguments?.[0];
  const name = resourceName(reference, 1);
  const options = optionsAt(reference, 2);
  const meaning =
    topicNode !== undefined && ts.isIdentifier(topicNode)
      ? context.graph.lookUp(module, topicNode.text)
      : null;
  const topicKey = declarationKey(meaning);
  if (topicNode === undefined || topicKey === null) {
    throw new ReadError(node, "cannot resolve topic reference");
  }
  if (!options.has("handler")) throw new ReadError(node, "subscription must have a handler");
  const retry = options.get("retryPolicy");
  const policy = retry === undefined ? NO_OPTIONS : objectLiteral(retry);
  const service = context.services.owner(at, "subscription", context.faults).name;
  return {
    topicKey,
    topicNode,
    reference,
    model: {
      name,
      service,
      at,
      maxConcurrency: numberOr(options.get("maxConcurrency"), DEFAULT_CONCURRENCY),
      ackDeadlineMs: durationOr(options.get("ackDeadline"), 30 * SECOND_MS),
      retentionMs: durationOr(options.get("messageRetention"), 7 * 24 * 3600 * SECOND_MS),
      minBackoffMs: durationOr(policy.get("minBackoff"), 10 * SECOND_MS),
      maxBackoffMs: durationOr(policy.get("maxBackoff"), 600 * SECOND_MS),
      maxRetries: numberOr(policy.get("maxRetries"), 100),
    },
  };
}

function numberOr(node: TS.Expression | undefined, otherwise: number): number {
  return node === undefined ? otherwise : numberLiteral(node);
}

function durationOr(node: TS.Expression | undefined, otherwiseMs: number): number {
  return node === undefined ? otherwiseMs : durationLiteral(node);
}

/** A cron job whose endpoint is still a declaration. */
export interface FoundCron {
  readonly endpointKey: string;
  readonly reference: Reference;
  readonly model: Omit<CronModel, "service" | "endpoint">;
}

const MINUTE_MS = 60 * SECOND_MS;
const MAX_EVERY_MINUTES = 24 * 60;

export function readCron(context: Context, reference: Reference): FoundCron {
  const { node, module } = reference;
  const options = optionsAt(reference, 1);
  const endpoint = options.get("endpoint");
  const meaning =
    endpoint !== undefined && ts.isIdentifier(endpoint)
      ? context.graph.lookUp(module, endpoint.text)
      : null;
  const endpointKey = declarationKey(meaning);
  if (endpointKey === null) throw new ReadError(endpoint ?? node, "cannot resolve endpoint");
  const every = options.get("every");
  const schedule = options.get("schedule");
  if ((every === undefined) === (schedule === undefined)) {
    throw new ReadError(node, "expected either `every` or `schedule` to be set");
  }
  return {
    endpointKey,
    reference,
    model: {
      name: resourceName(reference, 0),
      at: positionOf(module, node),
      everyMinutes: every === undefined ? null : readEvery(every),
      schedule: schedule === undefined ? null : readSchedule(schedule),
    },
  };
}

function readEvery(node: TS.Expression): number {
  const minutes = durationLiteral(node) / MINUTE_MS;
  if (!Number.isInteger(minutes) || minutes === 0) {
    throw new LiteralError(node, "`every` must be a multiple of 60 seconds");
  }
  if (minutes > MAX_EVERY_MINUTES) {
    throw new LiteralError(node, "`every` must be at most 24 hours");
  }
  return minutes;
}

function readSchedule(node: TS.Expression): string {
  const text = stringLiteral(node);
  if (text.trim().split(/\s+/).length === 5) return text;
  throw new LiteralError(node, "invalid cron expression: must have exactly 5 fields");
}

/** `secret("Name")`, at the top level of a service. */
export function readSecret(
  context: Context,
  reference: Reference,
): { name: string; service: string } {
  const { node, module, binding } = reference;
  if (binding.insideFunction) throw new ReadError(node, "secrets must be defined globally");
  if (binding.kind !== "variable") throw new ReadError(node, "secrets must be bound to a variable");
  const name = resourceName(reference, 0);
  const service = context.services.of(module.path);
  if (service === null) throw new ReadError(node, "secrets must be loaded from within services");
  return { name, service: service.name };
}

/** `new Counter("name")`, `new GaugeGroup<Labels>("name")`. */
export function readMetric(context: Context, reference: Reference) {
  const { node, module, binding } = reference;
  const name = resourceName(reference, 0);
  if (!/^[a-z][a-z0-9_]*$/.test(name) || name.startsWith("e_")) {
    throw new ReadError(node, `invalid metric name '${name}': expected snake_case without "e_"`);
  }
  const labelType = node.typeArguments?.[0];
  const open =
    labelType === undefined
      ? null
      : context.resolver.underlying(context.resolver.resolve(module, labelType));
  const labels = open?.kind === "object" ? open.fields.map((field) => snakeCase(field.name)) : [];
  if (labels.includes("service")) {
    throw new ReadError(node, "the label name 'service' is reserved");
  }
  const kind = reference.name.startsWith("Counter") ? ("counter" as const) : ("gauge" as const);
  return { name, kind, at: positionOf(module, node), variable: binding.name, labels };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function resourceName({ node }: Reference, index: number): string {
  const argument = node.arguments?.[index];
  if (argument === undefined) throw new ReadError(node, "missing resource name");
  return stringLiteral(argument);
}

function optionsAt({ node }: Reference, index: number): LiteralObject {
  const argument = node.arguments?.[index];
  return argument === undefined ? NO_OPTIONS : objectLiteral(argument);
}
