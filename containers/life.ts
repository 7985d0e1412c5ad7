import log from "encore.dev/log";

import { deploymentKey } from "../shared/channel/settings";
import { registerReadiness } from "../shared/hosting";
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
  registerReadiness("containers", async () => tail?.whyUnready() ?? null);
}

/** Stops the apps, after the proxies have finished with them, unless they shall go on. */
export async function end(): Promise<void> {
  sweep?.close();
  await tail?.close();
  if (!config().keepApps) {
    const all = localClusters().map((clusterId) => stopAll(clusterId));
    await Promise.allSettled(all);
  }
  await acks?.close();
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
