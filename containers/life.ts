import { setTimeout as delay } from "node:timers/promises";

import log from "encore.dev/log";

import { deploymentKey } from "../shared/channel/settings";
import { drainMs, registerReadiness, untilShutdown } from "../shared/hosting";
import type { Listener } from "../shared/listener";
import { listenToAcks } from "./acks";
import { beginToAccept } from "./authenticate";
import { isLive } from "./core/lifecycle";
import { host } from "./host";
import { markerOf } from "./drivers/driver";
import { localClusters } from "./local";
import { callOffStart, containerDriver, lock, stopLocked } from "./runner";
import { config } from "./settings";
import { clusterStore } from "./store";
import type { ContainerRow } from "./store-rows";
import { reconcile, startSweep } from "./sweep";
import { startTail, type Tail } from "./tail";

let acks: Listener | undefined;
let tail: Tail | undefined;
let sweep: ReturnType<typeof startSweep> | undefined;
/** When the drain must be over. */
let endsAt = Infinity;

/** Between two looks whether requests are still held for a move. */
const LOOK_EVERY_MS = 50;
/** Of a drain, for what comes after the moves. */
const RESERVE_MS = 500;

/** Starts what the service does by itself. */
export async function begin(): Promise<void> {
  const { appsDir, usersApart, launcher } = host();
  log.info("apps run as processes", {
    appsDir,
    isolation: usersApart ? "a user for each" : "none",
    noNewPrivileges: launcher.setpriv !== null,
  });
  beginToAccept();
  log.info("this deployment's key", { publicKey: deploymentKey().publicKey });
  acks = listenToAcks();
  tail = startTail(reconcile);
  sweep = startSweep();
  void untilShutdown().then(() => (endsAt = performance.now() + drainMs()));
  registerReadiness("containers", async () => tail?.whyUnready() ?? null);
}

/** Stops the apps, after the proxies have finished with them, unless they shall go on. */
export async function end(): Promise<void> {
  await untilNobodyIsHeld();
  sweep?.close();
  await tail?.close();
  if (!config().keepApps) {
    const all = localClusters().map((clusterId) => stopAll(clusterId));
    await Promise.allSettled(all);
  }
  await acks?.close();
}

/**
 * Requests are held while a move has frozen a route here, or has booted a container here that it has not
 * committed: the sweep, the log and commands end that, as long as they are at work.
 */
async function untilNobodyIsHeld(): Promise<void> {
  const isHeld = async (clusterId: string): Promise<boolean> => {
    const routes = await clusterStore(clusterId).underWay();
    return routes.some(({ replId, generation, state }) => {
      const ref = { clusterId, replId, generation };
      return state === "frozen" || containerDriver().isRunning(ref);
    });
  };
  while (performance.now() < endsAt - RESERVE_MS) {
    const all = await Promise.all(localClusters().map(isHeld)).catch((): boolean[] => []);
    if (!all.includes(true)) return;
    await delay(LOOK_EVERY_MS);
  }
}

async function stopAll(clusterId: string): Promise<void> {
  const store = clusterStore(clusterId);
  const rows = (await store.attended()).filter(({ state }) => isLive(state));
  await Promise.all(
    rows.map(async ({ replId, generation }: ContainerRow) => {
      const ref = { clusterId, replId, generation };
      callOffStart(ref, "the platform stops");
      await lock.run(markerOf(ref), async () => {
        if (containerDriver().isRunning(ref)) await stopLocked(store, ref, "the platform stopped");
      });
    }),
  );
}
