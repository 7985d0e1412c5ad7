import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { DatabaseConfig } from "../runtime/infra-config";
import { freePort } from "../shared/__tests__/free-port";

export const ZONE = "repl.test";

/** The same tests run on one process, and on the three of `npm run split`. */
export const isSplit = process.env.STELE_E2E === "split";
export const SCRIPT = isSplit ? "laptop/split.mjs" : "laptop/start.mjs";

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 25_000;

/** Resolves when `condition` gives something; fails at the deadline with what was waited for. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  deadlineMs = 30_000,
  pauseMs = 20,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last = "";
  while (performance.now() < end) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = ` (${String(error)})`;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new Error(`Not within ${deadlineMs} ms: ${what}${last}`);
}

export interface PlatformOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly clusters?: readonly string[];
  /** Further arguments of `npm start`. */
  readonly args?: readonly string[];
  /** A second address of east's proxy, on the same port. */
  readonly alsoAt?: string;
  /** Clusters that `addCluster` adds later; of several processes each has its own from the start. */
  readonly later?: readonly string[];
  /** Clusters with a second proxy, in a process of its own, at a second address. */
  readonly twoProxies?: readonly string[];
  /** A PostgreSQL for each server that the configs in `deploy/` name. */
  readonly ownServers?: boolean;
}

export interface Repl {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly clusterId: string;
  readonly generation: number;
  readonly host: string;
}

export interface Migration {
  readonly id: string;
  readonly mode: string;
  readonly from: string;
  readonly to: string;
  readonly phase: string;
  readonly outcome: "open" | "completed" | "rolled_back";
  readonly reason: string | null;
  readonly steps: readonly { readonly phase: string; readonly ms: number }[];
  readonly holdMs: number | null;
  readonly committedAt: string | null;
}

/** Until its parent has heard of its end: a thread of it may hold sockets for as long. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function moreProcesses({ later = [], twoProxies = [] }: PlatformOptions): string[] {
  return [...later, ...twoProxies.map((id) => `${id}-proxy`)];
}

/** The addresses of the tests' clusters: loopback, away from those of a platform that runs beside. */
const INGRESS: Readonly<Record<string, string>> = {
  east: "127.0.101.1",
  west: "127.0.102.1",
  north: "127.0.103.1",
};

/** Of their second proxies. */
const SECOND_INGRESS: Readonly<Record<string, string>> = {
  east: "127.0.101.2",
  west: "127.0.102.2",
};

/** A whole platform in a process, or three, and a folder of its own, on free ports. */
export class Platform {
  readonly directory = mkdtempSync(join(tmpdir(), "stele-e2e-"));
  readonly stateDir = isSplit ? join(this.directory, "split") : this.directory;
  /** As root each app has a user of its own, who must be able to enter. */
  readonly appsDirectory = mkdtempSync(join(tmpdir(), "stele-e2e-apps-"));
  output = "";
  private child: ChildProcess | undefined;

  private constructor(
    readonly apiPort: number,
    readonly dnsPort: number,
    readonly httpPort: number,
    /** Where the processes' own APIs listen, of several. */
    private readonly clusterApis: ReadonlyMap<string, string>,
    /** Where the name servers listen that are not the first. */
    readonly moreNameServers: readonly string[],
    private readonly options: PlatformOptions,
  ) {}

  static async start(options: PlatformOptions = {}): Promise<Platform> {
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const clusterApis = new Map<string, string>();
    const moreNameServers: string[] = [];
    for (const id of isSplit ? ["east", "west", ...moreProcesses(options)] : []) {
      clusterApis.set(id, `127.0.0.1:${await freePort()}`);
      moreNameServers.push(`127.0.0.1:${await freePort()}`);
    }
    const platform = new Platform(...ports, clusterApis, moreNameServers, options);
    chmodSync(platform.appsDirectory, 0o711);
    await platform.boot();
    for (const id of options.clusters ?? ["east", "west"]) await platform.addCluster(id);
    return platform;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error("The platform does not run");
    return this.child.pid;
  }

  get env(): Record<string, string> {
    return {
      STELE_DIR: this.directory,
      STELE_APPS_DIR: this.appsDirectory,
      STELE_ZONE: ZONE,
      STELE_API_LISTEN: `127.0.0.1:${this.apiPort}`,
      ...(isSplit && {
        STELE_CLUSTER_API_LISTEN: [...this.clusterApis.values()].join(),
        STELE_DNS_LISTEN_MORE: this.moreNameServers.join(),
        STELE_PROXY_LISTEN_MORE: this.moreProxies.join(),
      }),
      STELE_DNS_LISTEN: `127.0.0.1:${this.dnsPort}`,
      STELE_LOG_FILE: "-",
      STELE_MOVE_DRAIN_MS: "1s",
      ...this.options.env,
    };
  }

  /** Starts the process, on the folder as it is, and waits until the API answers. */
  async boot(): Promise<void> {
    const child = spawn(
      process.execPath,
      [SCRIPT, "--bare", ...this.splitArguments(), ...(this.options.args ?? [])],
      {
        env: { ...process.env, NODE_ENV: "", VITEST: "", ...this.env },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.child = child;
    child.stdout?.on("data", (chunk) => (this.output += String(chunk)));
    child.stderr?.on("data", (chunk) => (this.output += String(chunk)));
    const ended = () => child.exitCode !== null || child.signalCode !== null;
    const before = this.output.length;
    await until(
      "the API is ready",
      async () =>
        ended() || (this.output.slice(before).includes("API at ") && (await this.isReady())),
      START_DEADLINE_MS,
    );
    if (ended()) throw new Error(`The platform ended with ${child.exitCode}: ${this.output}`);
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.apiPort}/v1/ready`)).ok;
  }

  /** More processes: a cluster that comes later is west under another name, a second proxy east's. */
  private splitArguments(): string[] {
    if (!isSplit) return [];
    const { later = [], twoProxies = [], ownServers = false } = this.options;
    const copied = (name: string, from: string, [a, b]: [string, string]): string[] => {
      const file = join(this.directory, `${name}.infra.json`);
      const config = readFileSync(`deploy/${from}.infra.json`, "utf8");
      writeFileSync(file, config.replaceAll(a, b));
      return ["--also", file];
    };
    return [
      ...later.flatMap((id) => copied(id, "west", ["west", id])),
      ...twoProxies.flatMap((id) => copied(`${id}-proxy`, "east-proxy", ["east", id])),
      ...(ownServers ? ["--own-servers"] : []),
    ];
  }

  private get moreProxies(): string[] {
    const { twoProxies = [] } = this.options;
    return twoProxies.map((id) => `${SECOND_INGRESS[id]}:${this.httpPort}`);
  }

  /** Where a cluster's visitors may go. */
  addressesOf(clusterId: string): string[] {
    const isTwo = this.options.twoProxies?.includes(clusterId);
    const second = isTwo ? SECOND_INGRESS[clusterId] : undefined;
    return [this.ingressOf(clusterId), ...(second ? [second] : [])];
  }

  /** The pid of one process of several: `control`, `east`, … */
  pidOf(name: string): number {
    return Number(readFileSync(join(this.stateDir, name, "pid"), "utf8").split(" ", 1)[0]);
  }

  /** The pid of the first process of Postgres. */
  get postgresPid(): number {
    const file = join(this.stateDir, "pg", "data", "postmaster.pid");
    return Number(readFileSync(file, "utf8").split("\n", 1)[0]);
  }

  /** How to reach Postgres, but for the database. */
  get postgres(): Omit<DatabaseConfig, "database"> {
    const folder = join(this.stateDir, "pg");
    return {
      host: "localhost",
      port: 5432,
      socketDir: join(folder, "s"),
      tls: null,
      username: "stele",
      password: readFileSync(join(folder, "password"), "utf8").trim(),
      maxConnections: 1,
      minConnections: 0,
    };
  }

  /** SIGTERM, as a service manager would; SIGKILL goes to every process. Resolves with the exit code. */
  async terminate(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const { child } = this;
    if (!child) return null;
    child.kill(signal);
    if (signal === "SIGKILL" && isSplit) {
      for (const name of ["control", ...this.clusterApis.keys()]) kill(this.pidOf(name), signal);
    }
    await until(
      "the platform ends",
      () => child.exitCode !== null || child.signalCode !== null,
      STOP_DEADLINE_MS,
    );
    this.child = undefined;
    return child.exitCode;
  }

  async stop(): Promise<void> {
    await this.terminate();
    for (const directory of [this.directory, this.appsDirectory]) {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async addCluster(id: string): Promise<void> {
    const ingress = INGRESS[id];
    if (!ingress) throw new Error(`No address for cluster "${id}"`);
    const { alsoAt } = this.options;
    const addresses = id === "east" && alsoAt ? [ingress, alsoAt] : [ingress];
    const listen = addresses.map((address) => `${address}:${this.httpPort}`);
    await this.api("POST", "/v1/clusters", {
      id,
      ingress: this.addressesOf(id),
      httpPort: this.httpPort,
      listen,
      ...(isSplit && this.ownApi(id)),
    });
    for (const address of this.addressesOf(id)) {
      await until(`a proxy of ${id} listens at ${address}`, async () => {
        const response = await fetch(`http://${address}:${this.httpPort}/`);
        return response.status === 404;
      });
    }
  }

  private ownApi(id: string): { apiUrl: string; publicKey: string } {
    const file = join(this.stateDir, id, "deployment-key.pub");
    const publicKey = readFileSync(file, "utf8").trim();
    return { apiUrl: `http://${this.clusterApis.get(id)}`, publicKey };
  }

  /** Where the API of one process of several listens, but control's. */
  apiOf(name: string): string {
    return this.clusterApis.get(name) ?? "";
  }

  ingressOf(clusterId: string): string {
    return INGRESS[clusterId] ?? "";
  }

  get tokenFile(): string {
    return join(this.stateDir, "token");
  }

  get token(): string {
    return readFileSync(this.tokenFile, "utf8").trim();
  }

  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.apiPort}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  /** Creates a repl and deploys an example (or any directory) as it. */
  async deploy(directory: string, name: string, cluster: string, policy = "auto"): Promise<Repl> {
    const repl = await this.api<Repl>("POST", "/v1/repls", {
      name,
      owner: "demo",
      cluster,
      policy,
    });
    await this.api("PUT", `/v1/repls/${repl.id}/release`, {
      directory: join(process.cwd(), directory),
    });
    return repl;
  }

  async move(replId: string, to: string, mode?: string): Promise<Migration> {
    const body = { replId, to, ...(mode ? { mode } : {}) };
    const { id } = await this.api<Migration>("POST", "/v1/migrations", body);
    return this.finished(id);
  }

  async finished(migrationId: string, deadlineMs = 60_000): Promise<Migration> {
    return until(
      `migration ${migrationId} ends`,
      async () => {
        const migration = await this.api<Migration>("GET", `/v1/migrations/${migrationId}`);
        return migration.outcome !== "open" && migration;
      },
      deadlineMs,
    );
  }
}
