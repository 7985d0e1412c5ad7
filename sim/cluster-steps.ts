import { decide as routeRequest } from "../proxy/core/route";
import { boot, changeRoute, settleStaged, stopContainer } from "./deliver";
import { visitorsRoute } from "./requests";
import type { Rules } from "./rules";
import { attempt, spend, type Visit } from "./step";
import { telling, Violation } from "./violation";
import {
  at,
  clusterName,
  isQuiet,
  isSameRow,
  type LogEntry,
  NO_FILES,
  runs,
  withCluster,
  withFiles,
  type World,
} from "./world";

/** Everything that can happen in a cluster of its own accord. */
export function clusterSteps(world: World, index: number, rules: Rules, visit: Visit): void {
  hear(world, index, rules, visit);
  attend(world, index, rules, visit);
  serve(world, index, visit);
  fail(world, index, visit);
}

/** A cluster hears of the log, entry by entry, in any order; its proxy hears of its rows. */
function hear(world: World, index: number, rules: Rules, visit: Visit): void {
  const { row, seen } = at(world.clusters, index);
  for (const entry of world.log) {
    const story = (): string =>
      `${clusterName(index)} reads in the log that generation ${entry.generation} is in ${clusterName(entry.to)}`;
    const heard = telling(story, () => applyLog(world, index, entry, rules));
    if (heard !== world) visit(story, heard);
  }
  if (seen === null || !isSameRow(seen, row)) {
    attempt(
      visit,
      () => `the proxy of ${clusterName(index)} hears that the route is ${row.state}`,
      () => withCluster(world, index, { seen: row }),
    );
  }
}

export function applyLog(
  world: World,
  index: number,
  { generation, to }: LogEntry,
  rules: Rules,
): World {
  const { row } = at(world.clusters, index);
  if (to === index) return changeRoute(world, index, { kind: "activate", generation }, rules).world;
  const isKnown = row.state !== "none" || row.fence > 0 || row.generation > 0;
  if (!isKnown) return world;
  return changeRoute(world, index, { kind: "tombstone", generation, to: clusterName(to) }, rules)
    .world;
}

/** What a cluster does with its containers of its own accord. */
function attend(world: World, index: number, rules: Rules, visit: Visit): void {
  const name = clusterName(index);
  const stopped = stopFrozen(world, index, rules);
  if (stopped) attempt(visit, () => `${name} stops its frozen container`, stopped);
  const drained = stopRetired(world, index, rules);
  if (drained) attempt(visit, () => `${name} stops a container that it has replaced`, drained);
  const ended = endLease(world, index, rules);
  if (ended) attempt(visit, () => `the boot lease in ${name} ends`, ended);
  const booted = finishBoot(world, index, rules);
  if (booted) attempt(visit, () => `the slow boot in ${name} goes on`, booted);
  const settled = settleStaged(world, index, rules);
  if (settled !== world) visit(() => `${name} asks how its move was decided`, settled);
  const { row, running, files } = at(world.clusters, index);
  if (row.state === "tombstone" && world.left.naps > 0) {
    const { generation } = row;
    attempt(
      visit,
      () => `${name} lets its tombstone go`,
      () => changeRoute(spend(world, "naps"), index, { kind: "forget", generation }, rules).world,
    );
  }
  if (row.state !== "active") return;
  const deployed = deployRelease(world, index, rules);
  if (deployed && world.left.deploys > 0) {
    attempt(
      visit,
      () => `a release is deployed in ${name}`,
      () => spend(deployed(), "deploys"),
    );
  }
  if (!runs(at(world.clusters, index), row.generation)) {
    if (files[row.generation] === NO_FILES) return;
    attempt(
      visit,
      () => `${name} wakes the app`,
      () =>
        withCluster(world, index, { running: running | (1 << row.generation), stoppedForMove: 0 }),
    );
  } else if (world.left.naps > 0 && isQuiet(at(world.clusters, index), row.generation)) {
    attempt(
      visit,
      () => `${name} puts the app to sleep`,
      () => stopContainer(spend(world, "naps"), index, row.generation),
    );
  }
}

export function finishBoot(world: World, index: number, rules: Rules): (() => World) | undefined {
  const { booting } = at(world.clusters, index);
  const move = world.moves.find(({ generation }) => booting !== 0 && generation === booting);
  return move && (() => boot(world, move, rules).world);
}

/** A release takes the place of another, and is acknowledged: nothing may be lost of it. */
export function deployRelease(
  world: World,
  index: number,
  rules: Rules,
): (() => World) | undefined {
  const cluster = at(world.clusters, index);
  const { generation } = cluster.row;
  if (!rules.mayDeploy(cluster.row, generation) || !isQuiet(cluster, generation)) return undefined;
  if (cluster.files[generation] === NO_FILES) return undefined;
  return () => {
    if (cluster.files[generation] !== world.writes) {
      throw new Violation(`a release comes to ${clusterName(index)}, which lacks the one before`);
    }
    const writes = world.writes + 1;
    return { ...withCluster(world, index, withFiles(cluster, generation, writes)), writes };
  };
}

export function stopFrozen(world: World, index: number, rules: Rules): (() => World) | undefined {
  const cluster = at(world.clusters, index);
  const { generation, state } = cluster.row;
  if (state !== "frozen" || !runs(cluster, generation)) return undefined;
  if (rules.stopNeedsAcks && !isQuiet(cluster, generation)) return undefined;
  return () =>
    withCluster(stopContainer(world, index, generation), index, { stoppedForMove: generation });
}

export function stopRetired(world: World, index: number, rules: Rules): (() => World) | undefined {
  const cluster = at(world.clusters, index);
  for (let generation = 1; generation < cluster.files.length; generation++) {
    if (generation === cluster.row.generation && cluster.row.state !== "none") continue;
    if (!runs(cluster, generation)) continue;
    if (rules.stopNeedsAcks && !isQuiet(cluster, generation)) continue;
    return () => stopContainer(world, index, generation);
  }
  return undefined;
}

export function endLease(world: World, index: number, rules: Rules): (() => World) | undefined {
  const { row, leased } = at(world.clusters, index);
  const isKept = world.moves.some((move) => move.verified && move.generation === row.generation);
  if (!leased || row.state !== "staged" || isKept) return undefined;
  const { generation } = row;
  return () => changeRoute(world, index, { kind: "lease_ended", generation }, rules).world;
}

/** A request begins where a proxy lets it, and ends with a write that the app acknowledges. */
function serve(world: World, index: number, visit: Visit): void {
  const cluster = at(world.clusters, index);
  if (cluster.inFlight !== 0) {
    attempt(
      visit,
      () => `the request in ${clusterName(index)} is answered`,
      () => answerRequest(world, index),
    );
  } else if (world.left.requests > 0 && cluster.seen !== null) {
    const route = visitorsRoute(cluster);
    if (route === undefined || routeRequest(route, 0, 0).action !== "serve") return;
    attempt(
      visit,
      () => `a request begins in ${clusterName(index)} at generation ${route.generation}`,
      () => withCluster(spend(world, "requests"), index, { inFlight: route.generation }),
    );
  }
}

/** An acknowledged write is in the files that the next request sees, or it is lost. */
export function answerRequest(world: World, index: number): World {
  const cluster = at(world.clusters, index);
  const { inFlight: generation, files } = cluster;
  const done = { ...cluster, inFlight: 0 };
  if (!world.hasFiles) return withCluster(world, index, done);
  if (files[generation] !== world.writes) {
    throw new Violation(
      `the app in ${clusterName(index)} writes to files that lack an acknowledged write`,
    );
  }
  const writes = world.writes + 1;
  return { ...withCluster(world, index, withFiles(done, generation, writes)), writes };
}

/** A host ends with all that runs there, or its proxy alone; what is on disk stays. */
function fail(world: World, index: number, visit: Visit): void {
  if (world.left.failures === 0) return;
  const { seen, running } = at(world.clusters, index);
  const spent = spend(world, "failures");
  if (seen !== null) {
    attempt(
      visit,
      () => `the proxy of ${clusterName(index)} ends`,
      () => withCluster(spent, index, { seen: null, inFlight: 0 }),
    );
  }
  if (running !== 0) {
    attempt(
      visit,
      () => `the host of ${clusterName(index)} fails and comes back`,
      () => withCluster(spent, index, { seen: null, inFlight: 0, running: 0, booting: 0 }),
    );
  }
}
