/** Where visitors of repls that have moved are still forwarded, in all clusters. */
import { api } from "encore.dev/api";
import { containers } from "~encore/clients";

import { commandsOf, everywhere, type Unreachable } from "./homes";

const TIMEOUT_MS = 5_000;

/** A cluster forwards who still comes there for a repl that has moved. */
export interface Tombstone {
  /** The cluster that forwards. */
  clusterId: string;
  replId: string;
  name: string;
  owner: string;
  /** Of the placement that it points at. */
  generation: number;
  /** The cluster that it forwards to. */
  to: string;
  /** When it was last pointed at a home, ISO 8601 as all times here. */
  since: string;
  /** Requests that it has forwarded. */
  hits: number;
  lastHitAt: string | null;
  /** When it goes, unless it is used again. */
  goesAt: string;
}

interface TombstoneList {
  items: Tombstone[];
  /** Clusters that did not answer, and why. */
  unreachable: Unreachable[];
}

interface ListRequest {
  /** Only those of this repl. */
  replId?: string;
}

type OfCluster = Parameters<typeof containers.listTombstones>[0];

/** List the tombstones of all clusters, how often they were used, and when they go. */
export const listTombstones = api(
  { expose: true, auth: true, method: "GET", path: "/v1/tombstones" },
  async ({ replId }: ListRequest): Promise<TombstoneList> => {
    const { items, unreachable } = await everywhere(async (clusterId) => {
      const send = commandsOf(clusterId, TIMEOUT_MS);
      const list = send("listTombstones", (of: OfCluster) => containers.listTombstones(of));
      return (await list({ clusterId })).items;
    });
    const wanted = items.filter((item) => replId === undefined || item.replId === replId);
    return { items: wanted, unreachable };
  },
);
