import { readdirSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import type * as TS from "typescript";
import type { CronModel, DatabaseModel, SubscriptionModel, TopicModel } from "../app-model";
import { declarationKey, ReadError, type Context } from "./context";
import { localPath } from "./endpoints";
import {
  durationLiteral,
  LiteralError,
  countLiteral,
  objectLiteral,
  stringLiteral,
  type LiteralObject,
} from "./literals";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { ts } from "./typescript";

/** What a subscription, and a cron job, must be given. */
export const NO_TOPIC =
  "topic not found: expected the variable of a new Topic, imported by its name";
export const NO_ENDPOINT =
  "endpoint not found: expected the exported variable of an api(…), imported by its name";

const NO_OPTIONS: LiteralObject = new Map();

/** `new SQLDatabase("name", { migrations: "./schema" })`. */
export function readDatabase(context: Context, reference: Reference): DatabaseModel {
  const { node, module } = reference;
  const at = positionOf(module, node);
  const name = resourceName(reference, 0);
  const options = optionsAt(reference, 1, ["migrations"]);
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
    const config = objectLiteral(node, ["path", "source"]);
    pathNode = config.get("path") ?? node;
    const sourceNode = config.get("source");
    source = sourceNode === undefined ? null : stringLiteral(sourceNode);
  }
  const dir = posix.join(posix.dirname(module.path), localPath(pathNode));
  if (!statSync(join(context.root, dir), { throwIfNoEntry: false })?.isDirectory()) {
    throw new ReadError(
      pathNode,
      `folder ${dir} of migrations does not exist: make it, or leave migrations out`,
    );
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
      const message = `migration ${file} has no valid name: expected <number>_<name>.up.sql`;
      throw new ReadError(node, message);
    }
    if (match[3] !== "up") continue;
    const number = Number(match[1]);
    const other = byNumber.get(number);
    if (other !== undefined) {
      const message = `migrations ${other} and ${file} have the same number: only one would run; renumber one`;
      throw new ReadError(node, message);
    }
    byNumber.set(number, file);
  }
}

/** `new Topic<Message>("name", { deliveryGuarantee })`; publishers are found later. */
export function readTopic(context: Context, reference: Reference): TopicModel {
  const { node, module } = reference;
  const options = optionsAt(reference, 1, ["deliveryGuarantee", "orderingAttribute"]);
  const message = node.typeArguments?.[0];
  if (message === undefined)
    throw new ReadError(
      node,
      "a topic needs the type of its messages: write new Topic<Message>(…)",
    );
  const ordering = options.get("orderingAttribute");
  return {
    name: resourceName(reference, 0),
    at: positionOf(module, node),
    deliveryGuarantee: readGuarantee(options.get("deliveryGuarantee")),
    orderingAttribute: ordering === undefined ? null : stringLiteral(ordering),
    message: context.schemas.schema(context.resolver.resolve(module, message)),
    publishers: [],
  };
}

function readGuarantee(node: TS.Expression | undefined): TopicModel["deliveryGuarantee"] {
  if (node === undefined) return "at-least-once";
  const text = stringLiteral(node);
  if (text === "at-least-once" || text === "exactly-once") return text;
  throw new LiteralError(
    node,
    `delivery guarantee "${text}" is not known: expected "at-least-once" or "exactly-once"`,
  );
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

const SUBSCRIPTION_OPTIONS = [
  "handler",
  "maxConcurrency",
  "ackDeadline",
  "messageRetention",
  "retryPolicy",
];
const RETRY_OPTIONS = ["minBackoff", "maxBackoff", "maxRetries"];

export function readSubscription(context: Context, reference: Reference): FoundSubscription {
  const { node, module } = reference;
  const at = positionOf(module, node);
  const topicNode = node.arguments?.[0];
  const name = resourceName(reference, 1);
  const options = optionsAt(reference, 2, SUBSCRIPTION_OPTIONS);
  const meaning =
    topicNode !== undefined && ts.isIdentifier(topicNode)
      ? context.graph.lookUp(module, topicNode.text)
      : null;
  const topicKey = declarationKey(meaning);
  if (topicNode === undefined || topicKey === null) {
    throw new ReadError(node, NO_TOPIC);
  }
  if (!options.has("handler"))
    throw new ReadError(
      node,
      "a subscription needs a handler: write { handler: async (message) => … }",
    );
  const retry = options.get("retryPolicy");
  const policy = retry === undefined ? NO_OPTIONS : objectLiteral(retry, RETRY_OPTIONS);
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
  return node === undefined ? otherwise : countLiteral(node);
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
  const options = optionsAt(reference, 1, ["endpoint", "title", "every", "schedule"]);
  const endpoint = options.get("endpoint");
  const meaning =
    endpoint !== undefined && ts.isIdentifier(endpoint)
      ? context.graph.lookUp(module, endpoint.text)
      : null;
  const endpointKey = declarationKey(meaning);
  if (endpointKey === null) throw new ReadError(endpoint ?? node, NO_ENDPOINT);
  const every = options.get("every");
  const schedule = options.get("schedule");
  if ((every === undefined) === (schedule === undefined)) {
    throw new ReadError(
      node,
      "a cron job runs by every or by schedule: expected exactly one of them",
    );
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
  const text = node.getText().slice(1, -1);
  const minutes = durationLiteral(node) / MINUTE_MS;
  if (!Number.isInteger(minutes) || minutes === 0) {
    throw new LiteralError(
      node,
      `every "${text}" is not whole minutes: expected for example "5m" or "1h"`,
    );
  }
  if (minutes > MAX_EVERY_MINUTES) {
    throw new LiteralError(node, `every "${text}" is too long: expected at most "24h"`);
  }
  return minutes;
}

function readSchedule(node: TS.Expression): string {
  const text = stringLiteral(node);
  if (text.trim().split(/\s+/).length === 5) return text;
  throw new LiteralError(
    node,
    `schedule "${text}" must have five fields: expected for example "*/5 * * * *"`,
  );
}

/** `secret("Name")`, at the top level of a service. */
export function readSecret(
  context: Context,
  reference: Reference,
): { name: string; service: string } {
  const { node, module, binding } = reference;
  if (binding.insideFunction)
    throw new ReadError(
      node,
      "a secret is declared at the top level of its file: move it out of the function",
    );
  if (binding.kind !== "variable")
    throw new ReadError(node, 'a secret must be a variable: write const name = secret("Name")');
  const name = resourceName(reference, 0);
  const service = context.services.of(module.path);
  if (service === null)
    throw new ReadError(
      node,
      "a secret belongs to a service: declare it in the folder of one, and hand its value on",
    );
  return { name, service: service.name };
}

const BUCKET_NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** `new Bucket("name")`. */
export function readBucket(reference: Reference): string {
  const name = resourceName(reference, 0);
  if (BUCKET_NAME.test(name)) return name;
  throw new ReadError(
    reference.node,
    `bucket name "${name}" is not valid: expected up to 63 lower-case letters, digits and dashes`,
  );
}

/** `new Counter("name")`, `new GaugeGroup<Labels>("name")`. */
export function readMetric(context: Context, reference: Reference) {
  const { node, module, binding } = reference;
  const name = resourceName(reference, 0);
  if (!/^[a-z][a-z0-9_]*$/.test(name) || name.startsWith("e_")) {
    throw new ReadError(
      node,
      `metric name "${name}" is not valid: expected up to 63 of a-z, 0-9 and _, without "e_" in front`,
    );
  }
  const labelType = node.typeArguments?.[0];
  const open =
    labelType === undefined
      ? null
      : context.resolver.underlying(context.resolver.resolve(module, labelType));
  const labels = open?.kind === "object" ? open.fields.map((field) => snakeCase(field.name)) : [];
  if (labels.includes("service")) {
    throw new ReadError(node, 'label "service" is Encore\'s own: give it another name');
  }
  const kind = reference.name.startsWith("Counter") ? ("counter" as const) : ("gauge" as const);
  return { name, kind, at: positionOf(module, node), variable: binding.name, labels };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function resourceName(reference: Reference, index: number): string {
  const { node } = reference;
  const argument = node.arguments?.[index];
  if (argument === undefined)
    throw new ReadError(node, `${reference.name} needs its name as a text literal`);
  return stringLiteral(argument);
}

function optionsAt({ node }: Reference, index: number, allowed: readonly string[]): LiteralObject {
  const argument = node.arguments?.[index];
  return argument === undefined ? NO_OPTIONS : objectLiteral(argument, allowed);
}
