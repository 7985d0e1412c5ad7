import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build, type Metafile } from "esbuild";

import { loadModel } from "../runtime/analyze/cache";
import type { AppModel } from "../runtime/app-model";
import { appBuild } from "../runtime/bundle";
import { PUBSUB_DATABASE } from "../runtime/infra-config";
import { bundle } from "../runtime/load.mjs";
import { startTestPostgres, type TestPostgres } from "../runtime/postgres/test-postgres";
import { prepareDatabases } from "../runtime/prepare";
import { freePort } from "../shared/__tests__/free-port";
import { until } from "./platform";

/** What Encore calls it; the process is started with it and knows no other file of the application. */
const BUNDLE = ".encore/build/combined/combined/main.mjs";
/** Folders of the application that an image of Encore's has in its workspace and this test looks at. */
const WORKSPACE = ["clusters", "containers", "dns", "migrations", "proxy", "shared"];

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 30_000;

export interface ProcessOptions {
  readonly services: readonly string[];
  readonly gateways?: readonly string[];
  /** `graceful_shutdown.total`, in seconds. */
  readonly shutdownSeconds: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** One process of the image. */
export class ImageProcess {
  output = "";
  /** Resolves with the exit code; null after a signal that was not caught. */
  readonly ended: Promise<number | null>;

  constructor(
    readonly child: ChildProcess,
    readonly apiPort: number,
  ) {
    this.ended = new Promise((resolve) => child.once("exit", resolve));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => (this.output += String(chunk)));
    }
  }

  /** Resolves when Encore's own health check is passed. */
  async healthy(): Promise<void> {
    const url = `http://127.0.0.1:${this.apiPort}/__encore/healthz`;
    await until(
      "the process is healthy",
      async () => this.child.exitCode !== null || (await fetch(url)).ok,
      START_DEADLINE_MS,
    );
    if (this.child.exitCode !== null) throw new Error(`It ended: ${this.output}`);
  }

  async terminate(): Promise<number | null> {
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_DEADLINE_MS);
    return this.ended.finally(() => clearTimeout(late));
  }
}

/**
 * The application as an image of Encore's has it: one bundle in a workspace, the runtime as a library,
 * metadata and infra config as files, and nothing of how this repository starts itself.
 */
export class Image {
  private constructor(
    readonly directory: string,
    /** What esbuild says of the bundle. */
    readonly metafile: Metafile,
    private readonly model: AppModel,
    private readonly native: string,
    private readonly postgres: TestPostgres,
  ) {}

  static async build(): Promise<Image> {
    const root = process.cwd();
    const directory = mkdtempSync(join(tmpdir(), "stele-image-"));
    chmodSync(directory, 0o711);
    const workspace = join(directory, "workspace");
    mkdirSync(workspace, { mode: 0o711 });
    for (const name of [...WORKSPACE, "node_modules", "package.json"]) {
      symlinkSync(join(root, name), join(workspace, name));
    }
    const model = await loadModel(root, join(directory, "model-cache.json"));
    const outfile = join(workspace, BUNDLE);
    const { metafile } = await build(appBuild(root, outfile));
    const native = await bundle({
      entry: "runtime/native.ts",
      outfile: join(directory, "encore/runtimes/js/encore-runtime.cjs"),
      format: "cjs",
    });
    writeFileSync(join(directory, "encore/meta"), JSON.stringify(model));
    const postgres = await startTestPostgres();
    const names = [...model.databases.map(({ name }) => name), PUBSUB_DATABASE];
    const infra = postgres.infra(names);
    await prepareDatabases({ root, model, infra, maintenanceDatabase: "postgres" });
    return new Image(directory, metafile as Metafile, model, native, postgres);
  }

  get bundle(): string {
    return join(this.directory, "workspace", BUNDLE);
  }

  /** Starts it as an image's entry point does, with the variables of an image and those given. */
  async start(options: ProcessOptions): Promise<ImageProcess> {
    const port = await freePort();
    const config = join(this.directory, `infra.${port}.json`);
    writeFileSync(config, JSON.stringify(this.infraConfig(options)));
    const child = spawn(process.execPath, ["--enable-source-maps", BUNDLE], {
      cwd: join(this.directory, "workspace"),
      env: {
        PATH: process.env.PATH,
        ENCORE_RUNTIME_LIB: this.native,
        ENCORE_INFRA_CONFIG_PATH: config,
        ENCORE_APP_META_PATH: join(this.directory, "encore/meta"),
        PORT: String(port),
        ENCORE_LOG: "warn",
        STELE_BUILD_DIR: join(this.directory, "workers"),
        ...options.env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new ImageProcess(child, port);
  }

  private infraConfig({ services, gateways = [], shutdownSeconds }: ProcessOptions): object {
    const [name] = services;
    const { socketDir, username, password } = this.postgres.config("postgres");
    const { databases, topics, subscriptions } = this.model;
    const entry = { username, password, max_connections: 20 };
    const used = [...databases.map((database) => database.name), PUBSUB_DATABASE];
    const consumed = subscriptions.filter(({ service }) => services.includes(service));
    return {
      metadata: { app_id: "stele", env_name: "test", env_type: "production", cloud: "local" },
      graceful_shutdown: { total: shutdownSeconds },
      sql_servers: [
        {
          host: socketDir,
          tls_config: { disabled: true },
          databases: Object.fromEntries(used.map((database) => [database, entry])),
        },
      ],
      pubsub: [
        {
          type: "nsq",
          hosts: "127.0.0.1:4150",
          topics: Object.fromEntries(
            topics.map((topic) => {
              const of = consumed.filter((subscription) => subscription.topic === topic.name);
              const named = of.map((one) => [one.name, { name: `${name}-${one.name}` }]);
              return [topic.name, { name: topic.name, subscriptions: Object.fromEntries(named) }];
            }),
          ),
        },
      ],
      secrets: { ApiToken: TOKEN },
      hosted_services: services,
      hosted_gateways: gateways,
      cors: {},
    };
  }

  async close(): Promise<void> {
    await this.postgres.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const TOKEN = "the-token-of-the-image-test";
