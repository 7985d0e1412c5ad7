import { api, APIError } from "encore.dev/api";
import type { Max, Min } from "encore.dev/validate";

import { deploymentKey } from "../shared/channel/settings";
import { untilDrained } from "../shared/hosting";
import type { Decision, DecisionStatus } from "./core/decision";
import { checkHostname } from "./core/names";
import type { LogEntry, Policy } from "./core/placement";
import * as storedClusters from "./store-clusters";
import * as storedMigrations from "./store-migrations";
import * as storedRepls from "./store-repls";
import { readTail } from "./tail";

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
  /** The public key that the control plane signs its commands to clusters with. */
  controlKey: string;
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
    const last = items.at(-1)?.seq ?? after;
    return { items, last, controlKey: deploymentKey().publicKey };
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
    const repl = await storedRepls.lookup({ replId, name, owner, hostname });
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

interface ClusterAddressRequest {
  clusterId: string;
}

interface ClusterAddressResponse {
  clusterId: string;
  /** Null: the application's own `containers` service. */
  apiUrl: string | null;
  publicKey: string | null;
}

/** Where commands to a cluster go, and whose key must sign the answers. */
export const clusterAddress = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/address" },
  async ({ clusterId }: ClusterAddressRequest): Promise<ClusterAddressResponse> => {
    const cluster = await storedClusters.findCluster(clusterId);
    if (!cluster) throw APIError.notFound(`No cluster "${clusterId}"`);
    const { apiUrl, publicKey } = cluster;
    return { clusterId, apiUrl, publicKey };
  },
);

interface OpenMigrationRequest {
  migrationId: string;
  replId: string;
  toCluster: string;
  /** Refused when it lives elsewhere by now; from wherever it lives when absent. */
  fromCluster?: string;
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
    const opened = await storedMigrations.openMigration(request);
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
    const decided = await storedMigrations.decide({ migrationId, decision, notAfter, traceparent });
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
  /** What it moves, "" when unknown. */
  replId: string;
  fromCluster: string;
  toCluster: string;
}

/** How a migration stands. */
export const getDecision = api(
  { expose: false, method: "POST", path: "/v1/internal/clusters/get-decision" },
  async ({ migrationId }: GetDecisionRequest): Promise<GetDecisionResponse> =>
    storedMigrations.findDecision(migrationId),
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
    const refusal = checkHostname(hostname);
    if (refusal) throw APIError.invalidArgument(refusal);
    const fault = await storedRepls.setHostname({ hostname, replId, present });
    if (fault === "unknown_repl") throw APIError.notFound(`No repl "${replId}"`);
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
