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

  it("refuses what is no object", () => {
    expect(faultsOf([])).toEqual(["the file is a list: expected an object"]);
  });
});
