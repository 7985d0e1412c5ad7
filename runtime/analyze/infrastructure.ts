import { statSync } from "node:fs";
import { join, posix } from "node:path";
import type * as TS from "typescript";
import type { CronModel, DatabaseModel, SubscriptionModel, TopicModel } from "../app-model";
import { nextRun } from "../cron-schedule";
import { listMigrations, MIGRATION_SOURCES, type MigrationSource } from "../sql/migration-files";
import { declarationKey, ReadError, type Context } from "./context";
import { localPath } from "./endpoints";
import {
  durationLiteral,
  LiteralError,
  countLiteral,
  objectLiteral,
  shown,
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

const NO_MIGRATIONS = { migrationsDir: null, migrationSource: null };

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
    ...(migrations === undefined ? NO_MIGRATIONS : readMigrations(context, reference, migrations)),
  };
}

type Migrations = Pick<DatabaseModel, "migrationsDir" | "migrationSource">;

function readMigrations(context: Context, { module }: Reference, node: TS.Expression): Migrations {
  let pathNode = node;
  let source: MigrationSource = null;
  if (ts.isObjectLiteralExpression(node)) {
    const config = objectLiteral(node, ["path", "source"]);
    pathNode = config.get("path") ?? node;
    source = readSource(config.get("source"));
  }
  const dir = posix.join(posix.dirname(module.path), localPath(pathNode));
  if (!statSync(join(context.root, dir), { throwIfNoEntry: false })?.isDirectory()) {
    const message = `folder ${dir} of migrations does not exist: make it, or leave migrations out`;
    throw new ReadError(pathNode, message);
  }
  try {
    listMigrations(join(context.root, dir), source);
  } catch (error) {
    throw new ReadError(pathNode, (error as Error).message);
  }
  return { migrationsDir: dir, migrationSource: source };
}

function readSource(node: TS.Expression | undefined): MigrationSource {
  if (node === undefined) return null;
  const text = stringLiteral(node);
  if (MIGRATION_SOURCES.includes(text)) return text as MigrationSource;
  const expected = MIGRATION_SOURCES.map((one) => `"${one}"`).join(", ");
  throw new LiteralError(node, `source "${text}" of migrations is not known: expected ${expected}`);
}

/** `new Topic<Message>("name", { deliveryGuarantee })`; publishers are found later. */
export function readTopic(context: Context, reference: Reference): TopicModel {
  const { node, module } = reference;
  const options = optionsAt(reference, 1, ["deliveryGuarantee", "orderingAttribute"]);
  if (node.arguments?.[1] === undefined) {
    throw new ReadError(node, 'a topic needs { deliveryGuarantee: "at-least-once" }');
  }
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
  if (topicNode === undefined || topicKey === null || topicKey.endsWith("#default")) {
    throw new ReadError(importOf(reference, topicNode) ?? node, NO_TOPIC);
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

/** The import that should have brought the name in, and did not. */
function importOf({ module }: Reference, node: TS.Node | undefined): TS.Node | undefined {
  const name = node !== undefined && ts.isIdentifier(node) ? node.text : "";
  return module.imports.get(name)?.node;
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
  const minutes = Math.floor(durationLiteral(node) / SECOND_MS) / 60;
  if (!Number.isInteger(minutes) || minutes === 0) {
    const message = `every ${shown(node)} is not whole minutes: expected for example "5m" or "1h"`;
    throw new LiteralError(node, message);
  }
  if (minutes > MAX_EVERY_MINUTES) {
    throw new LiteralError(node, `every ${shown(node)} is too long: expected at most "24h"`);
  }
  return minutes;
}

/** The fields that Encore's own parser takes: no names, and a step only from a star or a range. */
const SCHEDULE_FIELDS = /^((\*|\d+-\d+)(\/[1-9]\d*)?|\d+)$/;
const LAST_WEEKDAY = 6;

function readSchedule(node: TS.Expression): string {
  const text = stringLiteral(node);
  const fields = text.trim().split(/\s+/);
  const items = fields.flatMap((field) => field.split(","));
  const weekdays = (fields[4] ?? "").match(/\d+/g) ?? [];
  const known =
    items.every((item) => SCHEDULE_FIELDS.test(item)) &&
    weekdays.every((day) => Number(day) <= LAST_WEEKDAY);
  if (fields.length === 5 && known && comes(text)) return text;
  throw new LiteralError(
    node,
    `schedule "${text}" never comes or has not five fields of numbers: expected for example "*/5 * * * *"`,
  );
}

function comes(schedule: string): boolean {
  try {
    return nextRun({ everyMinutes: null, schedule }, 0) !== null;
  } catch {
    return false;
  }
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
  if (binding.name === null)
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
