import { api } from "encore.dev/api";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";

import type { ContainerState } from "./core/lifecycle";
import { localClusters } from "./local";
import { type LogLine, readLog } from "./logs";
import { deploy as deployDirectory, localHome, putToSleep, restartContainer } from "./releases";
import { clusterStore } from "./store";

const DEFAULT_LINES = 100;

/** One running incarnation of a repl in a cluster. */
export interface Container {
  clusterId: string;
  replId: string;
  /** Of the placement that it belongs to. */
  generation: number;
  state: ContainerState;
  pid: number | null;
  /** Where it was found listening. */
  port: number | null;
  /** When it began to listen, ISO 8601. */
  startedAt: string | null;
  /** Why it ended. */
  reason: string | null;
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

interface LogsResponse {
  items: LogLine[];
  next: number;
}

interface ContainerList {
  items: Container[];
}

interface ReplRequest {
  replId: string;
}

/** Deploy a directory: copy it to the repl's cluster, start it, answer when it listens. */
export const deploy = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/repls/:replId/release" },
  async ({ replId, directory, command }: DeployRequest): Promise<DeployResponse> => {
    return await deployDirectory(replId, directory, command);
  },
);

/** Read what a repl's app wrote to its output, and why it started and ended. */
export const logs = api(
  { expose: true, auth: true, method: "GET", path: "/v1/repls/:replId/logs" },
  async ({ replId, lines, after }: LogsRequest): Promise<LogsResponse> => {
    const { clusterId } = await localHome(replId);
    return await readLog({ clusterId, replId }, lines ?? DEFAULT_LINES, after ?? 0);
  },
);

/** List the containers of the clusters that this process serves. */
export const listContainers = api(
  { expose: true, auth: true, method: "GET", path: "/v1/containers" },
  async (): Promise<ContainerList> => {
    const items: Container[] = [];
    for (const clusterId of localClusters()) {
      const rows = await clusterStore(clusterId).containers();
      items.push(
        ...rows.map(({ replId, generation, state, pid, upstreamPort, startedAt, reason }) => ({
          clusterId,
          replId,
          generation,
          state,
          pid,
          port: upstreamPort,
          startedAt: startedAt?.toISOString() ?? null,
          reason,
        })),
      );
    }
    return { items };
  },
);

/** Stop a repl's container and start it again. */
export const restart = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls/:replId/restart" },
  async ({ replId }: ReplRequest): Promise<void> => {
    await restartContainer(replId);
  },
);

/** Put a repl to sleep: its container is stopped until the next request. */
export const stop = api(
  { expose: true, auth: true, method: "POST", path: "/v1/repls/:replId/stop" },
  async ({ replId }: ReplRequest): Promise<void> => {
    await putToSleep(replId);
  },
);
