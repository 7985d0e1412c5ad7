import type { Decision } from "../clusters/core/decision";
import {
  isSameStay,
  type RouteCommand,
  type RouteEffect,
  type RouteOutcome,
} from "../containers/core/route";
import type { Effect, Event } from "../migrations/core/migration";
import { chooseMode } from "../migrations/core/mode";
import type { Rules } from "./rules";
import { Violation } from "./violation";
import {
  at,
  clusterIndex,
  clusterName,
  type Move,
  NO_FILES,
  runs,
  withCluster,
  withFiles,
  withMove,
  type World,
} from "./world";

/** What a command has changed at its receiver, and what the receiver answers. */
export interface Delivered {
  readonly world: World;
  /** `again`: it is not over yet. */
  readonly event: Event | "again";
}

/** What happens when the command of `effect` arrives: now, again, or long after its move has ended. */
export function deliver(world: World, index: number, effect: Effect, rules: Rules): Delivered {
  const move = at(world.moves, index);
  const { generation, from, to } = move;
  switch (effect) {
    case "open_migration":
      return openMigration(world, index, rules);
    case "choose_mode":
      return { world: chooseTheMode(world, index), event: "done" };
    case "stage_destination": {
      const peer = clusterName(from);
      return command(world, to, { kind: "stage", generation, peer }, rules);
    }
    case "copy_files":
    case "copy_delta":
      return copyFiles(world, move, rules);
    case "freeze_source":
      return freeze(world, move, rules);
    case "boot_destination":
      return boot(allowBoot(world, move, rules), move, rules);
    case "verify_destination":
      return verify(world, index, rules);
    case "seal_source":
      return seal(world, move, rules);
    case "commit_placement":
      return decide(world, index, "committed", rules);
    case "abort_placement":
      return decide(world, index, "aborted", rules);
    case "activate_destination":
      return command(world, to, { kind: "activate", generation }, rules);
    case "tombstone_source":
      return command(world, from, { kind: "tombstone", generation, to: clusterName(to) }, rules);
    case "publish_moved":
      return { world, event: "done" };
    case "drain_source": {
      const isGone = !runs(at(world.clusters, from), move.fromGeneration);
      return { world, event: isGone ? "done" : "again" };
    }
    case "clean_source":
      return { world: cleanUp(world, from), event: "done" };
    case "unstage_destination": {
      const unstaged = command(world, to, { kind: "unstage", generation }, rules);
      // A repetition finds the row as it should be; the container may still be on its way down.
      return { ...unstaged, world: discard(unstaged.world, to, generation) };
    }
    case "thaw_source":
      return command(world, from, { kind: "thaw", generation }, rules);
  }
}

function openMigration(world: World, index: number, rules: Rules): Delivered {
  const { status, to } = at(world.moves, index);
  if (status === "aborted") return { world, event: "refused" };
  if (status !== "unknown") return { world, event: "done" };
  const other = world.moves.findIndex((move) => move.status === "open");
  const opened = rules.open(world.placement, {
    toCluster: clusterName(to),
    toState: "active",
    openMigrationId: other < 0 ? undefined : `${other}`,
  });
  if ("reason" in opened) return { world, event: "refused" };
  const { placement, generation, fromGeneration } = opened;
  const from = clusterIndex(world.placement.clusterId);
  const move = { status: "open", from, generation, fromGeneration } as const;
  return { world: { ...withMove(world, index, move), placement }, event: "done" };
}

function chooseTheMode(world: World, index: number): World {
  const { from, state } = at(world.moves, index);
  const source = at(world.clusters, from);
  const mode = chooseMode(null, "auto", {
    running: runs(source, source.row.generation),
    filesChanged: world.hasFiles,
  });
  return withMove(world, index, { state: { ...state, mode } });
}

/** Ends a container; what it has in flight for a visitor would end with it, which no move may do. */
export function stopContainer(world: World, index: number, generation: number): World {
  const cluster = at(world.clusters, index);
  if (!runs(cluster, generation)) return world;
  if (cluster.inFlight === generation) {
    const where = `${clusterName(index)} at generation ${generation}`;
    throw new Violation(`a request in flight in ${where} is cut off`);
  }
  return withCluster(world, index, { running: cluster.running & ~(1 << generation) });
}

/** A change of a route, and what follows from it. */
export function changeRoute(
  world: World,
  index: number,
  order: RouteCommand,
  rules: Rules,
): { world: World; outcome: RouteOutcome } {
  const { row } = at(world.clusters, index);
  const decided = rules.decideRoute(row, order);
  if (decided.row.generation < row.generation || decided.row.fence < row.fence) {
    throw new Violation(`the route in ${clusterName(index)} has fallen behind itself`);
  }
  if (decided.outcome !== "done") return { world, outcome: decided.outcome };
  const { leased } = at(world.clusters, index);
  const isOpen = decided.row.fence < row.generation && order.kind !== "lease_ended";
  const isKept = isOpen && isSameStay(row, decided.row);
  const saved = withCluster(world, index, { row: decided.row, leased: leased && isKept });
  return { world: carryOut(saved, index, decided.effects), outcome: "done" };
}

function carryOut(world: World, index: number, effects: readonly RouteEffect[]): World {
  return effects.reduce((state, { kind, generation }) => {
    if (kind === "stop_container") return stopContainer(state, index, generation);
    return kind === "discard_files" ? discard(state, index, generation) : state;
  }, world);
}

function command(world: World, index: number, order: RouteCommand, rules: Rules): Delivered {
  const { world: after, outcome } = changeRoute(world, index, order, rules);
  return { world: after, event: outcome === "refused" ? "refused" : "done" };
}

/** A staging that nobody takes back: the cluster asks how its move was decided. */
export function settleStaged(world: World, index: number, rules: Rules): World {
  const { state, generation } = at(world.clusters, index).row;
  const move = world.moves.find((one) => one.generation === generation);
  if (state !== "staged" || move?.status !== "aborted") return world;
  return changeRoute(world, index, { kind: "unstage", generation }, rules).world;
}

/** Stops a container that may not run, and removes its files; what has a place here stays. */
function discard(world: World, index: number, generation: number): World {
  const { row } = at(world.clusters, index);
  if (row.generation === generation && row.state !== "none") return world;
  const stopped = stopContainer(world, index, generation);
  return withCluster(stopped, index, withFiles(at(stopped.clusters, index), generation, NO_FILES));
}

function copyFiles(world: World, { from, to, generation }: Move, rules: Rules): Delivered {
  const destination = at(world.clusters, to);
  if (!rules.mayBoot(destination.row, generation)) return { world, event: "refused" };
  if (runs(destination, generation)) return { world, event: "done" };
  const source = at(world.clusters, from);
  const version = source.files[source.row.generation] ?? NO_FILES;
  if (version === NO_FILES) return { world, event: "done" };
  const copied = withFiles(destination, generation, version);
  return { world: withCluster(world, to, copied), event: "done" };
}

function freeze(world: World, move: Move, rules: Rules): Delivered {
  const { from, generation, state } = move;
  const order: RouteCommand = { kind: "freeze", generation };
  const { world: frozen, outcome } = changeRoute(world, from, order, rules);
  if (outcome === "refused") return { world: frozen, event: "refused" };
  const { row, stoppedForMove, ...source } = at(frozen.clusters, from);
  const isStopped = (source.running & (1 << row.generation)) === 0;
  if (!isStopped && rules.freezeWaitsForStop) return { world: frozen, event: "again" };
  const wasRunning = stoppedForMove === row.generation;
  return { world: frozen, event: wasRunning && state.mode === "asleep" ? "woke_up" : "done" };
}

/** The destination asks whether the move is open; then its lease counts down. */
export function allowBoot(world: World, { to, generation, status }: Move, rules: Rules): World {
  const isAllowed = !rules.bootAsks || status === "open";
  const { row } = at(world.clusters, to);
  if (!isAllowed || !rules.mayBoot(row, generation)) return world;
  return withCluster(world, to, { booting: generation, leased: true });
}

/** A boot that was allowed comes to start the container, if its generation is not closed by now. */
export function boot(world: World, { to, generation }: Move, rules: Rules): Delivered {
  const { booting, row, files, running } = at(world.clusters, to);
  if (booting !== generation) {
    const isHome = row.state === "active" && row.generation === generation;
    return { world, event: isHome ? "done" : "refused" };
  }
  const arrived = withCluster(world, to, { booting: 0 });
  const mayStart = rules.mayBoot(row, generation) && files[generation] !== NO_FILES;
  if (!mayStart) return { world: arrived, event: "refused" };
  const started = withCluster(arrived, to, { running: running | (1 << generation) });
  return { world: started, event: "done" };
}

function verify(world: World, index: number, rules: Rules): Delivered {
  const { to, generation } = at(world.moves, index);
  const destination = at(world.clusters, to);
  const isUp = runs(destination, generation) && rules.mayBoot(destination.row, generation);
  return { world, event: isUp && destination.leased ? "done" : "refused" };
}

function seal(world: World, { from, to, generation }: Move, rules: Rules): Delivered {
  const source = at(world.clusters, from);
  const copied = at(world.clusters, to).files[generation];
  const isCopied = source.files[source.row.generation] === copied;
  if (rules.sealComparesReleases && !isCopied) return { world, event: "refused" };
  return command(world, from, { kind: "seal", generation }, rules);
}

/** What the authority makes of it; whoever asks is told how it was decided. */
export function decide(world: World, index: number, decision: Decision, rules: Rules): Delivered {
  const move = at(world.moves, index);
  // What sleeps was not booted, and has no lease that could end.
  const expired = decision === "committed" && move.state.mode !== "asleep" && !move.verified;
  const verdict = rules.decideMigration(move.status, { decision, expired });
  switch (verdict.kind) {
    case "stands":
      return { world, event: foundOf(verdict.status, decision) };
    case "refuse":
      throw new Violation("a commit of a migration that was never opened");
    case "abort":
      return {
        world: withMove(world, index, { status: "aborted" }),
        event: foundOf("aborted", decision),
      };
    case "commit":
      return { world: commit(world, index, rules), event: "done" };
  }
}

function foundOf(status: Decision, decision: Decision): Event {
  if (status === decision) return "done";
  return status === "committed" ? "found_committed" : "found_aborted";
}

function commit(world: World, index: number, rules: Rules): World {
  const { from, to, fromGeneration, generation } = at(world.moves, index);
  const placement = rules.commit(world.placement, {
    fromCluster: clusterName(from),
    fromGeneration,
    toCluster: clusterName(to),
    generation,
  });
  if (!placement) throw new Violation(`a commit of generation ${generation} on another placement`);
  if (at(world.clusters, to).row.fence >= generation) {
    throw new Violation(
      `a commit of generation ${generation} to ${clusterName(to)}, which has closed it`,
    );
  }
  const log = [...world.log, { generation, to }];
  return { ...withMove(world, index, { status: "committed" }), placement, log };
}

/** Files of generations that are neither the route's nor still run. */
function cleanUp(world: World, index: number): World {
  const cluster = at(world.clusters, index);
  const { state, generation: own } = cluster.row;
  const isHere = state === "active" || state === "frozen" || state === "staged";
  const files = cluster.files.map((version, generation) => {
    const isKept = runs(cluster, generation) || (isHere && generation === own);
    return isKept ? version : NO_FILES;
  });
  return withCluster(world, index, { files });
}
