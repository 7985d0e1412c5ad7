// Starts the split application as several processes, as images of it would be started.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel } from "../analyze/cache";
import type { AppModel } from "../app-model";
import { bundleApp } from "../bundle";
import { generate } from "../generate";
import { bundle } from "../load.mjs";
import { METADATA } from "./split-cases";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const START_DEADLINE_MS = 20_000;
const POLL_MS = 20;

/** The application, ready to be started any number of times. */
export interface Built {
  readonly root: string;
  readonly state: string;
  readonly model: AppModel;
  readonly native: string;
  readonly app: string;
}

/** Copies the application, and builds what every process of it needs. */
export async function build(): Promise<Built> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "stele-split-")));
  cpSync(path("split"), root, { recursive: true });
  symlinkSync(path("../../node_modules"), join(root, "node_modules"));
  const state = join(root, ".stele");
  const model = await loadModel(root, join(state, "model-cache.json"));
  generate(root, model);
  const [native, app] = await Promise.all([
    bundle({ entry: "runtime/native.ts", outfile: join(state, "native.cjs"), format: "cjs" }),
    bundleApp(root, state),
  ]);
  writeFileSync(join(state, "model.json"), JSON.stringify(model));
  return { root, state, model, native, app };
}

/** One process with an infra config of its own. */
export class Part {
  readonly base: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = "";

  constructor(built: Built, port: number, infra: object, env: Record<string, string> = {}) {
    this.base = `http://127.0.0.1:${port}`;
    const config = join(built.state, `infra-${port}.json`);
    const common = { metadata: METADATA, graceful_shutdown: { total: 2 } };
    writeFileSync(config, JSON.stringify({ ...common, ...infra }));
    this.child = spawn(process.execPath, [built.app], {
      cwd: built.root,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        // Under NODE_ENV=test the SDK expects a runtime that does not listen.
        NODE_ENV: "development",
        ENCORE_RUNTIME_LIB: built.native,
        ENCORE_APP_META_PATH: join(built.state, "model.json"),
        ENCORE_INFRA_CONFIG_PATH: config,
        ENCORE_LISTEN_ADDR: `127.0.0.1:${port}`,
        ...env,
      },
    });
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (chunk) => {
        this.output += chunk;
      });
    }
  }

  /** Resolves when it answers. */
  async ready(): Promise<this> {
    const answers = (): Promise<boolean> =>
      fetch(`${this.base}/__encore/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(async () => {
      if (this.child.exitCode !== null) throw new Error(`It ended: ${this.output}`);
      return answers();
    });
    return this;
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }
}

/** Waits for a condition, at most as long as a start may take. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within ${START_DEADLINE_MS} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
