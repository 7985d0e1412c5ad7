import {
  type Effect,
  enter,
  type Event,
  isBeforeCommit,
  isTerminal,
  type State,
} from "../migrations/core/migration";
import { allowBoot, changeRoute, decide, deliver, type Delivered } from "./deliver";
import type { Rules } from "./rules";
import { attempt, spend, type Visit } from "./step";
import { telling, Violation } from "./violation";
import {
  at,
  clusterIndex,
  clusterName,
  EFFECTS,
  type Move,
  runs,
  withMove,
  type World,
} from "./world";

/** Everything that can happen to a move, by its coordinator, by others, and by what it once sent. */
export function moveSteps(world: World, index: number, rules: Rules, visit: Visit): void {
  beginMove(world, index, rules, visit);
  coordinate(world, index, rules, visit);
  meddle(world, index, rules, visit);
  deliverGhosts(world, index, rules, visit);
}

const title = (index: number): string => `move ${index + 1}`;

/** A move is asked for when the one before it is decided; the first goes to B, since all others are alike. */
function beginMove(world: World, index: number, rules: Rules, visit: Visit): void {
  if (at(world.moves, index).to >= 0) return;
  const before = world.moves[index - 1];
  if (before && before.status !== "committed" && before.status !== "aborted") return;
  const home = clusterIndex(world.placement.clusterId);
  const last = before ? world.clusters.length - 1 : 1;
  for (let to = 0; to <= last; to++) {
    if (to === home) continue;
    attempt(
      visit,
      () => `${title(index)} is asked for: to ${clusterName(to)}`,
      () => withMove(world, index, { to, state: advance(enter("requested", null), "done", rules) }),
    );
  }
}

function advance(state: State, event: Event, rules: Rules): State {
  const after = rules.next(state, event);
  if (!after) throw new Violation(`"${event}" has no meaning in phase "${state.phase}"`);
  return after;
}

/** What its coordinator does next; it may end before it has written down that it was done. */
function coordinate(world: World, index: number, rules: Rules, visit: Visit): void {
  const { to, state, sent } = at(world.moves, index);
  const { effect } = state;
  if (to < 0 || effect === null || isTerminal(state.phase)) return;
  const bit = 1 << EFFECTS.indexOf(effect);
  const said = (sent & bit) === 0 ? withMove(world, index, { sent: sent | bit }) : world;
  if (said !== world) {
    attempt(
      visit,
      () => `${title(index)}: ${effect} is sent, and is late`,
      () => said,
    );
  }
  const delivered = telling(
    () => `${title(index)}: ${effect}`,
    () => deliver(said, index, effect, rules),
  );
  if (delivered.event !== "again") {
    attempt(
      visit,
      () => `${title(index)}: ${effect} → ${delivered.event}`,
      () => answered(delivered, index, rules),
    );
  } else if (delivered.world !== said) {
    attempt(
      visit,
      () => `${title(index)}: ${effect}, which takes its time`,
      () => delivered.world,
    );
  }
  if (world.left.crashes > 0) {
    attempt(
      visit,
      () => `${title(index)}: ${effect}, and its coordinator ends before it has heard`,
      () => forgotten(spend(delivered.world, "crashes"), index),
    );
  }
  if (effect === "freeze_source") giveUpFreeze(delivered.world, index, rules, visit);
  if (effect === "boot_destination") bootSlowly(said, index, rules, visit);
  if (effect === "unstage_destination") waitLeaseOut(said, index, rules, visit);
}

/** A move that has heard what came of its effect. */
export function answered({ world, event }: Delivered, index: number, rules: Rules): World {
  if (event === "again") throw new Violation("an answer that is none");
  const { state } = at(world.moves, index);
  const verified = state.effect === "verify_destination" ? { verified: event === "done" } : {};
  const after = advance(state, event, rules);
  const moved = withMove(world, index, { state: after, ...verified });
  return isTerminal(after.phase) ? checkedEnd(moved, index) : moved;
}

/** Only the phase was stored, and the mode with it: both from the phase's beginning. */
function forgotten(world: World, index: number): World {
  const { phase, mode } = at(world.moves, index).state;
  const state = enter(phase, phase === "reserving" ? null : mode);
  return withMove(world, index, { state, verified: false });
}

/** A rolled-back move leaves its source as it was, and nothing but a fence at its destination. */
function checkedEnd(world: World, index: number): World {
  const { state, from, to, generation, waitedOut } = at(world.moves, index);
  if (state.phase !== "rolled_back" || state.mode === null) return world;
  const source = at(world.clusters, from).row;
  const destination = at(world.clusters, to);
  const isHeld = source.state === "frozen" && source.frozenBy === generation;
  if (isHeld) throw new Violation(`${clusterName(from)} stays frozen by a move that is over`);
  if (waitedOut) return world; // The destination asks for itself how it was decided.
  const isLeft = destination.row.state === "staged" && destination.row.generation === generation;
  if (isLeft || runs(destination, generation) || destination.row.fence < generation) {
    throw new Violation(`${clusterName(to)} is not fenced from a move that is over`);
  }
  return world;
}

/** The destination was told that it may, and is slow: whatever happens meanwhile happens first. */
function bootSlowly(world: World, index: number, rules: Rules, visit: Visit): void {
  const allowed = allowBoot(world, at(world.moves, index), rules);
  if (world.left.ghosts === 0 || allowed === world) return;
  attempt(
    visit,
    () => `${title(index)}: boot_destination is allowed, and takes its time`,
    () => spend(allowed, "ghosts"),
  );
}

/**
 * The destination does not answer an abort, and so much time has passed that its boot lease has ended:
 * no boot is allowed after the abort.
 */
function waitLeaseOut(world: World, index: number, rules: Rules, visit: Visit): void {
  const { to, generation } = at(world.moves, index);
  const { row, leased } = at(world.clusters, to);
  if (rules.abortWaitsLease && leased && row.generation === generation) return;
  attempt(
    visit,
    () => `${title(index)}: ${clusterName(to)} does not answer, and its boot lease is waited out`,
    () => {
      const waited = withMove(world, index, { waitedOut: true });
      return answered({ world: waited, event: "lease_over" }, index, rules);
    },
  );
}

/** A request that does not end: the source serves again, and the move tries later. */
function giveUpFreeze(world: World, index: number, rules: Rules, visit: Visit): void {
  const { from, generation, state } = at(world.moves, index);
  const { row, inFlight } = at(world.clusters, from);
  if (row.state !== "frozen" || row.frozenBy !== generation || inFlight !== row.generation) return;
  attempt(
    visit,
    () => `${title(index)}: ${clusterName(from)} is busy, and its freeze is undone`,
    () => {
      const undone = changeRoute(world, from, { kind: "unfreeze", generation }, rules).world;
      return withMove(undone, index, { state: advance(state, "busy", rules) });
    },
  );
}

/** What others do to a move: they abort it, they let time pass, they tell how it was decided. */
function meddle(world: World, index: number, rules: Rules, visit: Visit): void {
  const { to, status, state, verified } = at(world.moves, index);
  if (to < 0) return;
  if (world.left.aborts > 0 && status === "open") {
    attempt(
      visit,
      () => `somebody has ${title(index)} aborted at the authority`,
      () => decide(spend(world, "aborts"), index, "aborted", rules).world,
    );
    if (isBeforeCommit(state.phase)) {
      attempt(
        visit,
        () => `the coordinator of ${title(index)} is asked to abort`,
        () => withMove(spend(world, "aborts"), index, { state: advance(state, "abort", rules) }),
      );
    }
  }
  const found = status === "committed" ? "found_committed" : "found_aborted";
  const isNews = isBeforeCommit(state.phase) && (status === "committed" || status === "aborted");
  if (isNews) {
    attempt(
      visit,
      () => `the coordinator of ${title(index)} finds it ${status}`,
      () => withMove(world, index, { state: advance(state, found, rules) }),
    );
  }
  if (verified) {
    attempt(
      visit,
      () => `the lease that ${title(index)} was verified with is over`,
      () => withMove(world, index, { verified: false }),
    );
  }
}

/** Answers of these change nothing at their receiver. */
const HARMLESS: readonly Effect[] = ["choose_mode", "publish_moved", "drain_source"];

function deliverGhosts(world: World, index: number, rules: Rules, visit: Visit): void {
  if (world.left.ghosts === 0) return;
  const { sent } = at(world.moves, index);
  for (let bit = 0; bit < EFFECTS.length; bit++) {
    const effect = EFFECTS[bit];
    if ((sent & (1 << bit)) === 0 || effect === undefined || HARMLESS.includes(effect)) continue;
    const story = (): string => `an old ${effect} of ${title(index)} arrives`;
    const { world: after } = telling(story, () => deliver(world, index, effect, rules));
    if (after !== world) visit(story, spend(after, "ghosts"));
  }
}

/** A move that is under way and not at its end. */
export function isUnderWay({ to, state }: Move): boolean {
  return to >= 0 && !isTerminal(state.phase);
}
