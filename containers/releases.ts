import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { APIError } from "encore.dev/api";
import log from "encore.dev/log";

import { detect, LOOKED_FOR, type Recognised } from "./core/detect";
import { isLive } from "./core/lifecycle";
import { mayDeploy } from "./core/route";
import { type ContainerRef, markerOf } from "./drivers/driver";
import { deployFiles } from "./files";
import { closeGenerationDir, makeGenerationDir } from "./host";
import { kickTail } from "./kick";
import { untilOpen } from "./local";
import { lastLines } from "./logs";
import { drainAndStopLocked, lock, refFields, startLocked, uidOf } from "./runner";
import { config } from "./settings";
import { type ClusterStore, clusterStore } from "./store";

/** Larger ones are no configuration that a person wrote. */
const MAX_CONFIG_BYTES = 1024 * 1024;
/** A repl that was created a moment ago is known to its cluster as soon as the log was read. */
const HEARSAY_MS = 3_000;
const LOOK_EVERY_MS = 10;
const LAST_LINES = 10;
const MEGABYTE = 1024 * 1024;

export interface Deployed {
  readonly release: number;
  readonly command: string;
  readonly framework: string;
  readonly clusterId: string;
}

/** The repl's home, once it knows of the repl and no move is under way. */
async function settled(home: ContainerRef): Promise<ClusterStore> {
  const { clusterId, replId, generation } = home;
  await untilOpen(clusterId);
  const end = performance.now() + HEARSAY_MS;
  for (;;) {
    const store = clusterStore(clusterId);
    const route = await store.route(replId);
    if (route && mayDeploy(route, generation)) return store;
    if (performance.now() > end) {
      const isLeaving = route?.state === "frozen" || (route?.sealedBy ?? null) !== null;
      const state = isLeaving ? "is being moved" : "is not ready";
      throw APIError.unavailable(`Repl "${replId}" ${state} in cluster "${clusterId}": try again`);
    }
    kickTail();
    await delay(LOOK_EVERY_MS);
  }
}

/** Copies a directory, and starts what is in it; answers when it listens, or fails and says why not. */
export async function deploy(
  ref: ContainerRef,
  directory: string,
  command: string | undefined,
): Promise<Deployed> {
  const from = checkedDirectory(directory);
  const recognised = recognise(from, command);
  const store = await settled(ref);
  return await lock.run(markerOf(ref), async () => {
    const release = await replaceFiles(store, ref, from, recognised);
    const started = await startLocked(store, ref, null);
    log.info("deployed", { ...refFields(ref), release, outcome: started.outcome });
    if (started.outcome === "failed") throw await startError(ref, started.reason);
    return { release, ...recognised, clusterId: ref.clusterId };
  });
}

function checkedDirectory(directory: string): string {
  if (!isAbsolute(directory)) {
    throw APIError.invalidArgument(`Cannot deploy "${directory}": expected an absolute path`);
  }
  try {
    if (statSync(directory).isDirectory()) return realpathSync(directory);
  } catch (error) {
    throw APIError.invalidArgument(`Cannot deploy "${directory}": ${(error as Error).message}`);
  }
  throw APIError.invalidArgument(`Cannot deploy "${directory}": it is not a directory`);
}

function recognise(directory: string, command: string | undefined): Recognised {
  const found = detect({
    names: readdirSync(directory),
    procfile: readSmall(directory, "Procfile"),
    packageJson: readSmall(directory, "package.json"),
    requirements: readSmall(directory, "requirements.txt"),
  });
  if (command) return { command, framework: found?.framework ?? "" };
  if (found) return found;
  throw APIError.invalidArgument(
    `Cannot tell how to start "${directory}": looked for ${LOOKED_FOR.join("; ")}; ` +
      "or give the command",
  );
}

/** "" when it is not there. */
function readSmall(directory: string, name: string): string {
  const stat = statSync(join(directory, name), { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.size > MAX_CONFIG_BYTES) return "";
  return readFileSync(join(directory, name), "utf8");
}

/** Requests wait at the proxies from the stop to the start: they wake what is not there. */
async function replaceFiles(
  store: ClusterStore,
  ref: ContainerRef,
  from: string,
  recognised: Recognised,
): Promise<number> {
  const { replId, generation } = ref;
  const route = await store.route(replId);
  if (!route || !mayDeploy(route, generation)) {
    throw APIError.aborted(`Repl "${replId}" began to move: try again`);
  }
  const container = await store.container(replId, generation);
  if (container && isLive(container.state)) {
    await drainAndStopLocked(store, ref, "a new release was deployed");
  }
  const before = await store.release(replId, generation);
  const uid = await uidOf(store, replId);
  const limits = { maxFiles: config().maxFiles, maxBytes: config().maxMegabytes * MEGABYTE };
  try {
    closeGenerationDir(ref);
    await deployFiles({ from, generationDir: makeGenerationDir(ref, uid), uid, limits });
  } catch (error) {
    // What cannot be deployed has changed nothing; the former release goes on.
    if (before) await startLocked(store, ref, null);
    throw APIError.invalidArgument(`Cannot deploy "${from}": ${(error as Error).message}`);
  }
  const release = (before?.release ?? 0) + 1;
  await store.putRelease(replId, generation, { release, ...recognised });
  return release;
}

async function startError(ref: ContainerRef, reason: string): Promise<APIError> {
  const lines = await lastLines(ref, LAST_LINES);
  const said = lines.length > 0 ? `; its last lines:\n${lines.join("\n")}` : "";
  return APIError.failedPrecondition(`Cannot start repl "${ref.replId}": ${reason}${said}`);
}

/** Stops the container; the next request wakes it. */
export async function putToSleep(ref: ContainerRef): Promise<void> {
  const store = await settled(ref);
  await lock.run(markerOf(ref), async () => {
    const container = await store.container(ref.replId, ref.generation);
    if (container && isLive(container.state)) {
      await drainAndStopLocked(store, ref, "its owner stopped it");
    }
  });
}

/** Stops and starts the container. */
export async function restartContainer(ref: ContainerRef): Promise<void> {
  const store = await settled(ref);
  await lock.run(markerOf(ref), async () => {
    const container = await store.container(ref.replId, ref.generation);
    if (container && isLive(container.state)) {
      await drainAndStopLocked(store, ref, "its owner restarts it");
    }
    const started = await startLocked(store, ref, null);
    if (started.outcome === "failed") throw await startError(ref, started.reason);
  });
}
