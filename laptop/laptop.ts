import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { type Api, openApi } from "../cli/api-client";
import type { Cluster, Items, Repl } from "../cli/api-types";
import { urlOf } from "../cli/apps";
import { columns, table } from "../cli/format";
import { config as clustersConfig } from "../clusters/settings";
import { loadToken } from "../clusters/token";
import { config as dnsConfig } from "../dns/settings";
import { boot } from "../runtime/boot";
import { lock } from "../runtime/lock";
import type { Settings } from "../shared/settings";
import { laptopClusters, type NewCluster } from "./clusters";
import { ensureExample, HELLO, OTHERS, untilAnswers } from "./examples";
import { helpText, type Options, readOptions } from "./options";
import { assertFree, show, type Wanted } from "./ports";
import { config, type settings } from "./settings";
import { environmentFaults } from "./settings-table";
import { startTracing } from "./tracing";

interface Laptop {
  readonly root: string;
  readonly options: Options;
  readonly settings: Settings<typeof settings>;
  readonly stateDir: string;
  /** The clusters of a first start. */
  readonly clusters: readonly NewCluster[];
}

/** Starts everything and prints what there is. Ends by signals, which the runtime obeys. */
export async function main(argv: readonly string[], root: string): Promise<void> {
  const options = readOptions(argv);
  if (options.help) {
    console.log(helpText());
    return;
  }
  const faults = environmentFaults(process.env);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const laptop = await prepare(options, root);
  if (options.traceTo !== undefined) startTracing(options.traceTo);
  const { apiListen, databaseUrl, drainMs, logLevel } = laptop.settings;
  await boot({
    root,
    stateDir: laptop.stateDir,
    listen: show(apiListen),
    log: logLevel,
    drainSeconds: Math.ceil(drainMs / 1000),
    ...(databaseUrl === "" ? {} : { databaseUrl }),
  });
  if (options.bare) {
    console.log(`API at http://${show(apiListen)}`);
    return;
  }
  await furnish(laptop);
}

/** What can be known to be wrong before anything is started. */
async function prepare(options: Options, root: string): Promise<Laptop> {
  const read = config();
  const stateDir = resolve(root, read.stateDir);
  makeWritable(stateDir);
  placeFiles(stateDir, read.logFile);
  // A second start is told so, and not that its ports are taken.
  lock(join(stateDir, "lock"))();
  const clusters = options.bare ? [] : await laptopClusters(process.platform, read.httpPort);
  await assertFree(wantedAddresses(clusters));
  return { root, options, settings: read, stateDir, clusters };
}

function makeWritable(stateDir: string): void {
  try {
    makeFolder(stateDir);
    accessSync(stateDir, constants.W_OK);
  } catch (error) {
    throw new Error(`Cannot write to "${stateDir}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** With its parents. Node's own `recursive` never returns where the system denies a folder's existence. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (path !== dirname(path)) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Everything of one platform lies in its folder, unless a setting says otherwise. */
function placeFiles(stateDir: string, logFile: string): void {
  process.env.STELE_DIR = stateDir;
  process.env.STELE_TOKEN_FILE ??= join(stateDir, "token");
  process.env.STELE_HOP_SECRET_FILE ??= join(stateDir, "hop-secret");
  process.env.STELE_DEPLOYMENT_KEY_FILE ??= join(stateDir, "deployment-key");
  process.env.STELE_DNS_SNAPSHOT ??= join(stateDir, "dns-snapshot.json");
  if (logFile !== "-") process.env.ENCORE_LOG_FILE = logFile || join(stateDir, "stele.log");
}

function wantedAddresses(clusters: readonly NewCluster[]): readonly Wanted[] {
  const names = dnsConfig().listen.map((at): Wanted => ({
    ...at,
    what: "the name server",
    transports: ["tcp", "udp"],
  }));
  const proxies = clusters.flatMap(({ id, listen }) =>
    listen.map((at): Wanted => {
      const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(at) ?? [];
      return { host, port: Number(port), what: `the proxy of ${id}`, transports: ["tcp"] };
    }),
  );
  return [...names, ...proxies];
}

/** Two clusters and the examples, where they are not there yet; then the table. */
async function furnish(laptop: Laptop): Promise<void> {
  const { root, options, settings: read } = laptop;
  const { tokenFile } = clustersConfig();
  await loadToken(tokenFile);
  const address = `http://${show(read.apiListen)}`;
  const api = openApi({ address, tokenFile, signal: new AbortController().signal });
  const clusters = await ensureClusters(api, laptop.clusters);
  const faults: string[] = [];
  let readyMs: number | undefined;
  if (options.examples) {
    const [home] = clusters;
    const example = { ...HELLO, cluster: home?.id ?? HELLO.cluster };
    const hello = await ensureExample(api, root, example);
    await untilAnswers(hello, clusters.find(({ id }) => id === hello.clusterId) ?? homeless(hello));
    readyMs = sinceStart();
    const others = OTHERS.map((other) =>
      ensureExample(api, root, other).catch((error: Error) => {
        faults.push(`Cannot deploy the example ${other.name}: ${error.message}`);
      }),
    );
    await Promise.all(others);
  }
  const apps = await api.get<Items<Repl>>("/v1/repls");
  console.log(summary(laptop, clusters, apps.items));
  for (const fault of faults) console.error(fault);
  console.log(
    `\nready in ${((readyMs ?? sinceStart()) / 1000).toFixed(1)} s; Ctrl-C stops everything`,
  );
}

function homeless({ host, clusterId }: Repl): never {
  throw new Error(`${host} lives in "${clusterId}": there is no such cluster`);
}

/** From the process's start. */
function sinceStart(): number {
  return performance.now();
}

/** At the first start east and west; afterwards whatever there is. */
async function ensureClusters(api: Api, first: readonly NewCluster[]): Promise<readonly Cluster[]> {
  const { items } = await api.get<Items<Cluster>>("/v1/clusters");
  if (items.length > 0) return items;
  return Promise.all(first.map((cluster) => api.post<Cluster>("/v1/clusters", cluster)));
}

function summary(
  { settings: read, stateDir }: Laptop,
  clusters: readonly Cluster[],
  apps: readonly Repl[],
): string {
  const { zone, listen } = dnsConfig();
  const port = (id: string): number => clusters.find((one) => one.id === id)?.httpPort ?? 80;
  const listening = [
    [show(read.apiListen), `API, for whoever has ${clustersConfig().tokenFile}`],
    [listen.map(show).join(" "), `name server, UDP and TCP, of the zone ${zone}`],
    ...clusters.map(({ id, listen: at }) => [at[0] ?? "nowhere", `proxy of ${id}${also(at)}`]),
  ];
  const rows = apps.map(({ name, owner, clusterId, host }) => [
    `${name}.${owner}`,
    clusterId,
    urlOf(host, port(clusterId)),
  ]);
  return [
    `Stele runs here; its data is in ${stateDir}, its log is ${process.env.ENCORE_LOG_FILE ?? "here"}`,
    columns(listening.map((row) => [`  ${row[0]}`, row[1] ?? ""])),
    indent(table(["APP", "CLUSTER", "URL"], rows)),
    [
      "Try next, in another terminal:",
      "  npx stele move hello west    move an app and watch each phase",
      "  npx stele where hello        its cluster, its names, what DNS answers",
      "  npx stele demo               hundreds of requests a second while apps move",
    ].join("\n"),
  ].join("\n\n");
}

function also([, ...others]: readonly string[]): string {
  return others.length === 0 ? "" : `, also ${others.join(" and ")} for browsers`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
