import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  type Effect,
  effectsOf,
  enter,
  type Event,
  isBeforeCommit,
  isCommitted,
  isTerminal,
  mayHold,
  type Mode,
  next,
  type Phase,
  ROUTES,
  type State,
} from "./migration";

const MODES: readonly Mode[] = ["asleep", "overlap", "handoff", "stop-copy"];
const anyMode = fc.constantFrom(...MODES);
const anyEvent = fc.constantFrom<Event>(
  ...(["done", "done", "done", "done", "woke_up", "busy", "refused"] as const),
  ...(["expired", "abort", "found_committed", "found_aborted"] as const),
);

/** The states that a migration was in, and the effects that were carried out. */
interface Played {
  readonly states: readonly State[];
  readonly effects: readonly Effect[];
}

/** Carries out effects with success until the end. */
function succeed(mode: Mode): Played {
  const states: State[] = [enter("requested", null)];
  const effects: Effect[] = [];
  let state = states[0];
  while (state && !isTerminal(state.phase)) {
    if (state.effect) effects.push(state.effect);
    // The mode is chosen by the last effect of `reserving`.
    const chosen: State = state.effect === "choose_mode" ? { ...state, mode } : state;
    state = next(chosen, "done");
    if (state) states.push(state);
  }
  return { states, effects };
}

type Decision = "open" | "committed" | "aborted";

/** The decision that `event` finds or makes; undefined when the authority would not have it. */
function decide(decision: Decision, { effect }: State, event: Event): Decision | undefined {
  const isDone = event === "done";
  if (event === "found_committed") return decision === "committed" ? decision : undefined;
  if (isDone && effect === "commit_placement") {
    return decision === "aborted" ? undefined : "committed";
  }
  if (event === "found_aborted" || (isDone && effect === "abort_placement")) {
    return decision === "committed" ? undefined : "aborted";
  }
  return decision;
}

/** A play by the rules of the authority: an event may only find what was decided, and that is decided once. */
function play(mode: Mode, events: readonly { event: Event; crash: boolean }[]): Played {
  let state = enter("requested", null);
  let decision: Decision = "open";
  const states: State[] = [state];
  const effects: Effect[] = [];
  for (const { event, crash } of events) {
    if (crash) state = enter(state.phase, state.mode);
    const decided = decide(decision, state, event);
    const chooses = event === "done" && state.effect === "choose_mode";
    const following = decided && next(chooses ? { ...state, mode } : state, event);
    if (!following) continue;
    // A refusal while aborting is as good: the receiver has seen a newer generation.
    const isOver = event === "done" || state.phase === "aborting";
    if (isOver && state.effect) effects.push(state.effect);
    decision = decided;
    state = following;
    states.push(state);
  }
  return { states, effects };
}

const anyPlay = fc.record({
  mode: anyMode,
  events: fc.array(fc.record({ event: anyEvent, crash: fc.boolean() }), { maxLength: 60 }),
});

function phasesOf({ states }: Played): Phase[] {
  return states.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
}

describe("migration", () => {
  it("moves a sleeping repl without booting it", () => {
    const played = succeed("asleep");
    expect(phasesOf(played)).toEqual(ROUTES.asleep);
    expect(played.effects).toEqual([
      "open_migration",
      "choose_mode",
      "stage_destination",
      "copy_files",
      "freeze_source",
      "copy_delta",
      "commit_placement",
      "activate_destination",
      "tombstone_source",
      "publish_moved",
      "clean_source",
    ]);
  });

  it("overlaps two containers of a stateless repl, and drains the old one after the commit", () => {
    const played = succeed("overlap");
    expect(phasesOf(played)).toEqual(ROUTES.overlap);
    expect(played.effects).not.toContain("freeze_source");
    expect(played.effects.indexOf("drain_source")).toBeGreaterThan(
      played.effects.indexOf("commit_placement"),
    );
  });

  it("hands files over: frozen, copied, booted, verified, committed, in this order", () => {
    const { effects } = succeed("handoff");
    expect(effects.slice(3, 9)).toEqual([
      "copy_files",
      "freeze_source",
      "copy_delta",
      "boot_destination",
      "verify_destination",
      "commit_placement",
    ]);
  });

  it("boots at the destination what woke up before the freeze", () => {
    expect(next(enter("freezing", "asleep"), "woke_up")).toEqual(enter("delta", "handoff"));
  });

  it("freezes again what was busy", () => {
    expect(next(enter("freezing", "handoff"), "busy")).toEqual(enter("freezing", "handoff"));
    expect(next(enter("booting", "handoff"), "busy")).toBeUndefined();
  });

  it("undoes nothing in a cluster before the mode was chosen", () => {
    expect(effectsOf("aborting", null)).toEqual(["abort_placement"]);
    expect(effectsOf("aborting", "asleep")).toEqual([
      "abort_placement",
      "unstage_destination",
      "thaw_source",
    ]);
  });

  it("goes forward after the commit, whatever a receiver says", () => {
    expect(next(enter("switching", "overlap"), "refused")?.effect).toBe("tombstone_source");
    for (const event of ["abort", "expired", "found_aborted", "busy"] as const) {
      expect(next(enter("switching", "overlap"), event)).toBeUndefined();
    }
  });

  it("turns to the switch when the abort comes too late", () => {
    const aborting = enter("aborting", "handoff");
    expect(next(aborting, "found_committed")).toEqual(enter("switching", "handoff"));
    const decided = next(aborting, "done");
    expect(decided?.effect).toBe("unstage_destination");
    expect(decided && next(decided, "found_committed")).toBeUndefined();
  });

  it("ends where it ends", () => {
    expect(next(enter("completed", "overlap"), "done")).toBeUndefined();
    expect(next(enter("rolled_back", null), "abort")).toBeUndefined();
  });
});

describe("any migration", () => {
  it("commits at most once, and never both commits and thaws", () => {
    fc.assert(
      fc.property(anyPlay, ({ mode, events }) => {
        const { effects } = play(mode, events);
        const commits = effects.filter((effect) => effect === "commit_placement").length;
        expect(commits).toBeLessThanOrEqual(1);
        if (commits > 0) expect(effects).not.toContain("thaw_source");
      }),
      { numRuns: 2_000 },
    );
  });

  it("never goes back behind the commit", () => {
    fc.assert(
      fc.property(anyPlay, ({ mode, events }) => {
        const phases = phasesOf(play(mode, events));
        const committed = phases.findIndex(isCommitted);
        if (committed >= 0) expect(phases.slice(committed).every(isCommitted)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("stops and fences the destination before the source thaws, and wins the decision before both", () => {
    fc.assert(
      fc.property(anyPlay, ({ mode, events }) => {
        const { effects } = play(mode, events);
        const thaw = effects.indexOf("thaw_source");
        if (thaw < 0) return;
        const unstage = effects.lastIndexOf("unstage_destination", thaw);
        const abort = effects.lastIndexOf("abort_placement", thaw);
        expect(abort).toBeGreaterThanOrEqual(0);
        expect(unstage).toBeGreaterThan(abort);
      }),
      { numRuns: 2_000 },
    );
  });

  it("reaches an end from everywhere when its effects succeed", () => {
    fc.assert(
      fc.property(anyPlay, ({ mode, events }) => {
        let state = play(mode, events).states.at(-1);
        for (let step = 0; state && !isTerminal(state.phase) && step < 40; step++) {
          const chosen: State = state.effect === "choose_mode" ? { ...state, mode } : state;
          state = next(chosen, "done");
        }
        expect(state && isTerminal(state.phase)).toBe(true);
      }),
    );
  });

  it("thaws without the destination's word when its boot lease is over, and only then", () => {
    const state = { phase: "aborting", mode: "handoff" } as const;
    const waiting: State = { ...state, effect: "unstage_destination" };
    expect(next(waiting, "lease_over")?.effect).toBe("thaw_source");
    expect(next({ ...state, effect: "abort_placement" }, "lease_over")).toBeUndefined();
    expect(next({ ...state, effect: "thaw_source" }, "lease_over")).toBeUndefined();
    expect(next(enter("booting", "handoff"), "lease_over")).toBeUndefined();
    expect(next(enter("switching", "handoff"), "lease_over")).toBeUndefined();
  });

  it("can be given up in every phase before the commit", () => {
    for (const mode of MODES) {
      for (const phase of ROUTES[mode].filter(isBeforeCommit)) {
        for (const event of ["abort", "expired", "refused", "found_aborted"] as const) {
          expect(next(enter(phase, mode), event)).toEqual(enter("aborting", mode));
        }
      }
    }
  });

  it("may hold requests from its freeze to the tombstone or the thaw, and at no other time", () => {
    const phases = ROUTES.handoff.filter((phase) => mayHold(enter(phase, "handoff")));
    expect(phases).toEqual(["freezing", "delta", "booting", "verifying", "switching"]);
    expect(mayHold(enter("aborting", "handoff"))).toBe(true);
    expect(mayHold({ phase: "switching", mode: "handoff", effect: "tombstone_source" })).toBe(true);
    expect(mayHold({ phase: "switching", mode: "handoff", effect: "publish_moved" })).toBe(false);
  });

  it("repeats a phase from its first effect after a crash", () => {
    const verified = next(enter("verifying", "overlap"), "done");
    expect(verified?.effect).toBe("seal_source");
    expect(verified && next(verified, "done")?.effect).toBe("commit_placement");
    expect(next(enter("verifying", "handoff"), "done")?.effect).toBe("commit_placement");
    expect(enter("verifying", "overlap").effect).toBe("verify_destination");
    expect(enter("verifying", "asleep").effect).toBe("commit_placement");
  });
});
