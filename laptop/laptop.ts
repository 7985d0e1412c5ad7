import { join, resolve } from "node:path";

import { config as clustersConfig } from "../clusters/settings";
import { loadToken } from "../clusters/token";
import { boot } from "../runtime/boot";
import { lock } from "../runtime/lock";
import type { Settings } from "../shared/settings";
import { laptopClusters, type NewCluster } from "./clusters";
import { furnish } from "./furnish";
import { helpText, type Options, readOptions } from "./options";
import { makeWritable, shutdownSeconds, wantedAddresses } from "./place";
import { assertFree, show } from "./ports";
import { config, type settings } from "./settings";
import { environmentFaults } from "./settings-table";
import { startTracing } from "./tracing";

interface Laptop {
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
    drainSeconds: shutdownSeconds(drainMs),
    ...(databaseUrl === "" ? {} : { databaseUrl }),
  });
  if (options.bare) {
    console.log(`API at http://${show(apiListen)}`);
    return;
  }
  const { tokenFile } = clustersConfig();
  await loadToken(tokenFile);
  await furnish({
    root,
    stateDir: laptop.stateDir,
    apiListen,
    tokenFile,
    clusters: laptop.clusters,
    examples: options.examples,
    also: [],
    log: process.env.ENCORE_LOG_FILE ?? "here",
    prefix: "",
  });
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
  return { settings: read, stateDir, clusters };
}

/** Everything of one platform lies in its folder, unless a setting says otherwise. */
function placeFiles(stateDir: string, logFile: string): void {
  process.env.STELE_DIR = stateDir;
  process.env.STELE_TOKEN_FILE ??= join(stateDir, "token");
  process.env.STELE_HOP_SECRET_FILE ??= join(stateDir, "hop-secret");
  process.env.STELE_DEPLOYMENT_KEY_FILE ??= join(stateDir, "deployment-key");
  process.env.STELE_DNS_SNAPSHOT ??= join(stateDir, "dns-snapshot.json");
  process.env.STELE_DNS_SEAL_KEY_FILE ??= join(stateDir, "dns-seal.key");
  if (logFile !== "-") process.env.ENCORE_LOG_FILE = logFile || join(stateDir, "stele.log");
}
