/** What precedes every start: the application's source becomes files that a process runs from. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { loadModel } from "./analyze/cache";
import type { AppModel } from "./app-model";
import { bundleApp } from "./bundle";
import { generate } from "./generate";
import { type InfraConfig, PUBSUB_DATABASE } from "./infra-config";
import { bundle } from "./load.mjs";
import { ensureDatabase, migrate } from "./sql/migrate";

export interface PreparedApp {
  readonly model: AppModel;
  /** The bundle of the application. */
  readonly app: string;
  /** The bundle that stands for Encore's native library. */
  readonly native: string;
  /** The file with the model, which stands for Encore's metadata. */
  readonly meta: string;
}

/** Reads the source, writes `encore.gen`, and bundles; into `<stateDir>/build`, where it is out of date. */
export async function prepareApp(root: string, stateDir: string): Promise<PreparedApp> {
  const building = bundle({
    entry: "runtime/native.ts",
    outfile: join(stateDir, "build", "native.cjs"),
    format: "cjs",
  });
  building.catch(() => {}); // Awaited below.
  const model = await loadModel(root, join(stateDir, "build", "model-cache.json"));
  generate(root, model);
  const [app, native] = await Promise.all([bundleApp(root, stateDir), building]);
  const meta = join(stateDir, "build", "model.json");
  writeFileSync(meta, JSON.stringify(model), { mode: 0o600 });
  return { model, app, native, meta };
}

export interface DatabasesOptions {
  readonly root: string;
  readonly model: AppModel;
  readonly infra: InfraConfig;
  /** A database of the same server that exists. */
  readonly maintenanceDatabase: string;
}

/** Creates what is missing of a process's databases, and brings them up to date. */
export async function prepareDatabases(options: DatabasesOptions): Promise<void> {
  const { root, model, infra, maintenanceDatabase } = options;
  const { databases: configs } = infra;
  const pubsub = configs[PUBSUB_DATABASE];
  await Promise.all([
    migrate({ root, databases: model.databases, configs, maintenanceDatabase }),
    ...(pubsub ? [ensureDatabase(pubsub, maintenanceDatabase)] : []),
  ]);
}
