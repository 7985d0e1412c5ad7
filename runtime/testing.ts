import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { analyzeLeniently } from "./analyze/analyze";
import { loadModel } from "./analyze/cache";
import { AppModelError } from "./analyze/faults";
import type { AppModel } from "./app-model";
import { localInfraConfig, secretEnvironment } from "./boot-config";
import { generate } from "./generate";
import { parseInfraConfig } from "./infra-config";
import { bundle } from "./load.mjs";
import { REPOSITORY } from "./place";
import { type PostgresServer, startPostgres } from "./postgres/postgres";
import { prepareDatabases } from "./prepare";

/** Bundles and the model survive between runs; databases do not. */
const BUILD_DIR = join(REPOSITORY, "build", "testing");

/**
 * For vitest's `globalSetup`: one Postgres with every database migrated, and the environment in which
 * `encore.dev` finds this runtime. Test files import services as they are. Workers inherit the
 * environment, so the project needs the pool `forks`.
 *
 * An application at fault does not stop the tests of its other parts, nor those that need none of it.
 */
export async function setup(): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), "stele-test-"));
  let server: PostgresServer | null = null;
  try {
    server = await startPostgres({
      dataDir: join(dir, "pg", "data"),
      socketDir: join(dir, "pg", "s"),
      password: randomBytes(18).toString("base64url"),
      endWithParent: true,
    });
    await prepare(dir, server);
  } catch (error) {
    process.stderr.write(`No application for integration tests: ${(error as Error).message}\n`);
  }
  return async () => {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  };
}

async function prepare(dir: string, server: PostgresServer): Promise<void> {
  const model = await readModel();
  generate(REPOSITORY, model);
  const native = await bundle({
    entry: "runtime/native.ts",
    outfile: join(BUILD_DIR, "native.cjs"),
    format: "cjs",
  });
  const infra = localInfraConfig({
    model,
    server,
    listen: "127.0.0.1:0",
    databasePrefix: "",
    secretNames: [],
    drainSeconds: 1,
  });
  const modelPath = join(dir, "model.json");
  const infraPath = join(dir, "infra.json");
  writeFileSync(modelPath, JSON.stringify(model));
  writeFileSync(infraPath, JSON.stringify(infra));
  Object.assign(process.env, {
    ...secretEnvironment(server.address.password, {}),
    ENCORE_RUNTIME_LIB: native,
    ENCORE_APP_META_PATH: modelPath,
    ENCORE_INFRA_CONFIG_PATH: infraPath,
  });
  await prepareDatabases({
    root: REPOSITORY,
    model,
    infra: parseInfraConfig(infra, process.env, infraPath),
    maintenanceDatabase: server.maintenanceDatabase,
  });
}

/** What can be understood of the application; its faults are printed above the tests. */
async function readModel(): Promise<AppModel> {
  try {
    return await loadModel(REPOSITORY, join(BUILD_DIR, "model-cache.json"));
  } catch (error) {
    if (!(error instanceof AppModelError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return (await analyzeLeniently(REPOSITORY)).model;
  }
}
