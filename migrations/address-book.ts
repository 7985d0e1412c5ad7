import type { ClusterAddress } from "../shared/channel/cluster";
import { singleFlight } from "../shared/single-flight";

/** A changed address or key is used that soon. */
const FRESH_MS = 2_000;

export interface Registry {
  readonly find: (clusterId: string) => Promise<ClusterAddress>;
  /** Whether an error says that there is no such cluster any more. */
  readonly isGone: (error: unknown) => boolean;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Remembers where clusters are. When the registry is away the last answer stands: a move that is
 * committed goes on.
 */
export function createAddressBook({ find, isGone, now }: Registry): Registry["find"] {
  const known = new Map<string, { readonly address: ClusterAddress; readonly at: number }>();
  const ask = singleFlight(async (clusterId: string) => {
    const address = await find(clusterId);
    known.set(clusterId, { address, at: now() });
    return address;
  });
  return async (clusterId) => {
    const entry = known.get(clusterId);
    if (entry && now() - entry.at < FRESH_MS) return entry.address;
    return await ask(clusterId).catch((error: unknown) => {
      if (entry && !isGone(error)) return entry.address;
      throw error;
    });
  };
}
