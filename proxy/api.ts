import { api } from "encore.dev/api";

import { untilDrained } from "../shared/hosting";
import { statuses } from "./fleet";

/** One proxy instance of one cluster, in this process. */
export interface ProxyInstance {
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
  /** Requests that wait for a route or a start. */
  held: number;
  /** Since its worker started. */
  requests: number;
  /** Of these, sent on to another cluster. */
  forwarded: number;
}

interface ProxyInstances {
  items: ProxyInstance[];
}

/** List the proxies of this process. */
export const listProxies = api(
  { expose: true, auth: true, method: "GET", path: "/v1/proxies" },
  async (): Promise<ProxyInstances> => {
    const items = (await statuses()).map(({ version, listening, ...status }) => ({
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
