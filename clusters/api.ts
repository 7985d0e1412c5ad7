import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";

import { unreadyReasons } from "../shared/hosting";
import { applyChange, checkCluster, type ClusterChange, type ClusterState } from "./core/cluster";
import { checkReplName } from "./core/names";
import type { DataMode, Policy } from "./core/placement";
import { config } from "./settings";
import * as storedClusters from "./store-clusters";
import * as storedRepls from "./store-repls";

/** A failure domain that runs repls. */
export interface Cluster {
  id: string;
  /** `cordoned`: serves what it has and is given nothing new. */
  state: ClusterState;
  /** Addresses that the name servers answer for repls that live here. */
  ingress: string[];
  /** The port that visitors use on `ingress`. */
  httpPort: number;
  /** What its proxy binds: `127.0.1.1:8080`, `[::1]:8080`. */
  listen: string[];
  /** Where its control API is; null when the process that serves this API serves it too. */
  apiUrl: string | null;
  /** Its deployment's Ed25519 public key, which signs its answers; null without an `apiUrl`. */
  publicKey: string | null;
  /** How many repls live here. */
  repls: number;
}

/** What a repl keeps. */
export interface ReplData {
  /**
   * `files`: it writes into its folder what must not be lost, so it is handed over. `none`: it keeps nothing
   * there, so its copies may overlap. `auto`: whether it has written anything is looked at for each move.
   */
  mode: DataMode;
}

/** One hosted app. */
export interface Repl {
  id: string;
  name: string;
  owner: string;
  /** How it is moved: `auto` as its data asks for. */
  policy: Policy;
  data: ReplData;
  /** The cluster it lives in. */
  clusterId: string;
  /** Fencing token of its placement; rises with every move. */
  generation: number;
  /** ISO 8601. */
  createdAt: string;
  /** The name visitors use. */
  host: string;
}

interface AddClusterRequest {
  id: string & MaxLen<31>;
  ingress: string[] & (MinLen<1> & MaxLen<16>);
  httpPort: number & (Min<1> & Max<65535>);
  listen: string[] & MaxLen<16>;
  apiUrl?: string & MaxLen<253>;
  /** Needed with `apiUrl`: the cluster's `deployment-key.pub`. */
  publicKey?: string & MaxLen<64>;
}

interface ClusterList {
  items: Cluster[];
}

interface SetClusterRequest {
  id: string;
  state?: ClusterState;
  ingress?: string[] & (MinLen<1> & MaxLen<16>);
  listen?: string[] & MaxLen<16>;
  /** Pins another key, from now on. */
  publicKey?: string & MaxLen<64>;
}

interface ClusterRequest {
  id: string;
}

interface CreateReplRequest {
  name: string & (MinLen<1> & MaxLen<32>);
  owner: string & (MinLen<1> & MaxLen<32>);
  /** The cluster to live in; chosen when absent. */
  cluster?: string & MaxLen<31>;
  policy?: Policy;
  data?: ReplData;
}

interface ListReplsRequest {
  /** Only the repls of this owner. */
  owner?: string;
}

interface ReplList {
  items: Repl[];
}

interface ReplRequest {
  replId: string;
}

interface FindReplRequest {
  owner: string;
  name: string;
}

interface SetReplRequest {
  replId: string;
  /** What is absent stays as it is. */
  policy?: Policy;
  data?: ReplData;
}

/** Register a cluster. Repeating it with the same body answers the same. */
export const addCluster = api(
  { expose: true, auth: true, method: "POST", path: "/v1/clusters" },
  async (request: AddClusterRequest): Promise<Cluster> => {
    const { id, ingress, httpPort, listen, apiUrl, publicKey } = request;
    const cluster = {
      id,
      state: "active" as const,
      ingress,
      httpPort,
      listen,
      apiUrl: apiUrl ?? null,
      publicKey: publicKey ?? null,
      removed: false,
    };
    refuse(checkCluster(cluster));
    if (!(await storedClusters.addCluster(cluster))) {
      throw APIError.alreadyExists(
        `Cannot add cluster "${id}": it exists with other addresses or another key; change it or remove it first`,
      );
    }
    return requireCluster(id);
  },
);

/** List all clusters. */
export const listClusters = api(
  { expose: true, auth: true, method: "GET", path: "/v1/clusters" },
  async (): Promise<ClusterList> => ({ items: await storedClusters.listClusters() }),
);

/** Cordon a cluster, or change its addresses. What is left out stays as it is. */
export const setCluster = api(
  { expose: true, auth: true, method: "PATCH", path: "/v1/clusters/:id" },
  async ({ id, ...wanted }: SetClusterRequest): Promise<Cluster> => {
    const { state, ingress, listen, publicKey } = wanted;
    const change: ClusterChange = {
      ...(state && { state }),
      ...(ingress && { ingress }),
      ...(listen && { listen }),
      ...(publicKey && { publicKey }),
    };
    const fault = await storedClusters.changeCluster(id, (cluster) => {
      const changed = applyChange(cluster, change);
      return { changed, fault: checkCluster(changed) };
    });
    if (fault === "not_found") throw noCluster(id);
    refuse(fault);
    return requireCluster(id);
  },
);

/** Forget a cluster. Refused while repls live there. */
export const removeCluster = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/clusters/:id" },
  async ({ id }: ClusterRequest): Promise<void> => {
    const fault = await storedClusters.removeCluster(id);
    if (fault === "not_found") throw noCluster(id);
    if (fault) throw APIError.failedPrecondition(`Cannot remove cluster "${id}": ${fault}`);
  },
);

/** Create a repl and place it. */
export const createRepl = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls" },
  async ({ name, owner, cluster, policy, data }: CreateReplRequest): Promise<Repl> => {
    refuse(checkReplName(name, owner));
    const created = await storedRepls.createRepl({
      name,
      owner,
      cluster,
      policy: policy ?? "auto",
      dataMode: data?.mode,
    });
    switch (created.outcome) {
      case "created":
        return withHost(created.repl);
      case "taken":
        throw APIError.alreadyExists(
          `Cannot create repl "${name}": "${owner}" has one of that name`,
        );
      case "no_cluster":
        throw APIError.failedPrecondition(`Cannot place repl "${name}": ${created.reason}`);
    }
  },
);

/** List repls, all or those of one owner. */
export const listRepls = api(
  { expose: true, auth: true, method: "GET", path: "/v1/repls" },
  async ({ owner }: ListReplsRequest): Promise<ReplList> => {
    const repls = await storedRepls.listRepls(owner ?? null);
    return { items: repls.map(withHost) };
  },
);

/** Get one repl by its id. */
export const getRepl = api(
  { expose: true, auth: true, method: "GET", path: "/v1/repls/:replId" },
  async ({ replId }: ReplRequest): Promise<Repl> => requireRepl(replId),
);

/** Get one repl by its owner and name. */
export const findRepl = api(
  { expose: true, auth: true, method: "GET", path: "/v1/repls/by-name/:owner/:name" },
  async ({ owner, name }: FindReplRequest): Promise<Repl> => {
    const repl = await storedRepls.findReplByName(owner, name);
    if (!repl) throw APIError.notFound(`"${owner}" has no repl named "${name}"`);
    return withHost(repl);
  },
);

/** Change how a repl is moved, or what it keeps. */
export const setRepl = api(
  { expose: true, auth: true, method: "PATCH", path: "/v1/repls/:replId" },
  async ({ replId, policy, data }: SetReplRequest): Promise<Repl> => {
    await storedRepls.setRepl(replId, { policy, dataMode: data?.mode });
    return requireRepl(replId);
  },
);

/** Delete a repl everywhere. Refused while it is being moved. */
export const deleteRepl = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/repls/:replId" },
  async ({ replId }: ReplRequest): Promise<void> => {
    const fault = await storedRepls.deleteRepl(replId);
    if (fault === "not_found") throw noRepl(replId);
    if (fault) throw APIError.failedPrecondition(`Cannot delete repl "${replId}": ${fault}`);
  },
);

interface Readiness {
  ready: boolean;
}

/** Whether this process can do its work; 503 with the reasons when it cannot. */
export const ready = api(
  { expose: true, method: "GET", path: "/v1/ready" },
  async (): Promise<Readiness> => {
    const reasons = await unreadyReasons();
    if (reasons.length > 0) throw APIError.unavailable(`Not ready: ${reasons.join("; ")}`);
    return { ready: true };
  },
);

interface Liveness {
  live: boolean;
}

/** Whether this process answers at all. */
export const live = api(
  { expose: true, method: "GET", path: "/v1/live" },
  async (): Promise<Liveness> => ({ live: true }),
);

async function requireCluster(id: string): Promise<Cluster> {
  const cluster = await storedClusters.findCluster(id);
  if (!cluster) throw noCluster(id);
  return cluster;
}

async function requireRepl(replId: string): Promise<Repl> {
  const repl = await storedRepls.findRepl(replId);
  if (!repl) throw noRepl(replId);
  return withHost(repl);
}

function withHost({ dataMode, ...repl }: storedRepls.ReplRow): Repl {
  const host = `${repl.name}.${repl.owner}.${config().zone}`;
  return { ...repl, data: { mode: dataMode }, host };
}

function refuse(fault: string | undefined): void {
  if (fault) throw APIError.invalidArgument(fault);
}

const noCluster = (id: string): APIError => APIError.notFound(`No cluster "${id}"`);
const noRepl = (id: string): APIError => APIError.notFound(`No repl "${id}"`);
