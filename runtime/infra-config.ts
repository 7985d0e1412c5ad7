import { readFileSync } from "node:fs";

import { checkKeys, unsupported } from "./infra-shape";
import { InfraConfigError, JsonReader, type JsonObject } from "./json-reader";

/** A key that signs calls between services; several ids at once allow rotation. */
export interface AuthKey {
  readonly id: number;
  readonly key: string;
}

export interface ServiceAddress {
  readonly baseUrl: string;
  /** Null: the keys of the deployment are used. */
  readonly auth: readonly AuthKey[] | null;
}

/** Where a logical database is. `socketDir` stands instead of host and port for a Unix socket. */
export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  /** The folder of a Unix socket, or null for TCP. An address form of ours: Encore knows TCP only. */
  readonly socketDir: string | null;
  /** What TLS asks for; null is plain text. */
  readonly tls: TlsConfig | null;
  /** The physical name; the logical one is the key that leads here. */
  readonly database: string;
  readonly username: string;
  readonly password: string;
  /** Connections of this process at most; Encore's default is 100. */
  readonly maxConnections: number;
  /** Connections that are made at once and kept. */
  readonly minConnections: number;
}

export interface TlsConfig {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly verifyHostname: boolean;
  readonly verifyCa: boolean;
}

/** A topic that this process may publish to, and its subscriptions that this process consumes. */
export interface TopicConfig {
  /** The physical name: messages meet under it, whatever the deployments call the topic. */
  readonly name: string;
  /** By logical name. Two deployments with the same physical name share the messages. */
  readonly subscriptions: Readonly<Record<string, { readonly name: string }>>;
}

export interface CorsConfig {
  readonly debug: boolean;
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly allowOriginsWithoutCredentials: readonly string[] | null;
  readonly allowOriginsWithCredentials: readonly string[] | null;
}

export type EnvironmentType = "production" | "development" | "ephemeral" | "test";
export type Cloud = "local" | "encore" | "aws" | "gcp" | "azure";

/**
 * Encore's infra configuration: what one process hosts and where everything else is. The file is
 * Encore's own format (encore.dev/docs, "infrastructure configuration"); the same file serves both
 * runtimes.
 */
export interface InfraConfig {
  readonly metadata: {
    readonly appId: string;
    readonly envName: string;
    readonly envType: EnvironmentType;
    readonly cloud: Cloud;
    readonly baseUrl: string;
  };
  readonly gracefulShutdown: { readonly totalSeconds: number };
  readonly auth: readonly AuthKey[];
  readonly serviceDiscovery: Readonly<Record<string, ServiceAddress>>;
  /** By logical name. */
  readonly databases: Readonly<Record<string, DatabaseConfig>>;
  /** By logical name. */
  readonly topics: Readonly<Record<string, TopicConfig>>;
  readonly secrets: Readonly<Record<string, string>>;
  /** Null: all of the application's. */
  readonly hostedServices: readonly string[] | null;
  readonly hostedGateways: readonly string[] | null;
  readonly cors: CorsConfig | null;
  /** Services that report a custom metric, by its name. */
  readonly usedMetrics: Readonly<Record<string, readonly string[]>>;
  /** What the file asks for in vain, a sentence each. */
  readonly notices: readonly string[];
}

/**
 * The logical database that carries Pub/Sub between the processes that name it. Encore takes it for
 * a database that no service uses; there the `pubsub` section's own transport is used instead.
 */
export const PUBSUB_DATABASE = "stele_pubsub";

/** Encore knows one gateway, by this name, whether the application declares it or not. */
export const GATEWAY_NAME = "api-gateway";

export function loadInfraConfig(path: string, env: NodeJS.ProcessEnv = process.env): InfraConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new InfraConfigError(path, [`cannot be read: ${(error as Error).message}`]);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InfraConfigError(path, [`is not JSON: ${(error as Error).message}`]);
  }
  return parseInfraConfig(json, env, path);
}

/** Checks the whole file and throws one `InfraConfigError` that names every fault in it. */
export function parseInfraConfig(
  json: unknown,
  env: NodeJS.ProcessEnv = process.env,
  path = "infra config",
): InfraConfig {
  const reader = new JsonReader(env);
  const root = reader.object(json, "");
  checkKeys(reader, root);
  const config: InfraConfig = {
    metadata: readMetadata(reader, root),
    gracefulShutdown: readShutdown(reader, root),
    auth: reader.list(root, "auth").map((item) => readAuthKey(reader, item)),
    serviceDiscovery: reader.entries(root, "service_discovery", (entry) =>
      readServiceAddress(reader, entry),
    ),
    databases: readDatabases(reader, root),
    topics: readTopics(reader, root),
    secrets: readSecrets(reader, root),
    hostedServices: reader.optionalStrings(root, "hosted_services"),
    hostedGateways: reader.optionalStrings(root, "hosted_gateways"),
    cors: readCors(reader, root),
    usedMetrics: readUsedMetrics(reader, root),
    notices: unsupported(reader, root),
  };
  if (config.cors === null && (config.hostedGateways ?? []).length > 0) {
    reader.fault(root, "cors", "is missing: a process that hosts a gateway needs it, if only {}");
  }
  if (reader.faults.length > 0) throw new InfraConfigError(path, reader.faults);
  return config;
}

const DEFAULT_SHUTDOWN_SECONDS = 5;
const DEFAULT_MAX_CONNECTIONS = 100;
/** What 0 means, as in Encore. */
const UNSET_MAX_CONNECTIONS = 30;
const POSTGRES_PORT = 5432;

function readMetadata(reader: JsonReader, root: JsonObject): InfraConfig["metadata"] {
  const metadata = reader.optionalObject(root, "metadata");
  return {
    appId: reader.string(metadata, "app_id", ""),
    envName: reader.string(metadata, "env_name", ""),
    envType: reader.oneOf<EnvironmentType>(
      metadata,
      "env_type",
      ["production", "development", "ephemeral", "test"],
      "development",
    ),
    cloud: reader.oneOf<Cloud>(
      metadata,
      "cloud",
      ["local", "encore", "aws", "gcp", "azure"],
      "local",
    ),
    baseUrl: reader.string(metadata, "base_url", ""),
  };
}

function readShutdown(reader: JsonReader, root: JsonObject): InfraConfig["gracefulShutdown"] {
  const shutdown = reader.optionalObject(root, "graceful_shutdown");
  return { totalSeconds: reader.number(shutdown, "total", DEFAULT_SHUTDOWN_SECONDS) };
}

function readAuthKey(reader: JsonReader, item: JsonObject): AuthKey {
  reader.oneOf(item, "type", ["key"], "key");
  return { id: reader.number(item, "id"), key: reader.string(item, "key") };
}

function readServiceAddress(reader: JsonReader, entry: JsonObject): ServiceAddress {
  return {
    baseUrl: reader.url(entry, "base_url"),
    auth: reader.has(entry, "auth")
      ? reader.list(entry, "auth").map((item) => readAuthKey(reader, item))
      : null,
  };
}

function readDatabases(reader: JsonReader, root: JsonObject): Record<string, DatabaseConfig> {
  const databases: Record<string, DatabaseConfig> = {};
  for (const server of reader.list(root, "sql_servers")) {
    const address = readHost(reader, server);
    const tls = readTls(reader, server, address.socketDir !== null);
    const found = reader.entries(server, "databases", (entry, logicalName) => ({
      ...address,
      tls: tls && { ...tls, ...readClientCert(reader, entry) },
      database: reader.string(entry, "name", logicalName),
      username: reader.string(entry, "username"),
      password: reader.string(entry, "password"),
      maxConnections:
        reader.number(entry, "max_connections", DEFAULT_MAX_CONNECTIONS) || UNSET_MAX_CONNECTIONS,
      minConnections: reader.number(entry, "min_connections", 0),
    }));
    for (const [name, database] of Object.entries(found)) {
      if (name in databases) reader.fault(server, "databases", `names "${name}" a second time`);
      databases[name] = database;
    }
  }
  return databases;
}

function readHost(
  reader: JsonReader,
  server: JsonObject,
): { host: string; port: number; socketDir: string | null } {
  const host = reader.string(server, "host");
  if (host.startsWith("/")) return { host: "localhost", port: POSTGRES_PORT, socketDir: host };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(host);
  const port = Number(match?.[3] ?? POSTGRES_PORT);
  if (host !== "" && (!match || port > 65_535)) {
    reader.fault(
      server,
      "host",
      `is "${host}": expected host:port, or the folder of a Unix socket`,
    );
  }
  return { host: match?.[1] ?? match?.[2] ?? "", port, socketDir: null };
}

/** As in Encore: TLS is on unless it is disabled; a Unix socket has none. */
function readTls(reader: JsonReader, server: JsonObject, onSocket: boolean): TlsConfig | null {
  const tls = reader.optionalObject(server, "tls_config");
  const config: TlsConfig = {
    ca: reader.string(tls, "ca", "") || null,
    cert: null,
    key: null,
    ...readClientCert(reader, tls),
    verifyHostname: !reader.boolean(tls, "disable_tls_hostname_verification", false),
    verifyCa: !reader.boolean(tls, "disable_ca_validation", false),
  };
  return onSocket || reader.boolean(tls, "disabled", false) ? null : config;
}

/** A database's own certificate goes before its server's. */
function readClientCert(
  reader: JsonReader,
  object: JsonObject,
): Partial<Pick<TlsConfig, "cert" | "key">> {
  if (!reader.has(object, "client_cert")) return {};
  const clientCert = reader.optionalObject(object, "client_cert");
  return { cert: reader.string(clientCert, "cert"), key: reader.string(clientCert, "key") };
}

const PUBSUB_TYPES = ["gcp_pubsub", "aws_sns_sqs", "azure_service_bus", "nsq"] as const;

/** Every entry counts, whatever its transport: it says which topics and subscriptions there are. */
function readTopics(reader: JsonReader, root: JsonObject): Record<string, TopicConfig> {
  const topics: Record<string, TopicConfig> = {};
  for (const provider of reader.list(root, "pubsub")) {
    reader.oneOf(provider, "type", PUBSUB_TYPES);
    const found = reader.entries(provider, "topics", (topic, name) => ({
      name: reader.string(topic, "name", reader.string(topic, "arn", name)),
      subscriptions: reader.entries(topic, "subscriptions", (subscription, subscriptionName) => ({
        name: reader.string(
          subscription,
          "name",
          reader.string(subscription, "url", subscriptionName),
        ),
      })),
    }));
    Object.assign(topics, found);
  }
  return topics;
}

/** Either an object of secrets, or the name of a variable that holds such an object as JSON. */
function readSecrets(reader: JsonReader, root: JsonObject): Record<string, string> {
  const secrets = reader.optionalObject(root, "secrets");
  const variable = secrets.value["$env"];
  if (typeof variable !== "string") return reader.stringEntries(root, "secrets");
  const text = reader.env[variable];
  if (text === undefined) {
    reader.fault(root, "secrets", `needs the environment variable "${variable}", which is not set`);
    return {};
  }
  try {
    return reader.stringEntries(
      { path: root.path, value: { secrets: JSON.parse(text) } },
      "secrets",
    );
  } catch {
    reader.fault(root, "secrets", `needs JSON in the environment variable "${variable}"`);
    return {};
  }
}

function readCors(reader: JsonReader, root: JsonObject): CorsConfig | null {
  if (!reader.has(root, "cors")) return null;
  const cors = reader.optionalObject(root, "cors");
  return {
    debug: reader.boolean(cors, "debug", false),
    allowHeaders: reader.optionalStrings(cors, "allow_headers") ?? [],
    exposeHeaders: reader.optionalStrings(cors, "expose_headers") ?? [],
    allowOriginsWithoutCredentials: reader.optionalStrings(
      cors,
      "allow_origins_without_credentials",
    ),
    allowOriginsWithCredentials: reader.optionalStrings(cors, "allow_origins_with_credentials"),
  };
}

function readUsedMetrics(reader: JsonReader, root: JsonObject): Record<string, readonly string[]> {
  const used = reader.list(root, "used_metrics");
  return Object.fromEntries(
    used.map((item) => [
      reader.string(item, "name"),
      reader.optionalStrings(item, "services") ?? [],
    ]),
  );
}
