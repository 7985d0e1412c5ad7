import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { readGolden, replay } from "./__tests__/encore-golden/replay.mjs";
import { copyFixture } from "./app-process";
import { parseInfraConfig, PUBSUB_DATABASE } from "./infra-config";
import { startTestPostgres, type TestPostgres } from "./postgres/test-postgres";
import { prepareApp, prepareDatabases } from "./prepare";

const golden = readGolden();
let postgres: TestPostgres;
let root: string;
let app: ChildProcess;
let answers: Record<string, unknown>;
let output = "";

beforeAll(async () => {
  postgres = await startTestPostgres();
  root = copyFixture("encore-golden/app");
  const listen = await freeAddress();
  await start(listen);
  answers = await replay(`http://${listen}`, golden);
}, 120_000);

afterAll(async () => {
  app?.kill("SIGKILL");
  await postgres?.stop();
  if (root) rmSync(root, { recursive: true, force: true });
});

/** Runs the application as an image of it does: one process, with Encore's four variables. */
async function start(listen: string): Promise<void> {
  const state = join(root, ".stele");
  const { model, app: main, native, meta } = await prepareApp(root, state);
  const { username, password, socketDir } = postgres.config("");
  const infraPath = join(state, "infra.json");
  const json = infraOf(socketDir as string, username);
  writeFileSync(infraPath, JSON.stringify(json));
  const infra = parseInfraConfig(json, { PGPASSWORD: password }, infraPath);
  await prepareDatabases({ root, model, infra, maintenanceDatabase: "postgres" });
  const { PATH } = process.env;
  app = spawn(process.execPath, ["--enable-source-maps", main], {
    cwd: root,
    env: {
      PATH,
      PGPASSWORD: password,
      ENCORE_RUNTIME_LIB: native,
      ENCORE_APP_META_PATH: meta,
      ENCORE_INFRA_CONFIG_PATH: infraPath,
      ENCORE_LISTEN_ADDR: listen,
      ENCORE_LOG: "error",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [app.stdout, app.stderr]) stream?.on("data", (data) => (output += data));
  await untilHealthy(listen);
}

/** The recorded configuration with addresses of this machine; Pub/Sub is carried by the database. */
function infraOf(host: string, username: string): object {
  const path = join(process.cwd(), "runtime", "__tests__", "encore-golden", "infra.json");
  const infra = JSON.parse(readFileSync(path, "utf8"));
  const [{ databases, ...server }] = infra.sql_servers;
  const alpha = { ...databases.alpha, username };
  const pubsub = { ...alpha, name: PUBSUB_DATABASE };
  const all = { alpha, [PUBSUB_DATABASE]: pubsub };
  return { ...infra, sql_servers: [{ ...server, host, databases: all }] };
}

async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

async function untilHealthy(listen: string): Promise<void> {
  for (;;) {
    if (app.exitCode !== null) throw new Error(`The application ended: ${output}`);
    const response = await fetch(`http://${listen}/__encore/healthz`).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("the embedded runtime", () => {
  it.each(Object.keys(golden))("answers as Encore does: %s", (name) => {
    // As it would be recorded: JSON has no negative zero, for one.
    expect(JSON.parse(JSON.stringify(answers[name]))).toEqual(golden[name]);
  });

  it("was asked everything that was recorded", () => {
    expect(Object.keys(answers)).toEqual(Object.keys(golden));
    expect(Object.keys(golden)).toHaveLength(348);
  });
});
