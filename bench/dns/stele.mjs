// Ours: processes that host the name server and nothing else, as `npm run split` starts them, on a database
// that already knows where every repl lives. No cluster and no control plane is there.
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import postgres from "postgres";

import { load } from "../../runtime/load.mjs";
import { insertRepls, insertRrsets, ZONE } from "./names.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const SERVICE = "dns";
const DATABASES = ["dns", "stele_pubsub"];
/** Nobody listens there: the log is asked for again and again. */
const NOBODY = "http://127.0.0.1:9";

/** As shipped, but for what else a cluster's process hosts, and for where things are. */
function infraOf(database, listen) {
  const shipped = JSON.parse(readFileSync(join(root, "deploy", "east.infra.json"), "utf8"));
  const { socketDir, username } = database;
  const subscriptions = shipped.pubsub[0].topics["repl.moved"].subscriptions;
  const databases = Object.assign({}, ...shipped.sql_servers.map((server) => server.databases));
  const ours = Object.entries(databases).filter(([name]) => DATABASES.includes(name));
  return {
    ...shipped,
    metadata: { ...shipped.metadata, base_url: `http://${listen}` },
    graceful_shutdown: { total: 5 },
    service_discovery: { clusters: { base_url: NOBODY } },
    sql_servers: [
      {
        host: socketDir,
        tls_config: { disabled: true },
        databases: Object.fromEntries(ours.map(([name, of]) => [name, { ...of, username }])),
      },
    ],
    pubsub: [
      {
        ...shipped.pubsub[0],
        topics: {
          "repl.moved": {
            name: "repl.moved",
            subscriptions: { "dns-repl-moved": subscriptions["dns-repl-moved"] },
          },
        },
      },
    ],
    hosted_services: [SERVICE],
  };
}

/** The database and the built application; `fill` puts repls into it. */
export async function prepareStele(folder) {
  const state = join(folder, "stele");
  const built = join(root, "build", "bench");
  const { startTestPostgres } = await load("runtime/postgres/test-postgres.ts", built);
  const { prepareApp, prepareDatabases } = await load("runtime/prepare.ts", built);
  const { parseInfraConfig } = await load("runtime/infra-config.ts", built);
  const server = await startTestPostgres();
  const database = server.config("dns");
  const app = await prepareApp(root, state);
  const shared = {
    STELE_DATABASE_PASSWORD: database.password,
    STELE_SECRET_SERVICE_KEY: randomBytes(32).toString("base64"),
  };
  const infra = parseInfraConfig(infraOf(database, "127.0.0.1:1"), { ...process.env, ...shared });
  const maintenanceDatabase = "postgres";
  await prepareDatabases({ root, model: app.model, infra, maintenanceDatabase });

  const withSql = async (work) => {
    const { socketDir, port, username, password } = database;
    const path = join(socketDir, `.s.PGSQL.${port}`);
    const sql = postgres({ path, database: "dns", username, password, max: 1 });
    await work(sql);
    await sql.end();
  };
  const fill = (count) => withSql((sql) => insertRepls(sql, count));
  const empty = () => withSql((sql) => sql`TRUNCATE placement_copy, cluster_copy`);
  const addRrsets = (count) => withSql((sql) => insertRrsets(sql, count));
  /** What starts one more process of it. */
  const command = ({ folder: own, port, apiPort, metricsPort, settings }) => {
    mkdirSync(own, { recursive: true });
    const listen = `127.0.0.1:${apiPort}`;
    const infraFile = join(own, "infra.json");
    writeFileSync(infraFile, JSON.stringify(infraOf(database, listen)));
    const options = (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((one) => one !== "");
    return {
      command: [process.execPath, "--enable-source-maps", ...options, app.app],
      env: {
        ...shared,
        ENCORE_RUNTIME_LIB: app.native,
        ENCORE_APP_META_PATH: app.meta,
        ENCORE_INFRA_CONFIG_PATH: infraFile,
        ENCORE_LISTEN_ADDR: listen,
        ENCORE_LOG: "info",
        STELE_BUILD_DIR: join(root, "build"),
        STELE_DIR: own,
        STELE_ZONE: ZONE,
        STELE_DNS_LISTEN: `127.0.0.1:${port}`,
        STELE_DNS_SNAPSHOT: join(own, "snapshot"),
        STELE_DNS_SEAL_KEY_FILE: join(own, "seal.key"),
        STELE_DNS_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
        ...settings,
      },
      cwd: root,
    };
  };
  return { fill, empty, addRrsets, command, stop: server.stop };
}
