import { type Decision, decide, decideWith, type Route } from "../proxy/core/route";
import { Violation } from "./violation";
import {
  at,
  type Cluster,
  clusterIndex,
  clusterName,
  type LogEntry,
  runs,
  type World,
} from "./world";

/** What a proxy goes by; undefined when it never heard of the repl. */
export function visitorsRoute(cluster: Cluster): Route | undefined {
  const { seen } = cluster;
  if (seen === null || seen.state === "none") return undefined;
  const { state, generation, peer } = seen;
  return { state, generation, peer: peer ?? "", awake: runs(cluster, generation) };
}

/** As many clusters as a path could visit without going in circles. */
const MAX_STOPS = 6;

/**
 * A request that enters anywhere, now, ends within three hops: served, held, or waiting for the app to
 * wake (design section 4). The repl exists, so it is never 404, and it never goes round. Proxies keep the
 * authority's answers for a while, so each may know of the commit before the last one.
 */
export function checkRequests(world: World): void {
  const { log } = world;
  const latest = at(log, log.length - 1);
  const before = log[log.length - 2];
  for (let entry = 0; entry < world.clusters.length; entry++) {
    followRequest(world, entry, latest);
    if (before) followRequest(world, entry, before);
  }
}

function followRequest(world: World, entry: number, remembered: LogEntry): void {
  let index = entry;
  let minGeneration = 0;
  for (let hops = 0; hops < MAX_STOPS; hops++) {
    const cluster = at(world.clusters, index);
    if (cluster.seen === null) return; // Its proxy is on its way back; another one, or a hold, has it.
    const decision = decideAt(world, index, { minGeneration, hops, remembered });
    if (decision.action === "refuse") {
      throw new Violation(
        `a request that enters in ${clusterName(entry)} ends as ${decision.error}`,
      );
    }
    if (decision.action !== "forward") return;
    minGeneration = decision.minGeneration;
    index = clusterIndex(decision.peer);
  }
  throw new Violation(`a request that enters in ${clusterName(entry)} goes round`);
}

interface Arrival {
  readonly minGeneration: number;
  readonly hops: number;
  /** What the proxy was told the last time it asked. */
  readonly remembered: LogEntry;
}

function decideAt(world: World, index: number, arrival: Arrival): Decision {
  const { minGeneration, hops, remembered } = arrival;
  const route = visitorsRoute(at(world.clusters, index));
  const first = decide(route, minGeneration, hops);
  if (first.action !== "ask") return first;
  const self = clusterName(index);
  const told = ({ generation, to }: LogEntry): Decision => {
    const placement = { found: true, clusterId: clusterName(to), generation };
    return decideWith({ self, placement }, route, minGeneration, hops);
  };
  const second = told(remembered);
  return second.action === "ask" ? told(at(world.log, world.log.length - 1)) : second;
}
