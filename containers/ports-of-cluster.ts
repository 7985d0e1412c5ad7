import { config } from "./settings";
import { knownClusters } from "./store-registry";

export interface ClusterShare {
  readonly first: number;
  readonly count: number;
  /** The cluster's place in the order of registration, from 0. */
  readonly ordinal: number;
}

const shares = new Map<string, ClusterShare>();

/**
 * A cluster's part of the ports. It goes by the order of registration, which every process reads from
 * one log; so clusters that share a machine share no port, whoever serves them.
 */
export async function portRangeOf(clusterId: string): Promise<ClusterShare> {
  const known = shares.get(clusterId);
  if (known) return known;
  const clusters = await knownClusters();
  const ordinal = clusters.find(({ id }) => id === clusterId)?.ordinal ?? 0;
  const share = shareOf(ordinal);
  shares.set(clusterId, share);
  return share;
}

/** More clusters than parts begin again at the first: a port that is taken is passed over anyway. */
export function shareOf(ordinal: number): ClusterShare {
  const { ports, portsPerCluster } = config();
  const parts = Math.max(1, Math.floor((ports.last - ports.first + 1) / portsPerCluster));
  const count = Math.min(portsPerCluster, ports.last - ports.first + 1);
  return { first: ports.first + (ordinal % parts) * count, count, ordinal };
}
