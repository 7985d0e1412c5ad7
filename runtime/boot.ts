import { randomBytes } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { loadModel } from "./analyze/cache";
import type { AppModel } from "./app-model";
import { localInfraConfig, secretEnvironment } from "./boot-config";
import { bundleApp } from "./bundle";
import { onExit, runExitHooks } from "./drain";
import { generate } from "./generate";
import { parseInfraConfig, PUBSUB_DATABASE } from "./infra-config";
import { bundle } from "./load.mjs";
import { lock } from "./lock";
import { ensureDatabase, migrate } from "./sql/migrate";
import { externalPostgres, type PostgresServer, startPostgres } from "./postgres/postgres";
import { readLocalSecrets } from "./secrets-file";
import { openClient } from "./sql/sql-client";

export interface BootOptions {
  /** The application's root, with `encore.app`. */
  readonly root: string;
  /** Where everything of this instance is kept; made with mode 0700. */
  readonly stateDir: string;
  /** Where the API listens: host:port. */
  readonly listen: string;
  /** Before those in `.secrets.local.cue`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** More environment for the application. */
  readonly env?: Readonly<Record<string, string>>;
  /** A server of the user's own; its databases are then named `stele_<service>`. */
  readonly databaseUrl?: string;
  /** `trace` to `error`; requests are logged at `info`. */
  readonly log?: string;
  /** How long the application's shutdown may take. */
  readonly drainSeconds?: number;
}

export interface Booted {
  readonly model: AppModel;
  /** Where the API listens. */
  readonly address: string;
  /** Drains the application, stops Postgres and lets the folder go, as SIGTERM does. */
  stop(): Promise<void>;
}

/** With Postgres and what else must end, this leaves Ctrl-C within 5 s. */
const DRAIN_SECONDS = 3;

const EXTERNAL_PREFIX = "stele_";

interface NativeControl {
  readonly control: {
    readonly whenReady: Promise<{ readonly address: string }>;
    stop(): Promise<void>;
  };
}

/**
 * Runs the application in this process: reads its source, starts Postgres beside, migrates, serves.
 * Resolves when the API listens. On failure everything that was started has been stopped, and the
 * error's message is for the user, a line for each fault.
 */
export async function boot(options: BootOptions): Promise<Booted> {
  const root = resolve(options.root);
  const stateDir = makeStateDir(options.stateDir);
  const unlock = lock(join(stateDir, "lock"));
  onExit(unlock);
  const stopListening = endOnSignals();
  try {
    return await start({ ...options, root, stateDir });
  } catch (error) {
    await runExitHooks();
    throw error;
  } finally {
    stopListening();
  }
}

async function start(options: BootOptions): Promise<Booted> {
  await checkAddress(options.listen);
  const starting = startServer(options);
  starting.catch(() => {}); // Awaited below; the source's faults come first.
  const { model, app, native } = await prepareApp(options);
  const server = await starting;
  await configure(options, model, server, native);
  const { control } = createRequire(import.meta.url)(native) as NativeControl;
  const ready = control.whenReady;
  process.chdir(options.root);
  // The bundle's own promise is pending for as long as the application runs.
  const failed = import(pathToFileURL(app).href).then(() => new Promise<never>(() => {}));
  const { address } = await Promise.race([ready, failed]);
  return { model, address, stop: () => control.stop() };
}

function makeStateDir(path: string): string {
  const dir = resolve(path);
  try {
    // An existing folder keeps its mode: it may be shared with others on purpose.
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 });
    readdirSync(dir); // A file in its place is told apart from a folder that is closed.
    accessSync(dir, constants.W_OK);
    return dir;
  } catch (error) {
    throw new Error(`Cannot write to "${dir}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** While nothing runs that could drain: stop what was started, and end. */
function endOnSignals(): () => void {
  const end = (signal: NodeJS.Signals): void => {
    void runExitHooks().then(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  return () => process.removeListener("SIGINT", end).removeListener("SIGTERM", end);
}

/** A taken port is known before anything is started for it. */
async function checkAddress(listen: string): Promise<void> {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(listen);
  if (!match || Number(match[3]) > 65_535) {
    throw new Error(`Cannot listen on "${listen}": expected host:port, such as 127.0.0.1:4000`);
  }
  const probe = createServer();
  await new Promise<void>((done, fail) => {
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the port is taken" : error.code;
      fail(new Error(`Cannot listen on ${listen}: ${why}`));
    });
    probe.listen(Number(match[3]), match[1] ?? match[2], () => probe.close(() => done()));
  });
}

async function startServer(options: BootOptions): Promise<PostgresServer> {
  if (options.databaseUrl !== undefined) {
    const server = externalPostgres(options.databaseUrl);
    await checkServer(server);
    return server;
  }
  const dir = join(options.stateDir, "pg");
  const dataDir = join(dir, "data");
  const starting = startPostgres({
    dataDir,
    socketDir: join(dir, "s"),
    password: readPassword(dir, dataDir),
  });
  // Registered before it has started: Ctrl-C may come in between.
  onExit(() =>
    starting.then(
      (server) => server.stop(),
      () => {},
    ),
  );
  return starting;
}

async function checkServer({
  address,
  maintenanceDatabase: database,
}: PostgresServer): Promise<void> {
  const sql = openClient({ ...address, database, maxConnections: 1, minConnections: 0 }, 1);
  try {
    await sql`select 1`;
  } catch (error) {
    throw new Error(`Cannot use the server of DATABASE_URL: ${(error as Error).message}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function readPassword(dir: string, dataDir: string): string {
  const path = join(dir, "password");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  if (existsSync(dataDir)) {
    throw new Error(`Cannot open the database in "${dataDir}": its password "${path}" is gone`);
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const password = randomBytes(24).toString("base64url");
  writeFileSync(path, `${password}\n`, { mode: 0o600 });
  return password;
}

interface Prepared {
  readonly model: AppModel;
  /** The bundle of the application. */
  readonly app: string;
  /** The bundle that stands for Encore's native library. */
  readonly native: string;
}

async function prepareApp({ root, stateDir }: BootOptions): Promise<Prepared> {
  const building = bundle({
    entry: "runtime/native.ts",
    outfile: join(stateDir, "build", "native.cjs"),
    format: "cjs",
  });
  building.catch(() => {}); // Awaited below.
  const model = await loadModel(root, join(stateDir, "build", "model-cache.json"));
  generate(root, model);
  const [app, native] = await Promise.all([bundleApp(root, stateDir), building]);
  return { model, app, native };
}

/** Writes what the application reads at its start, and brings the databases up to date. */
async function configure(
  options: BootOptions,
  model: AppModel,
  server: PostgresServer,
  native: string,
): Promise<void> {
  const { root, stateDir, listen } = options;
  const secrets = { ...readLocalSecrets(root), ...options.secrets };
  const infra = localInfraConfig({
    model,
    server,
    listen,
    databasePrefix: options.databaseUrl === undefined ? "" : EXTERNAL_PREFIX,
    secretNames: Object.keys(secrets),
    drainSeconds: options.drainSeconds ?? DRAIN_SECONDS,
  });
  const modelPath = join(stateDir, "build", "model.json");
  const infraPath = join(stateDir, "infra.json");
  writeFileSync(modelPath, JSON.stringify(model), { mode: 0o600 });
  writeFileSync(infraPath, JSON.stringify(infra, null, 2), { mode: 0o600 });
  Object.assign(process.env, {
    ...options.env,
    ...secretEnvironment(server.address.password, secrets),
    ENCORE_RUNTIME_LIB: native,
    ENCORE_APP_META_PATH: modelPath,
    ENCORE_INFRA_CONFIG_PATH: infraPath,
    ENCORE_LISTEN_ADDR: listen,
    ...(options.log === undefined ? {} : { ENCORE_LOG: options.log }),
  });
  const { databases } = parseInfraConfig(infra, process.env, infraPath);
  const { maintenanceDatabase } = server;
  const pubsub = databases[PUBSUB_DATABASE];
  await Promise.all([
    migrate({ root, databases: model.databases, configs: databases, maintenanceDatabase }),
    ...(pubsub ? [ensureDatabase(pubsub, maintenanceDatabase)] : []),
  ]);
}
