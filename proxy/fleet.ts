/** The proxies of all clusters that this process serves, as clusters come and go. */
import { clusters, containers } from "~encore/clients";
import log from "encore.dev/log";

import { drainMs } from "../shared/hosting";
import { listen, type Listener } from "../shared/listener";
import { outbound } from "../shared/outbound";
import { startWorker } from "../shared/worker";
import type { HoldBounds } from "./core/hold";
import { LIMITS } from "./core/limits";
import { hopSecret } from "./hop-secret";
import { ClusterProxy, type Platform, type ProxyStatus } from "./listen";
import { config } from "./settings";
import * as store from "./store";

const SCAN_MS = 1_000;
const LOOKUP_TIMEOUT_MS = 2_000;

const toContainers = outbound("containers", { timeoutMs: LIMITS.wakeMs });
const toClusters = outbound("clusters", { timeoutMs: LOOKUP_TIMEOUT_MS });

const platform: Platform = {
  startWorker: (input) => startWorker("proxy/worker.ts", input),
  wake: async (clusterId, replId, { requestId, traceparent }) => {
    const { outcome } = await toContainers(() =>
      containers.wake({ clusterId, replId, requestId, traceparent }),
    );
    return outcome;
  },
  lookup: (query) => toClusters(() => clusters.lookup(query)),
};

const proxies = new Map<string, ClusterProxy>();
let listener: Listener | undefined;
let timer: NodeJS.Timeout | undefined;
let scanned = false;
let scanning: Promise<void> | undefined;

/** Starts a proxy for each local cluster, and keeps at it. */
export async function openFleet(): Promise<void> {
  // Read here, so that a bad setting ends the start and not the first request.
  hopSecret(config().hopSecret, config().hopSecretFile);
  await scanOnce();
  timer = setInterval(() => void scanOnce(), SCAN_MS);
  listener = listen(store.connectionString(), "route_changed", {
    onNotify: (clusterId) => void changed(clusterId),
    onConnect: () => void changedAll(),
  });
}

async function changed(clusterId: string): Promise<void> {
  const proxy = proxies.get(clusterId);
  // A cluster's own addresses may be what changed, and a new cluster has no proxy yet.
  if (proxy === undefined) await scanOnce();
  else await proxy.refresh().catch(() => undefined);
}

async function changedAll(): Promise<void> {
  await Promise.all([...proxies.keys()].map(changed));
}

function scanOnce(): Promise<void> {
  scanning ??= scan()
    .catch((error: unknown) => {
      log.warn("cannot read the local clusters", { reason: String(error) });
    })
    .finally(() => (scanning = undefined));
  return scanning;
}

async function scan(): Promise<void> {
  const { localClusters } = config();
  const all = localClusters.includes("*");
  const found = await store.clusters();
  const local = found.filter(({ clusterId, hasApi }) =>
    all ? !hasApi : localClusters.includes(clusterId),
  );
  scanned = true;
  const ids = new Set(local.map(({ clusterId }) => clusterId));
  for (const [clusterId, proxy] of proxies) {
    if (ids.has(clusterId)) continue;
    proxies.delete(clusterId);
    void proxy.close(drainMs());
  }
  await Promise.all(local.map(openOne));
}

async function openOne({ clusterId, listen: ofCluster }: store.LocalCluster): Promise<void> {
  const { listen: ofProcess } = config();
  const addresses = ofProcess.length > 0 ? ofProcess : ofCluster;
  const known = proxies.get(clusterId);
  if (known !== undefined) {
    known.listenOn(addresses);
    return;
  }
  const { zone, bodyLimit, accessLog, hopSecret: secret, hopSecretFile } = config();
  const input = { clusterId, zone, bodyLimit, accessLog, holdBounds: holdBounds() };
  const proxy = new ClusterProxy(
    { ...input, hopSecret: hopSecret(secret, hopSecretFile) },
    platform,
  );
  proxies.set(clusterId, proxy);
  await proxy.open(addresses);
}

function holdBounds(): HoldBounds {
  const { heldPerRepl, heldBytesPerRepl, heldPerCluster, heldBytesPerCluster } = config();
  return {
    perRepl: heldPerRepl,
    bytesPerRepl: heldBytesPerRepl,
    perCluster: heldPerCluster,
    bytesPerCluster: heldBytesPerCluster,
  };
}

export async function statuses(): Promise<ProxyStatus[]> {
  const answers = await Promise.allSettled([...proxies.values()].map((proxy) => proxy.status()));
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
}

/** Why this process's visitors are not served; null when they are. */
export function whyUnready(): string | null {
  if (!scanned) return "the local clusters were not read yet";
  for (const proxy of proxies.values()) {
    const reason = proxy.whyUnready();
    if (reason !== null) return reason;
  }
  return null;
}

export async function closeFleet(deadlineMs: number): Promise<void> {
  const endsAt = performance.now() + deadlineMs;
  clearInterval(timer);
  await scanning;
  const all = [...proxies.values()];
  // What a visitor of one asked for may come from another: none closes before all visitors have theirs.
  if (all.length > 1) await Promise.all(all.map((proxy) => proxy.drainVisitors(deadlineMs)));
  const leftMs = Math.max(0, endsAt - performance.now());
  await Promise.all(all.map((proxy) => proxy.close(leftMs)));
  proxies.clear();
  await listener?.close();
}
