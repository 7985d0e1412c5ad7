import { decide, decideWith, type Route } from "../proxy/core/route";
import { Violation } from "./violation";
import { at, type Cluster, clusterIndex, clusterName, runs, type World } from "./world";

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
 * wake (design section 4). The repl exists, so it is never 404, and it never goes round.
 */
export function checkRequests(world: World): void {
  for (let entry = 0; entry < world.clusters.length; entry++) followRequest(world, entry);
}

function followRequest(world: World, entry: number): void {
  let index = entry;
  let minGeneration = 0;
  for (let hops = 0; hops < MAX_STOPS; hops++) {
    const cluster = at(world.clusters, index);
    if (cluster.seen === null) return; // Its proxy is on its way back; another one, or a hold, has it.
    const route = visitorsRoute(cluster);
    const self = clusterName(index);
    let decision = decide(route, minGeneration, hops);
    if (decision.action === "ask") {
      const { clusterId, generation } = world.placement;
      const placement = { found: true, clusterId, generation };
      decision = decideWith({ self, placement }, route, minGeneration, hops);
    }
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
