/** What the evacuation of a cluster asks of the authority. */
import { APIError, api } from "encore.dev/api";

import type { ClusterState } from "./core/cluster";
import type { Policy } from "./core/placement";
import { findCluster } from "./store-clusters";
import * as stored from "./store-evacuations";

interface ResidentsRequest {
  clusterId: string;
}

interface ResidentsResponse {
  /** Whether there is such a cluster. */
  found: boolean;
  /** Of before `items` were read: what is cordoned then gets no further ones. */
  state: ClusterState;
  items: {
    replId: string;
    name: string;
    owner: string;
    policy: Policy;
    /** A migration of it is open. */
    isMoving: boolean;
  }[];
}

/** Everything that lives in a cluster. */
export const residents = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/residents" },
  async ({ clusterId }: ResidentsRequest): Promise<ResidentsResponse> => {
    const cluster = await findCluster(clusterId);
    if (!cluster) return { found: false, state: "cordoned", items: [] };
    return { found: true, state: cluster.state, items: await stored.listResidents(clusterId) };
  },
);

interface CordonRequest {
  clusterId: string;
}

/** Place nothing in a cluster from now on. Repeating it changes nothing. */
export const cordon = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/cordon" },
  async ({ clusterId }: CordonRequest): Promise<void> => {
    if (!(await stored.cordon(clusterId))) throw APIError.notFound(`No cluster "${clusterId}"`);
  },
);

interface ChooseHomesRequest {
  from: string;
  /** The only place to go to; any when absent. */
  to?: string;
  replIds: string[];
}

interface ChooseHomesResponse {
  /** Without those that live elsewhere by now, or move. */
  chosen: {
    replId: string;
    clusterId: string;
  }[];
  /** Why none is chosen, "" otherwise. */
  reason: string;
}

/** Choose a new home for each of these repls of a cluster, level over all others. */
export const chooseHomes = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/choose-homes" },
  async ({ from, to, replIds }: ChooseHomesRequest): Promise<ChooseHomesResponse> => {
    const { chosen, reasons } = await stored.chooseHomes({ from, to: to ?? null, replIds });
    return { chosen: [...chosen], reason: reasons.join(", ") };
  },
);
