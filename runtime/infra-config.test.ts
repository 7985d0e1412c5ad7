import { describe, expect, it } from "vitest";

import { type InfraConfig, parseInfraConfig } from "./infra-config";
import type { InfraConfigError } from "./json-reader";

function faultsOf(json: unknown, env: NodeJS.ProcessEnv = {}): readonly string[] {
  try {
    parseInfraConfig(json, env);
    return [];
  } catch (error) {
    return (error as InfraConfigError).faults;
  }
}

const GOLDEN = {
  metadata: { app_id: "golden", env_name: "local", env_type: "development", cloud: "local" },
  graceful_shutdown: { total: 7 },
  sql_servers: [
    {
      host: "127.0.0.1:5433",
      tls_config: { disabled: true },
      databases: {
        alpha: { name: "golden_alpha", username: "encore", password: { $env: "PGPASSWORD" } },
      },
    },
    { host: "/run/stele/socket", databases: { beta: { username: "u", password: "p" } } },
  ],
  pubsub: [
    {
      type: "nsq",
      hosts: "127.0.0.1:4150",
      topics: {
        "repl.moved": { name: "golden.repl.moved", subscriptions: { first: { name: "f1" } } },
      },
    },
    { type: "aws_sns_sqs", topics: { news: { arn: "arn:x", subscriptions: { s: { url: "q" } } } } },
  ],
  secrets: { ApiToken: { $env: "TOKEN" }, Other: "literal" },
  service_discovery: { clusters: { base_url: "http://127.0.0.1:4001" } },
  auth: [{ type: "key", id: 1, key: "k" }],
  hosted_services: ["alpha"],
  hosted_gateways: [],
  cors: { expose_headers: ["X-Out"] },
};

describe("parseInfraConfig()", () => {
  const env = { PGPASSWORD: "secret", TOKEN: "t" };
  const config: InfraConfig = parseInfraConfig(GOLDEN, env);

  it("reads databases, over TCP and on a socket", () => {
    expect(config.databases["alpha"]).toEqual({
      host: "127.0.0.1",
      port: 5433,
      socketDir: null,
      tls: null,
      database: "golden_alpha",
      username: "encore",
      password: "secret",
      maxConnections: 100,
      minConnections: 0,
    });
    expect(config.databases["beta"]).toMatchObject({
      socketDir: "/run/stele/socket",
      database: "beta",
      tls: null,
    });
  });

  it("reads topics with physical names, whatever carries them", () => {
    expect(config.topics).toEqual({
      "repl.moved": { name: "golden.repl.moved", subscriptions: { first: { name: "f1" } } },
      news: { name: "arn:x", subscriptions: { s: { name: "q" } } },
    });
  });

  it("reads the rest", () => {
    expect(config).toMatchObject({
      secrets: { ApiToken: "t", Other: "literal" },
      serviceDiscovery: { clusters: { baseUrl: "http://127.0.0.1:4001", auth: null } },
      auth: [{ id: 1, key: "k" }],
      hostedServices: ["alpha"],
      hostedGateways: [],
      gracefulShutdown: { totalSeconds: 7 },
    });
    expect(config.cors?.exposeHeaders).toEqual(["X-Out"]);
  });

  it("takes an empty file: everything has a default", () => {
    expect(parseInfraConfig({}, {})).toMatchObject({
      hostedServices: null,
      cors: null,
      metadata: { cloud: "local" },
      gracefulShutdown: { totalSeconds: 5 },
    });
  });

  it("takes all secrets from one variable", () => {
    const json = { secrets: { $env: "ALL" } };
    expect(parseInfraConfig(json, { ALL: '{"A":"1"}' }).secrets).toEqual({ A: "1" });
    expect(faultsOf(json, { ALL: "{" })).toEqual([
      'secrets needs JSON in the environment variable "ALL"',
    ]);
    expect(faultsOf(json)).toEqual([
      'secrets needs the environment variable "ALL", which is not set',
    ]);
  });

  it("turns TLS on unless it is disabled, as Encore does", () => {
    const json = {
      sql_servers: [{ host: "db", databases: { a: { username: "u", password: "" } } }],
    };
    expect(parseInfraConfig(json, {}).databases["a"]?.tls).toMatchObject({ verifyCa: true });
  });

  it("names every fault at once, with its path", () => {
    const faults = faultsOf({
      hosted_service: ["x"],
      metadata: { cloud: "moon" },
      graceful_shutdown: { total: "5" },
      sql_servers: [
        { host: "a:b:c", databases: { x: { password: { $env: "NOPE" } } } },
        { databases: [] },
      ],
      service_discovery: { s: { base_url: "nonsense" } },
      hosted_services: "all",
    });
    expect(faults).toEqual([
      expect.stringMatching(/^hosted_service is not known: expected one of/),
      'metadata.cloud is "moon": expected one of local, encore, aws, gcp, azure',
      'graceful_shutdown.total is "5": expected a whole number, 0 or more',
      'service_discovery.s.base_url is "nonsense": expected a URL such as http://127.0.0.1:4000',
      'sql_servers[0].host is "a:b:c": expected host:port, or the folder of a Unix socket',
      "sql_servers[0].databases.x.username is missing",
      'sql_servers[0].databases.x.password needs the environment variable "NOPE", which is not set',
      "sql_servers[1].host is missing",
      "sql_servers[1].databases is a list: expected an object",
      'hosted_services is "all": expected a list of strings',
    ]);
  });

  it("names keys that it does not know, wherever they are", () => {
    const faults = faultsOf({
      metadata: { app: "x" },
      auth: [{ type: "key", id: 1, key: "k", secret: "s" }],
      sql_servers: [{ host: "db", tls: {}, databases: { a: { user: "u", username: "u" } } }],
      pubsub: [{ type: "nsq", topics: { t: { subscriptions: { s: { nmae: "n" } } } } }],
    });
    expect(faults).toEqual([
      expect.stringMatching(/^metadata.app is not known: expected one of app_id, /),
      expect.stringMatching(/^auth\[0\].secret is not known/),
      expect.stringMatching(/^sql_servers\[0\].tls is not known/),
      expect.stringMatching(/^sql_servers\[0\].databases.a.user is not known/),
      expect.stringMatching(/^pubsub\[0\].topics.t.subscriptions.s.nmae is not known/),
      "sql_servers[0].databases.a.password is missing",
    ]);
  });

  it("asks for cors where there is a gateway, as Encore does", () => {
    expect(faultsOf({ hosted_gateways: ["api-gateway"] })).toEqual([
      "cors is missing: a process that hosts a gateway needs it, if only {}",
    ]);
    expect(faultsOf({ hosted_gateways: ["api-gateway"], cors: {} })).toEqual([]);
  });

  it("takes a database's own certificate before its server's", () => {
    const json = {
      sql_servers: [
        {
          host: "db",
          tls_config: { client_cert: { cert: "c", key: "k" } },
          databases: {
            a: { username: "u", password: "" },
            b: { username: "u", password: "", client_cert: { cert: "d", key: { $env: "KEY" } } },
          },
        },
      ],
    };
    const { databases } = parseInfraConfig(json, { KEY: "l" });
    expect(databases["a"]?.tls).toMatchObject({ cert: "c", key: "k" });
    expect(databases["b"]?.tls).toMatchObject({ cert: "d", key: "l" });
  });

  it("says what it will not do", () => {
    const json = {
      metrics: { type: "prometheus", remote_write_url: "http://127.0.0.1" },
      redis: {},
      object_storage: [],
      worker_threads: 4,
      log_config: "debug",
    };
    expect(parseInfraConfig(json, {}).notices).toEqual([
      expect.stringContaining('"metrics"'),
      expect.stringContaining('"redis"'),
      expect.stringContaining('"object_storage"'),
      expect.stringContaining('"worker_threads"'),
      expect.stringContaining('"log_config"'),
    ]);
    expect(parseInfraConfig({ worker_threads: 1 }, {}).notices).toEqual([]);
  });

  it("refuses what is no object", () => {
    expect(faultsOf([])).toEqual(["the file is a list: expected an object"]);
  });
});
