import type { AppModel } from "./app-model";
import { GATEWAY_NAME, PUBSUB_DATABASE } from "./infra-config";
import type { PostgresServer } from "./postgres/postgres";

export interface LocalConfigOptions {
  readonly model: AppModel;
  readonly server: PostgresServer;
  /** host:port */
  readonly listen: string;
  /** Physical names are the logical ones with this before. */
  readonly databasePrefix: string;
  readonly secretNames: readonly string[];
  readonly drainSeconds: number;
}

/** The variable that holds the database's password, which is in no file of configuration. */
export const PASSWORD_VARIABLE = "STELE_DATABASE_PASSWORD";

const secretVariable = (name: string): string => `STELE_SECRET_${name}`;

/** Five services with 20 connections each leave half of the server's 200. */
const CONNECTIONS_PER_DATABASE = 20;

/** Encore's infra config for everything in one process. Secrets stand in the environment. */
export function localInfraConfig(options: LocalConfigOptions): Record<string, unknown> {
  const { model, server, listen } = options;
  return {
    metadata: {
      app_id: "local",
      env_name: "local",
      env_type: "development",
      cloud: "local",
      base_url: `http://${listen}`,
    },
    graceful_shutdown: { total: options.drainSeconds },
    sql_servers: [sqlServer(options)],
    pubsub: [pubsub(model)],
    secrets: Object.fromEntries(
      options.secretNames.map((name) => [name, { $env: secretVariable(name) }]),
    ),
    hosted_services: model.services.map(({ name }) => name),
    hosted_gateways: [GATEWAY_NAME],
    cors: {},
  };

  function sqlServer({ databasePrefix }: LocalConfigOptions): object {
    const { address } = server;
    const names = [...model.databases.map(({ name }) => name), PUBSUB_DATABASE];
    const entry = (name: string): object => ({
      name: name === PUBSUB_DATABASE ? name : databasePrefix + name,
      username: address.username,
      password: { $env: PASSWORD_VARIABLE },
      max_connections: CONNECTIONS_PER_DATABASE,
    });
    return {
      ...serverEntry(address),
      databases: Object.fromEntries(names.map((name) => [name, entry(name)])),
    };
  }
}

/** A server as an infra config names it. */
export function serverEntry({ socketDir, host, port, tls }: PostgresServer["address"]): {
  readonly host: string;
  readonly tls_config: object;
} {
  return { host: socketDir ?? `${bracket(host)}:${port}`, tls_config: tlsOf(tls) };
}

function bracket(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function tlsOf(tls: PostgresServer["address"]["tls"]): object {
  if (tls === null) return { disabled: true };
  return {
    disable_tls_hostname_verification: !tls.verifyHostname,
    disable_ca_validation: !tls.verifyCa,
  };
}

/** The transport is ours whatever stands here; Encore's format asks for one with an address. */
function pubsub(model: AppModel): object {
  const subscriptionsOf = (topic: string): object =>
    Object.fromEntries(
      model.subscriptions
        .filter((subscription) => subscription.topic === topic)
        .map(({ name }) => [name, { name }]),
    );
  return {
    type: "nsq",
    hosts: "127.0.0.1:4150",
    topics: Object.fromEntries(
      model.topics.map(({ name }) => [name, { name, subscriptions: subscriptionsOf(name) }]),
    ),
  };
}

/** The variables that the config refers to. */
export function secretEnvironment(
  password: string,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const named = Object.entries(secrets).map(([name, value]) => [secretVariable(name), value]);
  return { [PASSWORD_VARIABLE]: password, ...Object.fromEntries(named) };
}
