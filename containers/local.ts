import { setTimeout as delay } from "node:timers/promises";

import { APIError } from "encore.dev/api";

import { kickTail } from "./kick";

/** A cluster that was registered a moment ago is known here as soon as the log was read. */
const HEARSAY_MS = 3_000;
const LOOK_EVERY_MS = 10;

/** The clusters that this process serves; the tail of the log keeps it true (`LOCAL_CLUSTERS`). */
const local = new Set<string>();
/** Those of them whose leftovers of a former process are put in order. */
const open = new Set<string>();

export function localClusters(): readonly string[] {
  return [...local].sort();
}

export function isLocal(clusterId: string): boolean {
  return local.has(clusterId);
}

export function setLocalClusters(clusterIds: readonly string[]): void {
  local.clear();
  for (const clusterId of clusterIds) local.add(clusterId);
}

/** Those whose containers are known: before, one that runs on looks as if it were gone. */
export function openClusters(): readonly string[] {
  return localClusters().filter((clusterId) => open.has(clusterId));
}

export function markOpen(clusterId: string): void {
  open.add(clusterId);
}

/** The refusal for whoever asks this process about another's cluster. */
export function notLocal(clusterId: string): APIError {
  const served = localClusters().join(", ") || "none yet";
  return APIError.failedPrecondition(
    `Cannot reach cluster "${clusterId}" here: this process serves ${served}`,
  );
}

/** Resolves when the cluster is served here and in order; rejects when it is not, after a while. */
export async function untilOpen(clusterId: string): Promise<void> {
  const end = performance.now() + HEARSAY_MS;
  while (!(local.has(clusterId) && open.has(clusterId))) {
    if (performance.now() > end) throw notLocal(clusterId);
    kickTail();
    await delay(LOOK_EVERY_MS);
  }
}
