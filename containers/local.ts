import { APIError } from "encore.dev/api";

/** The clusters that this process serves; the tail of the log keeps it true (`LOCAL_CLUSTERS`). */
const local = new Set<string>();

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

/** The refusal for whoever asks this process about another's cluster. */
export function notLocal(clusterId: string): APIError {
  const served = localClusters().join(", ") || "none yet";
  return APIError.failedPrecondition(
    `Cannot reach cluster "${clusterId}" here: this process serves ${served}`,
  );
}
