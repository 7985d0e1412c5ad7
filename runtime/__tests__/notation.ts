import { join } from "node:path";
import type {
  AppModel,
  DatabaseModel,
  EndpointModel,
  FieldSchema,
  ObjectSchema,
  Schema,
  TopicModel,
  ValidationRule,
} from "../app-model";
import { listMigrations } from "../sql/migration-files";
import { parsePathPattern, pathParams } from "../http/path-pattern";

const DEFAULT_CONCURRENCY = 100;

type Json = Record<string, unknown>;
type Types = AppModel["types"];

/** What an analysis found, in the words of the recordings of Encore's own parser. */
export function foundBy(root: string, model: AppModel): Json {
  const services = model.services.map(({ name, dir, databases }) => ({
    name,
    folder: dir,
    ...some("endpoints", endpointsOf(model, name)),
    ...some("databases", databases),
  }));
  const { authHandler: auth, types } = model;
  return {
    services,
    ...some(
      "databases",
      model.databases.map((database) => databaseOf(root, database)),
    ),
    ...some(
      "topics",
      model.topics.map((topic) => topicOf(model, topic)),
    ),
    gateways: gatewaysOf(model),
    ...(auth !== null && {
      auth: {
        name: auth.name,
        service: auth.service,
        params: rootText(auth.params, types),
        data: schemaText(auth.data, types),
      },
    }),
    ...some(
      "crons",
      model.crons.map(({ name, everyMinutes, schedule, endpoint }) => ({
        id: name,
        schedule: everyMinutes === null ? `schedule:${schedule}` : `every:${everyMinutes}`,
        endpoint,
      })),
    ),
    ...some(
      "secrets",
      model.secrets.map(({ name }) => name),
    ),
    ...some(
      "metrics",
      model.metrics.map(({ name, kind, labels }) => ({ name, kind, labels, service: null })),
    ),
    ...some("buckets", model.buckets),
    ...some("caches", model.caches),
  };
}

/** A recording leaves out what is empty. */
function some(key: string, list: readonly unknown[]): Json {
  return list.length === 0 ? {} : { [key]: list };
}

const ALL_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

function endpointsOf({ endpoints, types }: AppModel, service: string): Json[] {
  const own = endpoints.filter((endpoint) => endpoint.service === service);
  return own
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((endpoint) => endpointOf(endpoint, types));
}

function endpointOf(endpoint: EndpointModel, types: Types): Json {
  const { kind, path } = endpoint;
  const parsed = parsePathPattern(path);
  if (typeof parsed === "string") throw new Error(parsed);
  const inPath = new Set(pathParams(parsed));
  const schema = (key: string, shape: ObjectSchema | null): Json => {
    const fields = shape?.fields.filter(({ name }) => key === "response" || !inPath.has(name));
    if (shape === null || fields === undefined || fields.length === 0) return {};
    return { [key]: rootText({ ...shape, fields }, types) };
  };
  return {
    name: endpoint.name,
    access: endpoint.expose ? (endpoint.auth ? "auth" : "public") : "private",
    protocol: kind === "raw" ? "raw" : "regular",
    path,
    methods: endpoint.methods.includes("*") ? ALL_METHODS : endpoint.methods,
    ...schema("request", endpoint.request),
    ...schema("response", endpoint.response),
    ...schema("handshake", endpoint.handshake),
    ...((kind === "streamIn" || kind === "streamInOut") && { streamsIn: true }),
    ...((kind === "streamOut" || kind === "streamInOut") && { streamsOut: true }),
    ...(endpoint.bodyLimit !== null && { bodyLimit: endpoint.bodyLimit }),
    ...some("tags", endpoint.tags),
    ...(endpoint.sensitive && { sensitive: true }),
    ...(endpoint.assets !== null && { static: endpoint.assets.dir }),
  };
}

function databaseOf(root: string, database: DatabaseModel): Json {
  const { name, migrationsDir: dir, migrationSource: source } = database;
  const files = dir === null ? [] : listMigrations(join(root, dir), source);
  return { name, migrations: files.map(({ version, file }) => `${version} ${file}`) };
}

function topicOf(model: AppModel, topic: TopicModel): Json {
  const subscriptions = model.subscriptions
    .filter((subscription) => subscription.topic === topic.name)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    name: topic.name,
    message: schemaText(topic.message, model.types),
    guarantee: topic.deliveryGuarantee.replaceAll("-", "_"),
    publishers: topic.publishers,
    subscriptions: subscriptions.map((subscription) => ({
      name: subscription.name,
      service: subscription.service,
      ackDeadlineMs: subscription.ackDeadlineMs,
      maxConcurrency: unlessDefault(subscription.maxConcurrency),
      minBackoffMs: subscription.minBackoffMs,
      maxBackoffMs: subscription.maxBackoffMs,
      maxRetries: subscription.maxRetries,
    })),
    ...(topic.orderingAttribute !== null && { ordering: topic.orderingAttribute }),
  };
}

/** A recording has null where the application says nothing. */
function unlessDefault(maxConcurrency: number): number | null {
  return maxConcurrency === DEFAULT_CONCURRENCY ? null : maxConcurrency;
}

/** Encore has a gateway of its own where the application declares none. */
function gatewaysOf({ gateways, authHandler }: AppModel): Json[] {
  const all = gateways.length === 0 ? [{ name: "api-gateway" }] : gateways;
  return all.map(({ name }) => ({
    name,
    auth: authHandler?.name ?? null,
    service: authHandler?.service ?? null,
  }));
}

function rootText(schema: ObjectSchema, types: Types): string {
  const name = schema.typeName === undefined ? "" : `${schema.typeName}=`;
  return name + schemaText(schema, types);
}

const BASIC: Partial<Record<Schema["kind"], string>> = {
  number: "float64",
  boolean: "bool",
  bigint: "decimal",
  date: "time",
};

/** `open` holds the named types that are being written: one inside itself is only named. */
function schemaText(schema: Schema, types: Types, open: readonly string[] = []): string {
  const text = (inner: Schema): string => schemaText(inner, types, open);
  switch (schema.kind) {
    case "literal":
      return JSON.stringify(schema.value);
    case "array":
      return `${text(schema.element)}[]`;
    case "record":
      return `record<${text(schema.value)}>`;
    case "union":
      return `(${schema.members.map(text).join(" | ")})`;
    case "validated":
      return `${text(schema.base)} & ${ruleText(schema.rule)}`;
    case "named": {
      const name = schema.type.replace(/^.*[#.]/, "");
      const type = types[schema.type];
      if (open.includes(schema.type) || type === undefined) return name;
      const inner = schemaText(type, types, [...open, schema.type]);
      return `${name}=${inner}`;
    }
    case "object":
      return `{${schema.fields.map((field) => fieldText(field, text)).join(", ")}}`;
    default:
      return BASIC[schema.kind] ?? schema.kind;
  }
}

function fieldText(field: FieldSchema, text: (schema: Schema) => string): string {
  const { name, optional, location, wireName } = field;
  const label = location === "status" ? "http_status" : location;
  const renamed = wireName === name ? "" : `(${wireName})`;
  const where = location === "auto" ? "" : ` @${label}${renamed}`;
  return `${name}${optional ? "?" : ""}: ${text(field.schema)}${where}`;
}

const RULES: Readonly<Record<string, string>> = {
  min: "min_val",
  max: "max_val",
  minLen: "min_len",
  maxLen: "max_len",
  matchesRegexp: "matches_regexp",
  startsWith: "starts_with",
  endsWith: "ends_with",
};

function ruleText(rule: ValidationRule): string {
  switch (rule.rule) {
    case "and":
    case "or":
      return `(${rule.rules.map(ruleText).join(rule.rule === "and" ? " & " : " | ")})`;
    case "isEmail":
      return "is(email)";
    case "isURL":
      return "is(url)";
    case "min":
    case "max":
      return `${RULES[rule.rule]}(${Number.isInteger(rule.value) ? rule.value.toFixed(1) : rule.value})`;
    default:
      return `${RULES[rule.rule]}(${rule.value})`;
  }
}
