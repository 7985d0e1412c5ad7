import { accessSync, constants, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import type { AppModel } from "./app-model";
import { localInfraConfig, secretEnvironment } from "./boot-config";
import { onExit, runExitHooks } from "./drain";
import { loadInfraConfig } from "./infra-config";
import { lock } from "./lock";
import type { PostgresServer } from "./postgres/postgres";
import { type PreparedApp, prepareApp, prepareDatabases } from "./prepare";
import { readLocalSecrets } from "./secrets-file";
import { startServer } from "./server";

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
  /** Encore's infra config instead of one of ours: then no PostgreSQL is started. */
  readonly infraFile?: string;
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

/** There in every PostgreSQL that nobody removed it from. */
const MAINTENANCE_DATABASE = "postgres";

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
  performance.mark("boot: code loaded");
  const root = resolve(options.root);
  const stateDir = openState(options.stateDir);
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
  const starting = options.infraFile === undefined ? startServer(options) : Promise.resolve(null);
  starting.catch(() => {}); // Awaited below; the source's faults come first.
  const prepared = await prepareApp(options.root, options.stateDir);
  performance.mark("boot: application prepared");
  const server = await starting;
  performance.mark("boot: PostgreSQL there");
  await configure(options, prepared, server);
  performance.mark("boot: databases up to date");
  const { control } = createRequire(import.meta.url)(prepared.native) as NativeControl;
  const ready = control.whenReady;
  process.chdir(options.root);
  // The bundle's own promise is pending for as long as the application runs.
  const failed = import(pathToFileURL(prepared.app).href).then(() => new Promise<never>(() => {}));
  const { address } = await Promise.race([ready, failed]);
  performance.mark("boot: listening");
  return { model: prepared.model, address, stop: () => control.stop() };
}

/** Makes a state folder, and makes this process the only one that uses it. */
export function openState(path: string): string {
  const dir = resolve(path);
  try {
    // An existing folder keeps its mode: it may be shared with others on purpose.
    if (!existsSync(dir)) mkdirSync(dir, { mode: 0o700 });
    readdirSync(dir); // A file in its place is told apart from a folder that is closed.
    accessSync(dir, constants.W_OK);
  } catch (error) {
    throw new Error(`Cannot write to "${dir}": ${(error as NodeJS.ErrnoException).code}`);
  }
  onExit(lock(join(dir, "lock")));
  return dir;
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

/** Writes what the application reads at its start, and brings the databases up to date. */
async function configure(
  options: BootOptions,
  { model, native, meta }: PreparedApp,
  server: PostgresServer | null,
): Promise<void> {
  const { root, listen } = options;
  const infraPath = server === null ? options.infraFile : writeConfig(options, model, server);
  Object.assign(process.env, {
    ...options.env,
    ENCORE_RUNTIME_LIB: native,
    ENCORE_APP_META_PATH: meta,
    ENCORE_INFRA_CONFIG_PATH: infraPath,
    ENCORE_LISTEN_ADDR: listen,
    ...(options.log === undefined ? {} : { ENCORE_LOG: options.log }),
  });
  const infra = loadInfraConfig(infraPath ?? "");
  const maintenanceDatabase = server?.maintenanceDatabase ?? MAINTENANCE_DATABASE;
  await prepareDatabases({ root, model, infra, maintenanceDatabase });
}

/** Everything in one process: gives the config's path. Its secrets are in the environment. */
function writeConfig(options: BootOptions, model: AppModel, server: PostgresServer): string {
  const secrets = { ...readLocalSecrets(options.root), ...options.secrets };
  const infra = localInfraConfig({
    model,
    server,
    listen: options.listen,
    databasePrefix: options.databaseUrl === undefined ? "" : EXTERNAL_PREFIX,
    secretNames: Object.keys(secrets),
    drainSeconds: options.drainSeconds ?? DRAIN_SECONDS,
  });
  Object.assign(process.env, secretEnvironment(server.address.password, secrets));
  const path = join(options.stateDir, "infra.json");
  writeFileSync(path, JSON.stringify(infra, null, 2), { mode: 0o600 });
  return path;
}
