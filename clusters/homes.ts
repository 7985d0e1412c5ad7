import { APIError } from "encore.dev/api";

import { createCommands } from "../shared/channel/cluster";
import * as storedClusters from "./store-clusters";
import * as storedRepls from "./store-repls";

/** A repl that moves more often while one request waits is not worth chasing. */
const MAX_CHASES = 3;

/** Where a repl lives. */
export interface Home {
  readonly clusterId: string;
  readonly replId: string;
  readonly generation: number;
}

async function homeOf(replId: string): Promise<Home> {
  const repl = await storedRepls.findRepl(replId);
  if (!repl) throw APIError.notFound(`No repl "${replId}"`);
  return { clusterId: repl.clusterId, replId, generation: repl.generation };
}

/** Acts where the repl lives, and again at its next home when it has moved in between. */
export async function atHome<T>(replId: string, act: (home: Home) => Promise<T>): Promise<T> {
  let home = await homeOf(replId);
  for (let chases = 0; ; chases++) {
    try {
      return await act(home);
    } catch (error) {
      const now = await homeOf(replId);
      if (now.generation === home.generation || chases === MAX_CHASES) throw error;
      home = now;
    }
  }
}

/** The commands of clusters, wherever they are. */
export const commandsOf = createCommands(async (clusterId) => {
  const cluster = await storedClusters.findCluster(clusterId);
  if (!cluster) throw APIError.notFound(`No cluster "${clusterId}"`);
  return { clusterId, apiUrl: cluster.apiUrl, publicKey: cluster.publicKey };
});

/** A cluster that did not answer. */
export interface Unreachable {
  clusterId: string;
  reason: string;
}

/** What all clusters answer; one that is away does not hide the others. */
export async function everywhere<T>(
  ask: (clusterId: string) => Promise<readonly T[]>,
): Promise<{ items: T[]; unreachable: Unreachable[] }> {
  const clusters = await storedClusters.listClusters();
  const answers = await Promise.allSettled(clusters.map(({ id }) => ask(id)));
  const items: T[] = [];
  const unreachable: Unreachable[] = [];
  for (const [index, answer] of answers.entries()) {
    const clusterId = clusters[index]?.id ?? "";
    if (answer.status === "fulfilled") items.push(...answer.value);
    else unreachable.push({ clusterId, reason: (answer.reason as Error).message });
  }
  return { items, unreachable };
}
