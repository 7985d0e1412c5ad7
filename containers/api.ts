/** What the owner of an app may ask of its cluster, by way of the `clusters` service (docs/decisions/0011). */
import { api } from "encore.dev/api";
import { proxy } from "~encore/clients";

import type { Refusal } from "../shared/channel/signature";
import { withSpan } from "../shared/trace";
import { counts } from "./authenticate";
import type { ContainerState } from "./core/lifecycle";
import type { ContainerRef } from "./drivers/driver";
import { untilOpen } from "./local";
import { type LogLine, readLog } from "./logs";
import { deploy as deployDirectory, putToSleep, restartContainer } from "./releases";
import { clusterStore } from "./store";

/** A repl where the authority says that it lives. */
interface Home {
  clusterId: string;
  replId: string;
  /** Of the placement: a cluster that has not heard of it yet waits until it has. */
  generation: number;
  /** W3C trace context of the request, or "". */
  traceparent: string;
}

interface DeployRequest extends Home {
  directory: string;
  command?: string;
}

interface DeployResponse {
  release: number;
  command: string;
  framework: string;
  clusterId: string;
}

interface LogsRequest {
  clusterId: string;
  replId: string;
  lines: number;
  after: number;
}

interface LogsResponse {
  items: LogLine[];
  next: number;
}

interface ClusterRequest {
  clusterId: string;
}

interface ContainerList {
  items: {
    clusterId: string;
    replId: string;
    generation: number;
    state: ContainerState;
    pid: number | null;
    port: number | null;
    startedAt: string | null;
    reason: string | null;
  }[];
}

interface ProxyList {
  items: {
    clusterId: string;
    instanceId: string;
    listening: string[];
    routes: number;
    ackedVersion: number;
    connections: number;
    inFlight: number;
    held: number;
    heldBytes: number;
    holdsRefused: number;
    requests: number;
    forwarded: number;
  }[];
}

interface ChannelCounts {
  accepted: number;
  refused: { reason: Refusal; count: number }[];
}

async function traced<T>(step: string, home: Home, work: () => Promise<T>): Promise<T> {
  const { clusterId, replId, traceparent: parent } = home;
  const attributes = { "stele.cluster": clusterId, "stele.repl": replId };
  return await withSpan(`containers.${step}`, { parent, attributes }, work);
}

const refOf = ({ clusterId, replId, generation }: Home): ContainerRef => ({
  clusterId,
  replId,
  generation,
});

/** Copy a directory of this machine, start what is in it, answer when it listens. */
export const deploy = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/deploy" },
  async ({ directory, command, ...home }: DeployRequest): Promise<DeployResponse> => {
    return await traced("deploy", home, () => deployDirectory(refOf(home), directory, command));
  },
);

/** Read what an app wrote to its output. */
export const logs = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/logs" },
  async ({ clusterId, replId, lines, after }: LogsRequest): Promise<LogsResponse> => {
    await untilOpen(clusterId);
    return await readLog({ clusterId, replId }, lines, after);
  },
);

/** Stop a repl's container and start it again. */
export const restart = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/restart" },
  async (home: Home): Promise<void> => {
    await traced("restart", home, () => restartContainer(refOf(home)));
  },
);

/** Stop a repl's container until the next request. */
export const stop = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/stop" },
  async (home: Home): Promise<void> => {
    await traced("stop", home, () => putToSleep(refOf(home)));
  },
);

/** List the containers of a cluster. */
export const listContainers = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/list" },
  async ({ clusterId }: ClusterRequest): Promise<ContainerList> => {
    const rows = await clusterStore(clusterId).containers();
    const items = rows.map(
      ({ replId, generation, state, pid, upstreamPort, startedAt, reason }) => ({
        clusterId,
        replId,
        generation,
        state,
        pid,
        port: upstreamPort,
        startedAt: startedAt?.toISOString() ?? null,
        reason,
      }),
    );
    return { items };
  },
);

/** List the proxies of a cluster: they are of the same deployment. */
export const listProxies = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/proxies" },
  async ({ clusterId }: ClusterRequest): Promise<ProxyList> => {
    return await proxy.listInstances({ clusterId });
  },
);

/** How many signed requests this deployment has accepted and refused since it started. */
export const countCommands = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/count-commands" },
  async (_request: ClusterRequest): Promise<ChannelCounts> => {
    const { accepted, refused } = counts();
    const reasons = Object.entries(refused) as [Refusal, number][];
    return { accepted, refused: reasons.map(([reason, count]) => ({ reason, count })) };
  },
);
