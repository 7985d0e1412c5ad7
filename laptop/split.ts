/** `npm run split`: control, east and west as three processes, from the infra configs in `deploy/`. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { loadToken } from "../clusters/token";
import { openState } from "../runtime/boot";
import { PASSWORD_VARIABLE } from "../runtime/boot-config";
import { runExitHooks } from "../runtime/drain";
import { parseInfraConfig } from "../runtime/infra-config";
import { bundle } from "../runtime/load.mjs";
import { lock } from "../runtime/lock";
import { type PreparedApp, prepareApp, prepareDatabases } from "../runtime/prepare";
import { loadDeploymentKey } from "../shared/channel/key";
import type { Address, Settings } from "../shared/settings";
import { laptopClusters, type NewCluster } from "./clusters";
import { furnish } from "./furnish";
import { clusterOf, type InfraFile, placeConfig } from "./infra-place";
import { helpText, type Options, readOptions } from "./options";
import { makeWritable, shutdownSeconds, wantedAddresses } from "./place";
import { assertFree, show, type Wanted } from "./ports";
import { type Servers, serversOf, startServers } from "./servers";
import { config, type settings } from "./settings";
import { environmentFaults } from "./settings-table";
import { endLeftover, Supervised } from "./supervise";

const SHIPPED = ["control", "east", "west"];
const CONFIG_SUFFIX = ".infra.json";
const CONTROL = "control";
const SERVICE_KEY_BYTES = 32;
/** A server of the user's own may hold the databases of `npm start` as well. */
const EXTERNAL_PREFIX = "stele_split_";
/** As Encore starts an image. */
const SOURCE_MAPS = ["--enable-source-maps"];
/** Beyond the runtime's own deadline a process hangs. */
const HANGS_MS = 3_000;

/** One process. */
interface Deployment {
  readonly name: string;
  readonly file: InfraFile;
  /** The cluster that it serves; "" for control. */
  readonly clusterId: string;
  /** Where its API listens. */
  readonly listen: Address;
  /** Where its name server listens, and its proxy, where no setting or cluster says so already. */
  readonly dnsListen: Address | undefined;
  readonly proxyListen: Address | undefined;
  /** Its files, and its pid. */
  readonly dir: string;
}

interface Split {
  readonly root: string;
  readonly options: Options;
  readonly settings: Settings<typeof settings>;
  readonly stateDir: string;
  readonly deployments: readonly Deployment[];
  /** The clusters of a first start. */
  readonly clusters: readonly NewCluster[];
}

/** Starts everything and prints what there is; ends by signals. */
export async function main(argv: readonly string[], root: string): Promise<void> {
  const options = readOptions(argv, "run split");
  if (options.help) {
    console.log(helpText("run split"));
    return;
  }
  const faults = environmentFaults(process.env);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  const split = await prepare(options, root);
  const running: Supervised[] = [];
  const isStopping = obeySignals(running);
  try {
    openState(split.stateDir);
    running.push(...(await launch(split)));
    await Promise.all(running.map((one) => one.start()));
    await say(split);
  } catch (error) {
    // What fails because it was told to end is no news; the process ends with the last of them.
    if (isStopping()) return;
    await stopAll(running);
    throw error;
  }
}

/** What can be known to be wrong before anything is started. */
async function prepare(options: Options, root: string): Promise<Split> {
  const read = config();
  const stateDir = resolve(root, read.stateDir, "split");
  makeWritable(stateDir);
  // A second start is told so, and not that its ports are taken.
  lock(join(stateDir, "lock"))();
  const files = [
    ...SHIPPED.map((name) => join(root, "deploy", name + CONFIG_SUFFIX)),
    ...options.also.map((path) => resolve(root, path)),
  ];
  if (options.ownServers && read.databaseUrl !== "") {
    throw new Error("Cannot run servers of our own: DATABASE_URL names one");
  }
  const deployments = readDeployments(files, read, stateDir);
  const stopMs = shutdownSeconds(read.drainMs) * 1000 + HANGS_MS;
  await Promise.all(deployments.map(({ dir }) => endLeftover(join(dir, "pid"), stopMs)));
  const clusters = options.bare ? [] : await laptopClusters(process.platform, read.httpPort);
  await assertFree([...deployments.flatMap(wantedBy), ...wantedAddresses(clusters)]);
  return { root, options, settings: read, stateDir, deployments, clusters };
}

/** Each gets the next of the addresses for what it hosts. */
function readDeployments(
  paths: readonly string[],
  { apiListen, clusterApis, moreNameServers, moreProxies }: Settings<typeof settings>,
  stateDir: string,
): Deployment[] {
  const apis = inTurn("STELE_CLUSTER_API_LISTEN", [apiListen, ...clusterApis]);
  // The first one listens where the setting of the name server itself says.
  const names = inTurn("STELE_DNS_LISTEN_MORE", [undefined, ...moreNameServers]);
  const proxies = inTurn("STELE_PROXY_LISTEN_MORE", moreProxies);
  return paths.map((path) => {
    const name = basename(path, CONFIG_SUFFIX);
    const file = readConfig(path);
    const hosts = (service: string): boolean => file.hosted_services?.includes(service) === true;
    const dir = join(stateDir, name);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return {
      name,
      file,
      dir,
      clusterId: clusterOf(file, name),
      listen: apis(name) as Address,
      dnsListen: hosts("dns") ? names(name) : undefined,
      proxyListen: hosts("proxy") && !hosts("containers") ? proxies(name) : undefined,
    };
  });
}

function inTurn<T>(setting: string, addresses: readonly T[]): (name: string) => T {
  let next = 0;
  return (name) => {
    if (next < addresses.length) return addresses[next++] as T;
    throw new Error(`Cannot start ${name}: ${setting} has no address for it`);
  };
}

function readConfig(path: string): InfraFile {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as InfraFile;
  } catch (error) {
    throw new Error(`Cannot read the infra config "${path}": ${(error as Error).message}`);
  }
}

function wantedBy({ name, listen, dnsListen, proxyListen }: Deployment): Wanted[] {
  const tcp = ["tcp"] as const;
  const proxy = proxyListen && { ...proxyListen, what: `the proxy of ${name}`, transports: tcp };
  const both = ["tcp", "udp"] as const;
  const names = dnsListen && { ...dnsListen, what: `the names of ${name}`, transports: both };
  const api = { ...listen, what: `the API of ${name}`, transports: tcp };
  return [api, proxy, names].filter((one) => one !== undefined);
}

/** Everything that the processes share, and each of them ready to be started. */
async function launch(split: Split): Promise<Supervised[]> {
  const { root, settings: read, stateDir, deployments } = split;
  const { databaseUrl } = read;
  const hosts = split.options.ownServers ? serversOf(deployments.map(({ file }) => file)) : [];
  const starting = startServers({ stateDir, databaseUrl, hosts });
  starting.catch(() => {}); // Awaited below; the source's faults come first.
  const app = await prepareApp(root, stateDir);
  const preload = await bundle({
    entry: "laptop/preload.ts",
    outfile: join(stateDir, "build", "preload.mjs"),
  });
  const servers = await starting;
  const shared = await sharedEnvironment(split, app);
  return Promise.all(
    deployments.map(async (deployment) => {
      const env = { ...shared, ...(await configure(split, deployment, app, servers, shared)) };
      const { name, dir, listen } = deployment;
      const url = `http://${show(listen)}${name === CONTROL ? "/v1/ready" : "/__encore/healthz"}`;
      const imports = ["--import", pathToFileURL(preload).href];
      return new Supervised(
        {
          name,
          command: [process.execPath, `--title=stele ${name}`, ...imports, ...SOURCE_MAPS, app.app],
          cwd: root,
          env: { ...process.env, ...env },
          pidFile: join(dir, "pid"),
          downFile: join(dir, "down"),
          isReady: async () => (await fetch(url)).ok,
          stopMs: shutdownSeconds(read.drainMs) * 1000 + read.acceptMs + HANGS_MS,
        },
        (line) => console.error(line),
      );
    }),
  );
}

type Environment = Readonly<Record<string, string>>;

/** What all processes must agree on, and what is kept from everybody else. */
async function sharedEnvironment(
  { stateDir, settings: read, options }: Split,
  app: PreparedApp,
): Promise<Environment> {
  return {
    ENCORE_RUNTIME_LIB: app.native,
    ENCORE_APP_META_PATH: app.meta,
    ENCORE_LOG: read.logLevel,
    STELE_HOP_SECRET_FILE: join(stateDir, "hop-secret"),
    STELE_SECRET_API_TOKEN: await loadToken(tokenFile(stateDir)),
    STELE_SECRET_SERVICE_KEY: serviceKey(join(stateDir, "service-key")),
    ...(options.traceTo !== undefined && { OTEL_EXPORTER_OTLP_ENDPOINT: options.traceTo }),
  };
}

/** As one word of a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function tokenFile(stateDir: string): string {
  return join(stateDir, "token");
}

/** Signs the calls between services. */
function serviceKey(path: string): string {
  if (!existsSync(path)) {
    const key = randomBytes(SERVICE_KEY_BYTES).toString("base64");
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
  }
  return readFileSync(path, "utf8").trim();
}

/** Writes a deployment's config for this machine, brings its databases up to date, and gives its variables. */
async function configure(
  { root, settings: read, stateDir, deployments }: Split,
  { name, clusterId, file, listen, dnsListen, proxyListen, dir }: Deployment,
  { model }: PreparedApp,
  servers: Servers,
  shared: Environment,
): Promise<Environment> {
  const placed = placeConfig(file, name, {
    serverOf: servers.addressOf,
    databasePrefix: read.databaseUrl === "" ? "" : EXTERNAL_PREFIX,
    apis: new Map(deployments.map((one) => [one.name, `http://${show(one.listen)}`])),
    shutdownSeconds: shutdownSeconds(read.drainMs),
  });
  const path = join(dir, "infra.json");
  writeFileSync(path, JSON.stringify(placed, null, 2), { mode: 0o600 });
  const password = { [PASSWORD_VARIABLE]: servers.password };
  const infra = parseInfraConfig(placed, { ...process.env, ...shared, ...password }, path);
  const { maintenanceDatabase } = servers;
  await prepareDatabases({ root, model, infra, maintenanceDatabase });
  const { STELE_APPS_DIR: apps } = process.env;
  const logFile = read.logFile || join(dir, "stele.log");
  return {
    ENCORE_INFRA_CONFIG_PATH: path,
    ENCORE_LISTEN_ADDR: show(listen),
    ...(logFile !== "-" && { ENCORE_LOG_FILE: logFile }),
    OTEL_SERVICE_NAME: `stele-${name}`,
    STELE_DIR: dir,
    STELE_DEPLOYMENT_KEY_FILE: join(dir, "deployment-key"),
    STELE_DNS_SNAPSHOT: join(dir, "dns-snapshot.json"),
    // The name servers share a database, and so the key that seals secrets in it.
    STELE_DNS_SEAL_KEY_FILE: join(stateDir, "dns-seal.key"),
    ...password,
    ...(clusterId && { LOCAL_CLUSTERS: clusterId }),
    // Encore's own variable: what is above the time for its drain, it goes on accepting.
    ...(clusterId === name && {
      ENCORE_K8S_GRACE_TERMINATION_SECONDS: String(
        shutdownSeconds(read.drainMs) + Math.ceil(read.acceptMs / 1000),
      ),
    }),
    ...(dnsListen && { STELE_DNS_LISTEN: show(dnsListen) }),
    ...(proxyListen && { STELE_PROXY_LISTEN: show(proxyListen) }),
    ...(apps && { STELE_APPS_DIR: join(apps, name) }),
  };
}

async function say({ root, options, settings: read, stateDir, ...split }: Split): Promise<void> {
  const { apiListen, logFile } = read;
  const clusters = split.deployments.filter(({ name, clusterId }) => name === clusterId);
  const more = split.deployments.flatMap(({ name, dnsListen, proxyListen }) => [
    ...(dnsListen ? [[show(dnsListen), `name server of ${name}`] as const] : []),
    ...(proxyListen ? [[show(proxyListen), `proxy of ${name}`] as const] : []),
  ]);
  const registrations = new Map(
    clusters.map(({ name, listen, dir }) => {
      const { publicKey } = loadDeploymentKey("", join(dir, "deployment-key"));
      return [name, { apiUrl: `http://${show(listen)}`, publicKey }];
    }),
  );
  if (options.bare) {
    console.log(`API at http://${show(apiListen)}`);
    return;
  }
  await furnish({
    root,
    stateDir,
    apiListen,
    tokenFile: tokenFile(stateDir),
    clusters: split.clusters.map((cluster) => ({ ...cluster, ...registrations.get(cluster.id) })),
    examples: options.examples,
    also: [
      ...more,
      ...clusters.map(({ name, listen }) => [show(listen), `API of ${name}, for control`] as const),
    ],
    log: logFile === "-" ? "here" : logFile || `stele.log in a folder for each process`,
    prefix: `STELE_TOKEN_FILE=${quoted(tokenFile(stateDir))} `,
  });
}

/** Gives whether one was told to end. */
function obeySignals(running: readonly Supervised[]): () => boolean {
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (isStopping) {
        for (const one of running) one.kill();
        process.exit(1);
      }
      isStopping = true;
      void stopAll(running).then((isOrderly) => process.exit(isOrderly ? 0 : 1));
    });
  }
  return () => isStopping;
}

/** Control first: its moves let through whom they hold, and for that the clusters must live. */
async function stopAll(running: readonly Supervised[]): Promise<boolean> {
  const [control, ...clusters] = running;
  const first = await control?.stop();
  const others = await Promise.all(clusters.map((one) => one.stop()));
  await runExitHooks();
  return [first, ...others].every((isOrderly) => isOrderly !== false);
}
