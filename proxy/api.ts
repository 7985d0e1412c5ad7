import { api } from "encore.dev/api";

import { untilDrained } from "../shared/hosting";
import { statuses } from "./fleet";

/** One proxy instance of one cluster, in this process. */
interface ProxyInstance {
  clusterId: string;
  instanceId: string;
  /** The addresses that it accepts visitors on. */
  listening: string[];
  /** Repls that it knows. */
  routes: number;
  /** The version of the routes that it works with. */
  ackedVersion: number;
  connections: number;
  inFlight: number;
  /** Requests that wait for a route, a start or an answer. */
  held: number;
  /** What they have together, as far as it was read. */
  heldBytes: number;
  /** Requests that were answered 503 since its worker started, since too many waited. */
  holdsRefused: number;
  /** Since its worker started. */
  requests: number;
  /** Of these, sent on to another cluster. */
  forwarded: number;
}

interface ProxyInstances {
  items: ProxyInstance[];
}

interface ClusterRequest {
  clusterId: string;
}

/** List the proxies that this process has of a cluster. */
export const listInstances = api(
  { expose: false, method: "POST", path: "/v1/internal/proxy/instances" },
  async ({ clusterId }: ClusterRequest): Promise<ProxyInstances> => {
    const ours = (await statuses()).filter((status) => status.clusterId === clusterId);
    const items = ours.map(({ version, listening, ...status }) => ({
      ...status,
      listening: [...listening],
      ackedVersion: version,
    }));
    return { items };
  },
);

/** Answers when the proxies of this process have drained. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/proxy/lifeline" },
  async (): Promise<void> => untilDrained("proxy"),
);
