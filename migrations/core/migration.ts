/**
 * A migration moves one repl from a source cluster to a destination cluster.
 *
 *     requested ▶ reserving ▶ preparing ▶ copying ▶ [freezing ▶ delta] ▶ [booting] ▶ verifying
 *         │           │           │          │           │        │          │           │  ║
 *         └───────────┴───────────┴──────────┴─── abort ─┴────────┴──────────┴───────────┘  ║ commit
 *                                  │                                                        ▼
 *     rolled_back ◀── aborting ◀───┘        completed ◀ cleaning ◀ [draining] ◀ switching ◀═╝
 *
 * The point of no return is the commit, which is decided in the `clusters` service and nowhere else:
 * here it is only found out. From `switching` on a migration goes forward only; undoing it is another
 * migration. An abort needs the authority's decision as well, so `aborting` may yet turn into
 * `switching`, when the commit was there first.
 *
 * A phase is a row of effects, carried out in order. Only the phase is stored: after a crash its
 * effects are carried out again from the first, so each of them is idempotent and fenced by the
 * generation at its receiver.
 */
export type Phase =
  | "requested"
  | "reserving"
  | "preparing"
  | "copying"
  | "freezing"
  | "delta"
  | "booting"
  | "verifying"
  | "switching"
  | "draining"
  | "cleaning"
  | "completed"
  | "aborting"
  | "rolled_back";

/**
 * `asleep`: nothing runs now. `overlap`: the destination runs before the commit, the source drains
 * after it. `handoff`: one writer, so requests are held from the source's stop to the switch, as long as
 * a freeze may last. `stop-copy`: the same for what writes too much, and as long as the copy takes.
 */
export type Mode = "asleep" | "overlap" | "handoff" | "stop-copy";

/** Work outside. Each is idempotent: what was done stays done when it is asked for again. */
export type Effect =
  /** Open the migration at the authority, which burns a generation. */
  | "open_migration"
  /** Ask the source what runs and what it wrote, and choose the mode from it. */
  | "choose_mode"
  | "stage_destination"
  | "copy_files"
  /** Hold requests at the source, let those in flight finish, stop its container. */
  | "freeze_source"
  | "copy_delta"
  | "boot_destination"
  | "verify_destination"
  /** Where nothing is frozen: no release comes to the source that was not copied. */
  | "seal_source"
  | "commit_placement"
  | "activate_destination"
  | "tombstone_source"
  | "publish_moved"
  | "drain_source"
  | "clean_source"
  /** Win the authority's decision for the abort. */
  | "abort_placement"
  /** Stop the destination and fence it, durably. */
  | "unstage_destination"
  | "thaw_source";

/** What came of an effect, or what was found out meanwhile. */
export type Event =
  /** The effect was carried out, now or before. */
  | "done"
  /** `freeze_source` of a repl that was asleep: something ran after all. */
  | "woke_up"
  /** `freeze_source`: a request would not finish in time; the source serves again. */
  | "busy"
  /** The receiver refuses for good: fenced, unknown, or a destination that does not boot. */
  | "refused"
  /** Requests were held too long, or the effect was tried too often. */
  | "expired"
  /** `unstage_destination`: nobody answers there, and the last boot lease has ended by now. */
  | "lease_over"
  /** Somebody asks for an abort. */
  | "abort"
  /** The authority's decision, read or answered. */
  | "found_committed"
  | "found_aborted";

/** Where a migration stands. `mode` is null until it is chosen. */
export interface State {
  readonly phase: Phase;
  readonly mode: Mode | null;
  /** The effect to carry out next; null at the end. */
  readonly effect: Effect | null;
}

const HANDOFF: readonly Phase[] = [
  ...(["requested", "reserving", "preparing", "copying", "freezing", "delta", "booting"] as const),
  ...(["verifying", "switching", "cleaning", "completed"] as const),
];

/** The way of a migration that succeeds; before the mode is chosen all ways are the same. */
export const ROUTES: Readonly<Record<Mode, readonly Phase[]>> = {
  asleep: [
    ...(["requested", "reserving", "preparing", "copying", "freezing", "delta"] as const),
    ...(["verifying", "switching", "cleaning", "completed"] as const),
  ],
  overlap: [
    ...(["requested", "reserving", "preparing", "copying", "booting"] as const),
    ...(["verifying", "switching", "draining", "cleaning", "completed"] as const),
  ],
  handoff: HANDOFF,
  "stop-copy": HANDOFF,
};

const EFFECTS: Readonly<Record<Phase, readonly Effect[]>> = {
  requested: [],
  reserving: ["open_migration", "choose_mode"],
  preparing: ["stage_destination"],
  copying: ["copy_files"],
  freezing: ["freeze_source"],
  delta: ["copy_delta"],
  booting: ["boot_destination"],
  verifying: ["verify_destination", "seal_source", "commit_placement"],
  switching: ["activate_destination", "tombstone_source", "publish_moved"],
  draining: ["drain_source"],
  cleaning: ["clean_source"],
  completed: [],
  // The order is the safety of an abort: the destination can no longer write before the source can.
  aborting: ["abort_placement", "unstage_destination", "thaw_source"],
  rolled_back: [],
};

const BEFORE_COMMIT: readonly Phase[] = [
  ...(["requested", "reserving", "preparing", "copying"] as const),
  ...(["freezing", "delta", "booting", "verifying"] as const),
];
const AFTER_COMMIT: readonly Phase[] = ["switching", "draining", "cleaning", "completed"];
const HOLDING: readonly Phase[] = [
  ...(["freezing", "delta", "booting", "verifying", "switching", "aborting"] as const),
];
const TERMINAL: readonly Phase[] = ["completed", "rolled_back"];

/** Still undecided, as far as is known here: an abort may win. */
export function isBeforeCommit(phase: Phase): boolean {
  return BEFORE_COMMIT.includes(phase);
}

/** Visitors may be waiting at the source from its freeze until it thaws or forwards them. */
export function mayHold({ phase, effect }: State): boolean {
  return HOLDING.includes(phase) && effect !== "publish_moved";
}

/** Something runs at the source until the freeze, and is to run at the destination after it. */
export function handsOver(mode: Mode | null): boolean {
  return mode === "handoff" || mode === "stop-copy";
}

/** The repl's home is the destination. */
export function isCommitted(phase: Phase): boolean {
  return AFTER_COMMIT.includes(phase);
}

export function isTerminal(phase: Phase): boolean {
  return TERMINAL.includes(phase);
}

/**
 * The effects of a phase. What sleeps is not booted, so there is nothing to verify. Before the mode
 * is chosen no cluster has been told anything, so there is nothing to undo in one.
 */
export function effectsOf(phase: Phase, mode: Mode | null): readonly Effect[] {
  const effects = EFFECTS[phase];
  if (phase === "aborting" && mode === null) return ["abort_placement"];
  return effects.filter((effect) => {
    if (effect === "verify_destination") return mode !== "asleep";
    // A freeze keeps releases out as well.
    return effect !== "seal_source" || mode === "overlap";
  });
}

/** A phase from its first effect: where it is entered, and where it is resumed after a crash. */
export function enter(phase: Phase, mode: Mode | null): State {
  return { phase, mode, effect: effectsOf(phase, mode)[0] ?? null };
}

/** The state after `event`, or undefined where the event has no meaning. */
export function next(state: State, event: Event): State | undefined {
  if (isTerminal(state.phase)) return undefined;
  if (state.phase === "aborting") return whileAborting(state, event);
  return isCommitted(state.phase) ? afterCommit(state, event) : beforeCommit(state, event);
}

function beforeCommit(state: State, event: Event): State | undefined {
  switch (event) {
    case "done":
      return advance(state);
    case "woke_up":
      // What runs must run at the destination too before requests are let through again.
      return advance({ ...state, mode: "handoff" });
    case "found_committed":
      return enter("switching", state.mode);
    case "busy":
      return state.phase === "freezing" ? enter("freezing", state.mode) : undefined;
    case "lease_over":
      return undefined;
    case "refused":
    case "expired":
    case "abort":
    case "found_aborted":
      return enter("aborting", state.mode);
  }
}

/** A refusal is a receiver that has seen a newer generation: there is nothing left to do there. */
function afterCommit(state: State, event: Event): State | undefined {
  return event === "done" || event === "refused" ? advance(state) : undefined;
}

/** Nothing is undone before the decision is won. */
function whileAborting(state: State, event: Event): State | undefined {
  if (state.effect === "abort_placement") {
    if (event === "found_committed") return enter("switching", state.mode);
    return event === "done" || event === "found_aborted" ? advance(state) : undefined;
  }
  // What may have run at the destination does not run any more: that was all its word was waited for.
  if (event === "lease_over") {
    return state.effect === "unstage_destination" ? advance(state) : undefined;
  }
  return event === "done" || event === "refused" ? advance(state) : undefined;
}

/** The next effect of the phase, or the next phase. */
function advance(state: State): State {
  const effects = effectsOf(state.phase, state.mode);
  const following = state.effect && effects[effects.indexOf(state.effect) + 1];
  if (following) return { ...state, effect: following };
  if (state.phase === "aborting") return enter("rolled_back", state.mode);
  const route = ROUTES[state.mode ?? "handoff"];
  return enter(route[route.indexOf(state.phase) + 1] ?? "completed", state.mode);
}

/** One phase that a migration has been through. */
export interface MigrationStep {
  phase: Phase;
  /** When it began, ISO 8601. */
  at: string;
  /** How long it took, in milliseconds. */
  ms: number;
}

/** One move of one repl. */
export interface Migration {
  id: string;
  replId: string;
  from: string;
  to: string;
  /** Null until it is chosen. */
  mode: Mode | null;
  phase: Phase;
  /** Fencing token of the repl at its destination; null until the authority gave it. */
  generation: number | null;
  outcome: "open" | "completed" | "rolled_back";
  /** Why it was or is being rolled back: `busy`, or a sentence. */
  reason: string | null;
  /** Requests that would not finish in time are cut off. */
  cut: boolean;
  /** What could not be moved and stays behind: sockets, pipes and devices, 100 at most. */
  leftOut: string[];
  /** The phases that are over, in order. */
  steps: MigrationStep[];
  /** How long requests were held at most, in milliseconds; null when none were. */
  holdMs: number | null;
  /** ISO 8601, as all times here. */
  createdAt: string;
  committedAt: string | null;
  finishedAt: string | null;
}
