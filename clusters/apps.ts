/** What runs in the clusters, asked and commanded from one place, wherever a cluster is. */
import { api } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";
import { containers } from "~encore/clients";

import { currentTraceparent } from "../shared/trace";
import { atHome, commandsOf, everywhere, type Unreachable } from "./homes";

const DEFAULT_LINES = 100;
/** Files are copied, and an app may take its whole start time. */
const DEPLOY_TIMEOUT_MS = 600_000;
/** A stop, and a start that may take long. */
const RESTART_TIMEOUT_MS = 300_000;
/** A cluster that was added a moment ago is waited for 3 s; whoever looks at the whole waits for the slowest. */
const READ_TIMEOUT_MS = 5_000;

/** One running incarnation of a repl in a cluster. */
export interface Container {
  clusterId: string;
  replId: string;
  /** Of the placement that it belongs to. */
  generation: number;
  state: "starting" | "running" | "stopping" | "stopped" | "failed";
  pid: number | null;
  /** Where it was found listening. */
  port: number | null;
  /** When it began to listen, ISO 8601. */
  startedAt: string | null;
  /** Why it ended. */
  reason: string | null;
}

/** One proxy instance of one cluster. */
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

interface DeployRequest {
  replId: string;
  /** An absolute path on the machine of the repl's cluster; all of it but .git is copied. */
  directory: string & (MinLen<1> & MaxLen<4096>);
  /** How it starts; found out from its files when absent. */
  command?: string & (MinLen<1> & MaxLen<4096>);
}

/** A release that runs. */
export interface DeployResponse {
  /** Counts the deploys of the repl, from 1. */
  release: number;
  command: string;
  /** What it was recognised as. */
  framework: string;
  clusterId: string;
}

interface LogsRequest {
  replId: string;
  /** How many at most, the last ones; 100 when absent. */
  lines?: number & (Min<1> & Max<10000>);
  /** Only what was written after this position: `next` of the page before. */
  after?: number & Min<0>;
}

interface LogLine {
  /** ISO 8601; null where the app wrote it, which does not say when. */
  at: string | null;
  line: string;
}

interface LogsResponse {
  items: LogLine[];
  next: number;
}

interface ContainerList {
  items: Container[];
  /** Clusters that did not answer, and why. */
  unreachable: Unreachable[];
}

interface ProxyList {
  items: ProxyInstance[];
  /** Clusters that did not answer, and why. */
  unreachable: Unreachable[];
}

interface ReplRequest {
  replId: string;
}

interface ClusterRequest {
  id: string;
}

/** Signed requests that a cluster's deployment has had since it started. */
export interface CommandCounts {
  accepted: number;
  refused: { reason: string; count: number }[];
}

type Fields<Call extends (...parameters: never) => unknown> = Parameters<Call>[0];
type Deploy = Fields<typeof containers.deploy>;
type Logs = Fields<typeof containers.logs>;
type Home = Fields<typeof containers.stop>;
type OfCluster = Fields<typeof containers.listContainers>;

/** Deploy a directory: copy it to the repl's cluster, start it, answer when it listens. */
export const deploy = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/repls/:replId/release" },
  async ({ replId, directory, command }: DeployRequest): Promise<DeployResponse> => {
    return await atHome(replId, async (home) => {
      const send = commandsOf(home.clusterId, DEPLOY_TIMEOUT_MS);
      const order = { ...home, directory, command, traceparent: currentTraceparent() };
      return await send("deploy", (fields: Deploy) => containers.deploy(fields))(order);
    });
  },
);

/** Read what a repl's app wrote to its output, and why it started and ended. */
export const logs = api(
  { expose: true, auth: true, method: "GET", path: "/v1/repls/:replId/logs" },
  async ({ replId, lines, after }: LogsRequest): Promise<LogsResponse> => {
    return await atHome(replId, async ({ clusterId }) => {
      const send = commandsOf(clusterId, READ_TIMEOUT_MS);
      const page = { clusterId, replId, lines: lines ?? DEFAULT_LINES, after: after ?? 0 };
      return await send("logs", (fields: Logs) => containers.logs(fields))(page);
    });
  },
);

/** Stop a repl's container and start it again. */
export const restart = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls/:replId/restart" },
  async ({ replId }: ReplRequest): Promise<void> => {
    await atHome(replId, async (home) => {
      const send = commandsOf(home.clusterId, RESTART_TIMEOUT_MS);
      const order = { ...home, traceparent: currentTraceparent() };
      await send("restart", (fields: Home) => containers.restart(fields))(order);
    });
  },
);

/** Put a repl to sleep: its container is stopped until the next request. */
export const stop = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls/:replId/stop" },
  async ({ replId }: ReplRequest): Promise<void> => {
    await atHome(replId, async (home) => {
      const send = commandsOf(home.clusterId, RESTART_TIMEOUT_MS);
      const order = { ...home, traceparent: currentTraceparent() };
      await send("stop", (fields: Home) => containers.stop(fields))(order);
    });
  },
);

/** List the containers of all clusters. */
export const listContainers = api(
  { expose: true, auth: true, method: "GET", path: "/v1/containers" },
  async (): Promise<ContainerList> => {
    return await everywhere(async (clusterId) => {
      const send = commandsOf(clusterId, READ_TIMEOUT_MS);
      const list = send("listContainers", (of: OfCluster) => containers.listContainers(of));
      return (await list({ clusterId })).items;
    });
  },
);

/** List the proxies of all clusters. */
export const listProxies = api(
  { expose: true, auth: true, method: "GET", path: "/v1/proxies" },
  async (): Promise<ProxyList> => {
    return await everywhere(async (clusterId) => {
      const send = commandsOf(clusterId, READ_TIMEOUT_MS);
      const list = send("listProxies", (of: OfCluster) => containers.listProxies(of));
      return (await list({ clusterId })).items;
    });
  },
);

/** Count the signed requests that a cluster's deployment has accepted, and refused by reason. */
export const countCommands = api(
  { expose: true, auth: true, method: "GET", path: "/v1/clusters/:id/commands" },
  async ({ id }: ClusterRequest): Promise<CommandCounts> => {
    const send = commandsOf(id, READ_TIMEOUT_MS);
    return await send("countCommands", (of: OfCluster) => containers.countCommands(of))({
      clusterId: id,
    });
  },
);
