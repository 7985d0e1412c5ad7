import { api } from "encore.dev/api";
import log from "encore.dev/log";

import { untilOpen } from "./local";
import { config } from "./settings";
import type { ClusterStore } from "./store";
import { forgetHits, quietTombstones, type TombstoneAges, tombstones } from "./store-tombstones";

interface ClusterRequest {
  clusterId: string;
}

interface TombstoneList {
  items: {
    clusterId: string;
    replId: string;
    name: string;
    owner: string;
    generation: number;
    to: string;
    since: string;
    hits: number;
    lastHitAt: string | null;
    goesAt: string;
  }[];
}

function ages(): TombstoneAges {
  return { minAgeMs: config().tombstoneMinAgeMs, quietMs: config().tombstoneQuietMs };
}

/** List where a cluster still forwards visitors of repls that have moved, the latest first. */
export const listTombstones = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/tombstones" },
  async ({ clusterId }: ClusterRequest): Promise<TombstoneList> => {
    await untilOpen(clusterId);
    const found = await tombstones(clusterId, ages());
    const items = found.map(({ since, lastHitAt, goesAt, ...tombstone }) => ({
      clusterId,
      ...tombstone,
      since: since.toISOString(),
      lastHitAt: lastHitAt?.toISOString() ?? null,
      goesAt: goesAt.toISOString(),
    }));
    return { items };
  },
);

/**
 * Lets go of tombstones that nobody uses. Whoever comes all the same is not failed: the proxy asks the
 * authority where the repl lives.
 */
export async function forgetTombstones(store: ClusterStore, kept = ages()): Promise<number> {
  const { clusterId } = store;
  const quiet = await quietTombstones(clusterId, kept);
  for (const { replId, generation } of quiet) {
    await store.decideRoute(replId, { kind: "forget", generation });
  }
  if (quiet.length > 0) log.info("tombstones are gone", { clusterId, count: quiet.length });
  await forgetHits(clusterId);
  return quiet.length;
}
