import type { JsonObject, JsonReader } from "./json-reader";

/** The keys that a part of Encore's infra config may have; `ANY` is not looked into. */
type Shape = typeof ANY | { readonly [key: string]: Shape } | List | EntriesOf;

class List {
  constructor(readonly of: Shape) {}
}

/** An object whose keys are names. */
class EntriesOf {
  constructor(readonly each: Shape) {}
}

const ANY = "any" as const;

const CLIENT_CERT = { cert: ANY, key: ANY };
const TLS = {
  disabled: ANY,
  ca: ANY,
  client_cert: CLIENT_CERT,
  disable_tls_hostname_verification: ANY,
  disable_ca_validation: ANY,
};
const AUTH = new List({ type: ANY, id: ANY, key: ANY });

/** Whatever the transport: `name` is NSQ's and Google's, `arn` and `url` are Amazon's. */
const PUBSUB = {
  type: ANY,
  hosts: ANY,
  project_id: ANY,
  topics: new EntriesOf({
    name: ANY,
    arn: ANY,
    project_id: ANY,
    subscriptions: new EntriesOf({ name: ANY, url: ANY, project_id: ANY, push_config: ANY }),
  }),
};

const INFRA_CONFIG: Shape = {
  $schema: ANY,
  metadata: { app_id: ANY, env_name: ANY, env_type: ANY, cloud: ANY, base_url: ANY },
  // Encore's own runtime reads the total alone as well: JavaScript has no shutdown hooks.
  graceful_shutdown: { total: ANY, shutdown_hooks: ANY, handlers: ANY },
  auth: AUTH,
  service_discovery: new EntriesOf({ base_url: ANY, auth: AUTH }),
  metrics: ANY,
  used_metrics: new List({ name: ANY, services: ANY }),
  sql_servers: new List({
    host: ANY,
    tls_config: TLS,
    databases: new EntriesOf({
      name: ANY,
      username: ANY,
      password: ANY,
      max_connections: ANY,
      min_connections: ANY,
      client_cert: CLIENT_CERT,
    }),
  }),
  redis: ANY,
  pubsub: new List(PUBSUB),
  secrets: ANY,
  hosted_services: ANY,
  hosted_gateways: ANY,
  cors: {
    debug: ANY,
    allow_headers: ANY,
    expose_headers: ANY,
    allow_origins_without_credentials: ANY,
    allow_origins_with_credentials: ANY,
  },
  object_storage: ANY,
  worker_threads: ANY,
  log_config: ANY,
};

/** Reports every key that Encore does not know: it would be left out without a word. */
export function checkKeys(reader: JsonReader, root: JsonObject): void {
  check(reader, root, INFRA_CONFIG);
}

/** What the configuration asks for in vain. */
export function unsupported(reader: JsonReader, root: JsonObject): string[] {
  const said: Record<string, string> = {
    metrics: "metrics are not sent anywhere by this runtime",
    redis: "this runtime has no caches",
    object_storage: "this runtime has no object storage",
    worker_threads: "this runtime has one thread",
    log_config: "it does nothing, as in Encore: ENCORE_LOG sets the level",
  };
  const isHarmless = (key: string): boolean => key === "worker_threads" && root.value[key] === 1;
  return Object.entries(said)
    .filter(([key]) => reader.has(root, key) && !isHarmless(key))
    .map(([key, why]) => `"${key}" of the infra config is ignored: ${why}`);
}

function check(reader: JsonReader, object: JsonObject, shape: Shape): void {
  if (shape === ANY || shape instanceof List) return;
  if (shape instanceof EntriesOf) {
    for (const key of Object.keys(object.value)) checkMember(reader, object, key, shape.each);
    return;
  }
  const keys = shape as Readonly<Record<string, Shape>>;
  reader.onlyKeys(object, Object.keys(keys));
  for (const [key, inner] of Object.entries(keys)) checkMember(reader, object, key, inner);
}

function checkMember(reader: JsonReader, object: JsonObject, key: string, shape: Shape): void {
  const value = object.value[key];
  const path = object.path === "" ? key : `${object.path}.${key}`;
  // What has the wrong type is reported by whoever reads it.
  if (shape instanceof List && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      if (isObject(item)) check(reader, { path: `${path}[${index}]`, value: item }, shape.of);
    }
  } else if (isObject(value)) check(reader, { path, value }, shape);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
