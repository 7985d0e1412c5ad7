import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";

import { unreadyReasons, untilDrained } from "../shared/hosting";
import { applyChange, checkCluster, type ClusterChange, type ClusterState } from "./core/cluster";
import type { Decision, DecisionStatus } from "./core/decision";
import { checkHostname, checkReplName } from "./core/names";
import type { LogEntry, Policy } from "./core/placement";
import { config } from "./settings";
import * as store from "./store";
import { readTail } from "./tail";

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
  /** How many repls live here. */
  repls: number;
}

/** One hosted app. */
export interface Repl {
  id: string;
  name: string;
  owner: string;
  /** How it may be moved: `auto` looks at what it does. */
  policy: Policy;
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
}

interface ClusterList {
  items: Cluster[];
}

interface SetClusterRequest {
  id: string;
  state?: ClusterState;
  ingress?: string[] & (MinLen<1> & MaxLen<16>);
  listen?: string[] & MaxLen<16>;
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
  policy: Policy;
}

/** Register a cluster. Repeating it with the same body answers the same. */
export const addCluster = api(
  { expose: true, auth: true, method: "POST", path: "/v1/clusters" },
  async ({ id, ingress, httpPort, listen, apiUrl }: AddClusterRequest): Promise<Cluster> => {
    const cluster = {
      id,
      state: "active" as const,
      ingress,
      httpPort,
      listen,
      apiUrl: apiUrl ?? null,
      removed: false,
    };
    refuse(checkCluster(cluster));
    if (!(await store.addCluster(cluster))) {
      throw APIError.alreadyExists(
        `Cannot add cluster "${id}": it exists with other addresses; change it or remove it first`,
      );
    }
    return requireCluster(id);
  },
);

/** List all clusters. */
export const listClusters = api(
  { expose: true, auth: true, method: "GET", path: "/v1/clusters" },
  async (): Promise<ClusterList> => ({ items: await store.listClusters() }),
);

/** Cordon a cluster, or change its addresses. What is left out stays as it is. */
export const setCluster = api(
  { expose: true, auth: true, method: "PATCH", path: "/v1/clusters/:id" },
  async ({ id, state, ingress, listen }: SetClusterRequest): Promise<Cluster> => {
    const change: ClusterChange = {
      ...(state && { state }),
      ...(ingress && { ingress }),
      ...(listen && { listen }),
    };
    const fault = await store.changeCluster(id, (cluster) => {
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
    const fault = await store.removeCluster(id);
    if (fault === "not_found") throw noCluster(id);
    if (fault) throw APIError.failedPrecondition(`Cannot remove cluster "${id}": ${fault}`);
  },
);

/** Create a repl and place it. */
export const createRepl = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls" },
  async ({ name, owner, cluster, policy }: CreateReplRequest): Promise<Repl> => {
    refuse(checkReplName(name, owner));
    const created = await store.createRepl({ name, owner, cluster, policy: policy ?? "auto" });
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
    const repls = await store.listRepls(owner ?? null);
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
    const repl = await store.findReplByName(owner, name);
    if (!repl) throw APIError.notFound(`"${owner}" has no repl named "${name}"`);
    return withHost(repl);
  },
);

/** Change how a repl may be moved. */
export const setRepl = api(
  { expose: true, auth: true, method: "PATCH", path: "/v1/repls/:replId" },
  async ({ replId, policy }: SetReplRequest): Promise<Repl> => {
    await store.setPolicy(replId, policy);
    return requireRepl(replId);
  },
);

/** Delete a repl everywhere. Refused while it is being moved. */
export const deleteRepl = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/repls/:replId" },
  async ({ replId }: ReplRequest): Promise<void> => {
    const fault = await store.deleteRepl(replId);
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

interface TailRequest {
  /** The last `seq` that the caller has; 0 for all. */
  after: number & Min<0>;
  /** How long to wait for an entry when there is none yet, in milliseconds. */
  waitMs: number & (Min<0> & Max<30000>);
  limit: number & (Min<1> & Max<1000>);
}

interface TailResponse {
  items: LogEntry[];
  /** Where to go on from: the last `seq` in `items`, or `after` when there is none. */
  last: number;
}

/** Read the placement log; waits for the next entry, and is answered the moment it is written. */
export const tail = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/tail" },
  async ({ after, waitMs, limit }: TailRequest): Promise<TailResponse> => {
    const items = await readTail({ after, waitMs, limit });
    if (items === "too_many") {
      throw APIError.resourceExhausted("Cannot read the placement log: too many readers wait");
    }
    if (items === "closed") {
      throw APIError.unavailable("Cannot read the placement log: this process is ending");
    }
    return { items, last: items.at(-1)?.seq ?? after };
  },
);

interface LookupRequest {
  replId?: string;
  name?: string;
  owner?: string;
  hostname?: string;
}

interface LookupResponse {
  found: boolean;
  replId: string;
  name: string;
  owner: string;
  clusterId: string;
  generation: number;
}

/** Where a repl lives, by its id, by owner and name, or by a custom hostname. */
export const lookup = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/lookup" },
  async ({ replId, name, owner, hostname }: LookupRequest): Promise<LookupResponse> => {
    const repl = await store.lookup({ replId, name, owner, hostname });
    if (!repl) {
      return { found: false, replId: "", name: "", owner: "", clusterId: "", generation: 0 };
    }
    return {
      found: true,
      replId: repl.id,
      name: repl.name,
      owner: repl.owner,
      clusterId: repl.clusterId,
      generation: repl.generation,
    };
  },
);

interface OpenMigrationRequest {
  migrationId: string;
  replId: string;
  toCluster: string;
  traceparent: string;
}

interface OpenMigrationResponse {
  replId: string;
  name: string;
  owner: string;
  policy: Policy;
  fromCluster: string;
  fromGeneration: number;
  /** The generation that the repl will have at its destination; burned even if this is aborted. */
  generation: number;
}

/** Open a migration and burn a generation for it. Repeating it answers the same. */
export const openMigration = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/open-migration" },
  async (request: OpenMigrationRequest): Promise<OpenMigrationResponse> => {
    const opened = await store.openMigration(request);
    if ("refused" in opened) {
      const message = `Cannot move repl "${request.replId}" to "${request.toCluster}": ${opened.reason}`;
      throw opened.refused === "unknown_repl"
        ? APIError.notFound(message)
        : APIError.failedPrecondition(message);
    }
    return opened.migration;
  },
);

interface DecideRequest {
  migrationId: string;
  decision: Decision;
  /** ISO 8601: a commit that comes later aborts instead (the destination's boot lease is over). */
  notAfter?: string;
  traceparent: string;
}

interface DecideResponse {
  /** What stands now, whoever decided it. */
  status: Decision;
  /** The log entry of the commit. */
  seq: number | null;
}

/** Decide a migration by compare-and-set: the first decision stands, for everybody and for ever. */
export const decide = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/decide" },
  async ({
    migrationId,
    decision,
    notAfter,
    traceparent,
  }: DecideRequest): Promise<DecideResponse> => {
    const decided = await store.decide({ migrationId, decision, notAfter, traceparent });
    if (!decided) {
      throw APIError.notFound(`Cannot commit migration "${migrationId}": it was never opened`);
    }
    return decided;
  },
);

interface GetDecisionRequest {
  migrationId: string;
}

interface GetDecisionResponse {
  status: DecisionStatus;
  seq: number | null;
  /** 0 when unknown. */
  generation: number;
}

/** How a migration stands. */
export const getDecision = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/get-decision" },
  async ({ migrationId }: GetDecisionRequest): Promise<GetDecisionResponse> =>
    store.findDecision(migrationId),
);

interface SetHostnameRequest {
  hostname: string;
  replId: string;
  present: boolean;
}

/** Let a custom hostname lead to a repl, or no longer. */
export const setHostname = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/set-hostname" },
  async ({ hostname, replId, present }: SetHostnameRequest): Promise<void> => {
    refuse(checkHostname(hostname));
    const fault = await store.setHostname({ hostname, replId, present });
    if (fault === "unknown_repl") throw noRepl(replId);
    if (fault === "taken") {
      throw APIError.alreadyExists(`Cannot add hostname "${hostname}": another repl has it`);
    }
  },
);

/** Stays pending until this service has drained, so that the process is not ended before. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/lifeline" },
  async (): Promise<void> => untilDrained("clusters"),
);

async function requireCluster(id: string): Promise<Cluster> {
  const cluster = await store.findCluster(id);
  if (!cluster) throw noCluster(id);
  return cluster;
}

async function requireRepl(replId: string): Promise<Repl> {
  const repl = await store.findRepl(replId);
  if (!repl) throw noRepl(replId);
  return withHost(repl);
}

function withHost(repl: store.ReplRow): Repl {
  return { ...repl, host: `${repl.name}.${repl.owner}.${config().zone}` };
}

function refuse(fault: string | undefined): void {
  if (fault) throw APIError.invalidArgument(fault);
}

const noCluster = (id: string): APIError => APIError.notFound(`No cluster "${id}"`);
const noRepl = (id: string): APIError => APIError.notFound(`No repl "${id}"`);
