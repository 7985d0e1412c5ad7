import { isBeforeCommit, isTerminal } from "../migrations/core/migration";
import { deliver, settleStaged } from "./deliver";
import type { Rules } from "./rules";
import {
  answerRequest,
  applyLog,
  endLease,
  finishBoot,
  stopFrozen,
  stopRetired,
} from "./cluster-steps";
import { answered, isUnderWay } from "./move-steps";
import { Violation } from "./violation";
import {
  at,
  clusterIndex,
  clusterName,
  isSameRow,
  NO_BUDGET,
  NO_FILES,
  withCluster,
  withMove,
  type World,
} from "./world";

/**
 * What happens next when nothing goes wrong any more: every message arrives, every proxy hears, every
 * coordinator goes on. Null when there is nothing left to do. Each step is one of `steps`, so a world
 * from which this comes to a good end is one that can always still come to it.
 */
export function heal(world: World, rules: Rules): World | null {
  return healProxies(world) ?? healClusters(world, rules) ?? healMoves(world, rules) ?? null;
}

function healProxies(world: World): World | undefined {
  for (let index = 0; index < world.clusters.length; index++) {
    const { inFlight, seen, row } = at(world.clusters, index);
    if (inFlight !== 0) return answerRequest(world, index);
    if (seen === null || !isSameRow(seen, row)) return withCluster(world, index, { seen: row });
  }
  return undefined;
}

function healClusters(world: World, rules: Rules): World | undefined {
  const latest = at(world.log, world.log.length - 1);
  for (let index = 0; index < world.clusters.length; index++) {
    const own =
      stopFrozen(world, index, rules) ??
      stopRetired(world, index, rules) ??
      finishBoot(world, index, rules);
    if (own) return own();
    const heard = applyLog(world, index, latest, rules);
    if (heard !== world) return heard;
  }
  return undefined;
}

function healMoves(world: World, rules: Rules): World | undefined {
  const index = world.moves.findIndex(isUnderWay);
  if (index < 0) return healLeases(world, rules);
  const { state, status } = at(world.moves, index);
  if (isBeforeCommit(state.phase) && (status === "committed" || status === "aborted")) {
    const after = rules.next(state, status === "committed" ? "found_committed" : "found_aborted");
    return after && withMove(world, index, { state: after });
  }
  if (state.effect === null) throw new Violation(`phase "${state.phase}" has nothing to do`);
  const delivered = deliver(world, index, state.effect, rules);
  if (delivered.event === "again") {
    if (delivered.world !== world) return delivered.world;
    throw new Violation(`move ${index + 1} waits for ever in ${state.effect}`);
  }
  return answered(delivered, index, rules);
}

function healLeases(world: World, rules: Rules): World | undefined {
  for (let index = 0; index < world.clusters.length; index++) {
    const end = endLease(world, index, rules);
    if (end) return end();
    const settled = settleStaged(world, index, rules);
    if (settled !== world) return settled;
  }
  return undefined;
}

/**
 * Where nothing is left to do, exactly the home is active, and it has every acknowledged write.
 *
 * @throws Violation
 */
export function checkHealed(world: World): World {
  const home = clusterIndex(world.placement.clusterId);
  world.clusters.forEach((cluster, index) => {
    const { row } = cluster;
    const name = clusterName(index);
    if (row.state === "frozen" || row.state === "staged") {
      throw new Violation(`${name} stays ${row.state} for ever`);
    }
    if ((row.state === "active") !== (index === home)) {
      throw new Violation(`${name} stays ${row.state}, and the home is ${clusterName(home)}`);
    }
    if (index !== home && cluster.running !== 0) {
      throw new Violation(`a container runs in ${name} for ever`);
    }
  });
  const { row, files } = at(world.clusters, home);
  const version = files[row.generation] ?? NO_FILES;
  if (version !== world.writes) {
    throw new Violation(`the files in ${clusterName(home)} lack what was acknowledged`);
  }
  return world;
}

/** A quiet world in which one more move begins that nobody disturbs. */
export function oneMoreMove(world: World): World {
  const home = clusterIndex(world.placement.clusterId);
  const to = (home + 1) % world.clusters.length;
  const nothing = NO_BUDGET;
  const files = (all: readonly number[]): number[] => [...all, NO_FILES];
  const move = at(world.moves, 0);
  return {
    ...world,
    left: nothing,
    clusters: world.clusters.map((cluster) => ({ ...cluster, files: files(cluster.files) })),
    moves: [
      {
        ...move,
        status: "unknown",
        to,
        verified: false,
        waitedOut: false,
        sent: 0,
        state: { phase: "reserving", mode: null, effect: "open_migration" },
      },
    ],
  };
}

/** @throws Violation unless the move of `oneMoreMove` has come to its end */
export function checkCompleted(world: World): void {
  const { state } = at(world.moves, 0);
  if (!isTerminal(state.phase) || state.phase === "rolled_back") {
    throw new Violation(
      `a move that nobody disturbs ends as ${state.phase}: it can never be moved`,
    );
  }
}
