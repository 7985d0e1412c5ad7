// One PostgreSQL, a process with `clusters` and the API, and some that host the name server alone, each on a
// loopback address of its own: the configs are those of `deploy/` but for where things are.
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import postgres from "postgres";

import { load } from "../../runtime/load.mjs";
import { ANY_CORE, freePort, startServer } from "../dns/place.mjs";

export const ZONE = "repl.example";
const root = fileURLToPath(new URL("../..", import.meta.url));
const READY_MS = 60_000;
const LOOK_EVERY_MS = 50;

/** A shipped config with less in it. */
function infraOf({ file, databases, services, gateways, calls, database, api }) {
  const shipped = JSON.parse(readFileSync(join(root, "deploy", `${file}.infra.json`), "utf8"));
  const { socketDir, username } = database;
  const [pubsub] = shipped.pubsub;
  const { subscriptions } = pubsub.topics["repl.moved"];
  const kept = Object.entries(subscriptions).filter(([name]) =>
    services.includes(name.split("-")[0]),
  );
  const all = Object.assign({}, ...shipped.sql_servers.map((server) => server.databases));
  const wanted = Object.entries(all).filter(([name]) => databases.includes(name));
  const topics = {
    "repl.moved": { name: "repl.moved", subscriptions: Object.fromEntries(kept) },
  };
  return {
    ...shipped,
    metadata: { ...shipped.metadata, base_url: `http://${api}` },
    graceful_shutdown: { total: 5 },
    service_discovery: calls,
    sql_servers: [
      {
        host: socketDir,
        tls_config: { disabled: true },
        databases: Object.fromEntries(wanted.map(([name, of]) => [name, { ...of, username }])),
      },
    ],
    pubsub: [{ ...pubsub, topics }],
    hosted_services: services,
    hosted_gateways: gateways,
  };
}

async function untilOk(url, server) {
  const end = performance.now() + READY_MS;
  for (;;) {
    const isOk = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isOk) return;
    if (!server.isRunning() || performance.now() > end) {
      throw new Error(`Cannot start: ${url} does not answer: ${server.said().split("\n").at(-1)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Everything that runs, and a connection to the database of `clusters`; `fill` is called before `clusters` starts. */
export async function startAll({ folder, instances, fill }) {
  const built = join(root, "build", "bench");
  const { startTestPostgres } = await load("runtime/postgres/test-postgres.ts", built);
  const { prepareApp, prepareDatabases } = await load("runtime/prepare.ts", built);
  const { parseInfraConfig } = await load("runtime/infra-config.ts", built);
  const server = await startTestPostgres();
  const database = server.config("clusters");
  const app = await prepareApp(root, join(folder, "app"));
  const token = randomBytes(16).toString("hex");
  const shared = {
    STELE_DATABASE_PASSWORD: database.password,
    STELE_SECRET_SERVICE_KEY: randomBytes(32).toString("base64"),
    STELE_SECRET_API_TOKEN: token,
  };
  const servers = [];
  const apis = [];
  for (let at = 0; at <= instances; at++) apis.push(`127.0.0.1:${await freePort()}`);
  const [controlApi, ...dnsApis] = apis;
  const control = {
    file: "control",
    databases: ["clusters", "migrations", "stele_pubsub"],
    services: ["clusters", "migrations"],
    gateways: ["api-gateway"],
    calls: Object.fromEntries(
      ["dns", "containers", "proxy"].map((name) => [name, { base_url: `http://${dnsApis[0]}` }]),
    ),
    database,
    api: controlApi,
  };
  const names = {
    file: "east",
    databases: ["dns", "stele_pubsub"],
    services: ["dns"],
    gateways: [],
    calls: { clusters: { base_url: `http://${controlApi}` } },
    database,
  };
  for (const process_ of [control, { ...names, api: dnsApis[0] }]) {
    const infra = parseInfraConfig(infraOf(process_), { ...process.env, ...shared });
    const { model } = app;
    await prepareDatabases({ root, model, infra, maintenanceDatabase: "postgres" });
  }
  const { socketDir, port, username, password } = database;
  const path = join(socketDir, `.s.PGSQL.${port}`);
  const sql = postgres({ path, database: "clusters", username, password, max: 2 });
  await fill(sql);

  const start = async (name, config, settings) => {
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    const infraFile = join(own, "infra.json");
    writeFileSync(infraFile, JSON.stringify(infraOf(config)));
    const options = (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((one) => one !== "");
    const command = [process.execPath, `--title=${name}`, "--enable-source-maps", ...options];
    const child = startServer([...command, app.app], {
      core: ANY_CORE,
      cwd: root,
      env: {
        ...process.env,
        ...shared,
        ENCORE_RUNTIME_LIB: app.native,
        ENCORE_APP_META_PATH: app.meta,
        ENCORE_INFRA_CONFIG_PATH: infraFile,
        ENCORE_LISTEN_ADDR: config.api,
        ENCORE_LOG: "error",
        STELE_BUILD_DIR: join(root, "build"),
        STELE_DIR: own,
        STELE_ZONE: ZONE,
        ...settings,
      },
    });
    servers.push({ name, ...child });
    await untilOk(`http://${config.api}/__encore/healthz`, child);
  };
  await start("clusters", control, {});
  const listening = [];
  for (const [at, api] of dnsApis.entries()) {
    const name = `dns-${at + 1}`;
    const address = { host: `127.0.0.${at + 1}`, port: await freePort() };
    listening.push(address);
    await start(
      name,
      { ...names, api },
      {
        STELE_DNS_LISTEN: `${address.host}:${address.port}`,
        STELE_DNS_SNAPSHOT: join(folder, name, "snapshot"),
        STELE_DNS_SEAL_KEY_FILE: join(folder, name, "seal.key"),
      },
    );
  }
  const api = async (route) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`http://${controlApi}${route}`, { headers });
    if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const postgresPid = Number(
    readFileSync(join(socketDir, "..", "data", "postmaster.pid"), "utf8").split("\n", 1)[0],
  );
  const stop = async () => {
    await Promise.all(servers.map((one) => one.stop()));
    await sql.end();
    await server.stop();
  };
  return { sql, servers, listening, api, postgresPid, stop };
}
