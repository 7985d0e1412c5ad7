import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  decide,
  isSameStay,
  mayBoot,
  mayDeploy,
  NO_ROUTE,
  type RouteCommand,
  type RouteRow,
} from "./route";

const active: RouteRow = { ...NO_ROUTE, state: "active", generation: 3 };
const sealed: RouteRow = { ...active, sealedBy: 5 };
const frozen: RouteRow = { ...active, state: "frozen", frozenBy: 5 };
const staged: RouteRow = { ...NO_ROUTE, state: "staged", generation: 5, peer: "east" };
const moved: RouteRow = { ...NO_ROUTE, state: "tombstone", generation: 5, peer: "west" };
const fenced: RouteRow = { ...NO_ROUTE, state: "none", generation: 5, fence: 5 };

const stage = (generation: number): RouteCommand => ({ kind: "stage", generation, peer: "east" });
const tombstone = (generation: number): RouteCommand => ({
  kind: "tombstone",
  generation,
  to: "west",
});
const at = (
  kind:
    | "unstage"
    | "freeze"
    | "seal"
    | "unfreeze"
    | "thaw"
    | "activate"
    | "lease_ended"
    | "created"
    | "forget",
  generation: number,
): RouteCommand => ({ kind, generation });

describe("decide", () => {
  it.each<[string, RouteRow, RouteCommand, Partial<RouteRow>]>([
    ["stages what it never had", NO_ROUTE, stage(5), staged],
    ["stages over an older tombstone", moved, stage(6), { state: "staged", generation: 6 }],
    ["stages over an older staging", staged, stage(6), { state: "staged", generation: 6 }],
    ["unstages and fences", staged, at("unstage", 5), { state: "none", generation: 5, fence: 5 }],
    ["fences a generation it never saw", NO_ROUTE, at("unstage", 5), { state: "none", fence: 5 }],
    ["freezes", active, at("freeze", 5), frozen],
    ["seals, and serves on", active, at("seal", 5), { ...active, sealedBy: 5 }],
    ["unseals with the abort", sealed, at("thaw", 5), { ...active, fence: 5 }],
    ["is not unsealed by another abort", sealed, at("thaw", 4), { ...sealed, fence: 4 }],
    ["freezes for a later move what was sealed", sealed, at("freeze", 6), { sealedBy: null }],
    ["tombstones what was sealed", sealed, tombstone(5), { ...moved, sealedBy: null }],
    ["undoes a freeze, same move may return", frozen, at("unfreeze", 5), active],
    ["thaws and fences", frozen, at("thaw", 5), { ...active, fence: 5 }],
    ["fences by a thaw of a move that never froze", active, at("thaw", 5), { ...active, fence: 5 }],
    ["activates what it staged", staged, at("activate", 5), { state: "active", peer: null }],
    ["activates although fenced", fenced, at("activate", 5), { state: "active", generation: 5 }],
    ["activates what it never had", NO_ROUTE, at("created", 1), { state: "active", generation: 1 }],
    [
      "activates over an older home",
      frozen,
      at("activate", 7),
      { state: "active", frozenBy: null },
    ],
    ["tombstones its home", active, tombstone(5), moved],
    ["tombstones a frozen home", frozen, tombstone(5), moved],
    ["points a tombstone on", moved, tombstone(6), { state: "tombstone", generation: 6 }],
    ["fences when the lease ends", staged, at("lease_ended", 5), { state: "staged", fence: 5 }],
    [
      "activates what the lease has fenced",
      { ...staged, fence: 5 },
      at("activate", 5),
      { state: "active", generation: 5 },
    ],
    [
      "undoes a staging that the lease has fenced",
      { ...staged, fence: 5 },
      at("unstage", 5),
      { state: "none", fence: 5 },
    ],
    [
      "forgets a tombstone, but not its generation and fence",
      { ...moved, fence: 4 },
      at("forget", 5),
      { state: "none", generation: 5, fence: 4, peer: null },
    ],
    [
      "points a forgotten tombstone at the next home",
      { ...NO_ROUTE, generation: 5 },
      tombstone(6),
      { state: "tombstone", generation: 6, peer: "west" },
    ],
    ["forgets a deleted repl", frozen, { kind: "deleted" }, { state: "none", deleted: true }],
  ])("%s", (_what, row, command, expected) => {
    const decision = decide(row, command);
    expect(decision.outcome).toBe("done");
    expect(decision.row).toMatchObject(expected);
  });

  it.each<[string, RouteRow, RouteCommand]>([
    ["a stage at the fence", fenced, stage(5)],
    ["a stage of what the lease has fenced", { ...staged, fence: 5 }, stage(5)],
    ["a stage below the generation", moved, stage(4)],
    ["a stage over a home", active, stage(9)],
    ["a stage over a frozen home", frozen, stage(9)],
    ["a freeze at the fence", { ...active, fence: 5 }, at("freeze", 5)],
    ["a freeze of no home", staged, at("freeze", 9)],
    ["a freeze by an older move", active, at("freeze", 3)],
    ["a freeze by another move", frozen, at("freeze", 6)],
    ["a seal of what is frozen", frozen, at("seal", 6)],
    ["a seal of a closed generation", { ...active, fence: 5 }, at("seal", 5)],
    ["a seal where it lives no more", moved, at("seal", 6)],
    ["a seal of a deleted repl", { ...NO_ROUTE, deleted: true }, at("seal", 6)],
  ])("refuses %s, with a reason", (_what, row, command) => {
    const decision = decide(row, command);
    expect(decision).toMatchObject({ outcome: "refused", row, effects: [] });
    expect(decision.reason).not.toBe("");
  });

  it.each<[string, RouteRow, RouteCommand]>([
    ["a second stage", staged, stage(5)],
    ["a second seal", sealed, at("seal", 5)],
    ["a second freeze", frozen, at("freeze", 5)],
    ["a late event of its own home, while a move has frozen it", frozen, at("activate", 3)],
    ["an older tombstone", active, tombstone(2)],
    ["a tombstone of its own generation", active, tombstone(3)],
    ["an older activation", moved, at("activate", 3)],
    ["an older activation of what is forgotten", { ...NO_ROUTE, generation: 5 }, at("activate", 4)],
    ["a late tombstone of what is forgotten", { ...NO_ROUTE, generation: 5 }, tombstone(5)],
    ["the end of a tombstone that was pointed on", moved, at("forget", 4)],
    ["the end of a tombstone that is home again", active, at("forget", 3)],
    ["a thaw by another move", { ...frozen, fence: 4 }, at("unfreeze", 4)],
    ["the end of another lease", staged, at("lease_ended", 4)],
    ["the end of a lease that has ended", { ...staged, fence: 5 }, at("lease_ended", 5)],
    ["a creation after the deletion", { ...NO_ROUTE, deleted: true }, at("created", 1)],
  ])("changes nothing for %s", (_what, row, command) => {
    expect(decide(row, command)).toEqual({ row, effects: [], outcome: "unchanged", reason: "" });
  });

  it("says what to do with the container that the row no longer speaks of", () => {
    expect(decide(active, tombstone(5)).effects).toEqual([
      { kind: "retire_container", generation: 3 },
    ]);
    expect(decide(staged, at("unstage", 6))).toMatchObject({
      row: { ...staged, fence: 6 },
      effects: [{ kind: "stop_container", generation: 5 }],
    });
    expect(decide({ ...staged, fence: 5 }, at("unstage", 6)).effects).toEqual([]);
    expect(decide(staged, at("unstage", 4)).effects).toEqual([]);
    expect(decide(staged, at("unstage", 5)).effects).toEqual([
      { kind: "stop_container", generation: 5 },
      { kind: "discard_files", generation: 5 },
    ]);
    // Its files stay: the commit may have come first.
    expect(decide(staged, at("lease_ended", 5)).effects).toEqual([
      { kind: "stop_container", generation: 5 },
    ]);
    expect(decide(staged, at("activate", 5)).effects).toEqual([
      { kind: "publish_upstream", generation: 5 },
    ]);
  });

  it("boots only what is staged and not fenced", () => {
    expect(mayBoot(staged, 5)).toBe(true);
    expect(mayBoot(staged, 4)).toBe(false);
    expect(mayBoot({ ...staged, fence: 5 }, 5)).toBe(false);
    expect(mayBoot(active, 3)).toBe(false);
  });
});

const generation = fc.integer({ min: 1, max: 6 });
const anyCommand: fc.Arbitrary<RouteCommand> = fc.oneof(
  generation.map(stage),
  generation.map(tombstone),
  fc.record({
    kind: fc.constantFrom(
      "unstage" as const,
      "freeze" as const,
      "seal" as const,
      "unfreeze" as const,
      "thaw" as const,
      "activate" as const,
      "lease_ended" as const,
      "created" as const,
      "forget" as const,
    ),
    generation,
  }),
  fc.constant<RouteCommand>({ kind: "deleted" }),
);

function play(row: RouteRow, commands: readonly RouteCommand[]): RouteRow {
  return commands.reduce((current, command) => decide(current, command).row, row);
}

describe("laws", () => {
  it("generations and fences never fall, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 30 }), (commands) => {
        let row = NO_ROUTE;
        for (const command of commands) {
          const next = decide(row, command).row;
          expect(next.generation).toBeGreaterThanOrEqual(row.generation);
          expect(next.fence).toBeGreaterThanOrEqual(row.fence);
          expect(next.frozenBy !== null).toBe(next.state === "frozen");
          row = next;
        }
      }),
    );
  });

  it("a repeated command changes nothing more", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 20 }), anyCommand, (commands, command) => {
        const once = decide(play(NO_ROUTE, commands), command).row;
        expect(decide(once, command).row).toEqual(once);
      }),
    );
  });

  it("any order and repetition of events ends alike", () => {
    // The home of each generation, as the authority decided it; `here` is this cluster.
    const history = fc.array(fc.constantFrom("here", "east", "west"), {
      minLength: 1,
      maxLength: 6,
    });
    const shuffled = history.chain((homes) => {
      const events = homes.map((home, index): RouteCommand =>
        home === "here"
          ? { kind: "activate", generation: index + 1 }
          : { kind: "tombstone", generation: index + 1, to: home },
      );
      const all = fc.shuffledSubarray([...events, ...events], {
        minLength: events.length * 2,
        maxLength: events.length * 2,
      });
      return all.map((order) => ({ homes, order }));
    });
    fc.assert(
      fc.property(shuffled, ({ homes, order }) => {
        const row = play(NO_ROUTE, order);
        const last = homes[homes.length - 1];
        expect(row.generation).toBe(homes.length);
        expect(row.state).toBe(last === "here" ? "active" : "tombstone");
        expect(row.peer).toBe(last === "here" ? null : last);
      }),
    );
  });

  it("tombstones may be forgotten at any moment, among events in any order", () => {
    const history = fc.array(fc.constantFrom("here", "east", "west"), {
      minLength: 1,
      maxLength: 6,
    });
    const shuffled = history.chain((homes) => {
      const events = homes.flatMap((home, index): RouteCommand[] => {
        const event: RouteCommand =
          home === "here"
            ? { kind: "activate", generation: index + 1 }
            : { kind: "tombstone", generation: index + 1, to: home };
        return [event, event, { kind: "forget", generation: index + 1 }];
      });
      const { length } = events;
      return fc
        .shuffledSubarray(events, { minLength: length, maxLength: length })
        .map((order) => ({ homes, order }));
    });
    fc.assert(
      fc.property(shuffled, ({ homes, order }) => {
        const row = play(NO_ROUTE, order);
        const last = homes[homes.length - 1];
        expect(row.generation).toBe(homes.length);
        if (last === "here") expect(row.state).toBe("active");
        else expect(["tombstone", "none"]).toContain(row.state);
        expect(row.peer).toBe(row.state === "tombstone" ? last : null);
      }),
    );
  });

  it("no command of an older or closed move disturbs the home", () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 20 }), (commands) => {
        const home: RouteRow = { ...NO_ROUTE, state: "active", generation: 6, fence: 6 };
        const left = play(
          home,
          commands.filter(({ kind }) => kind !== "deleted"),
        );
        expect(left).toEqual(home);
      }),
    );
  });
});

describe("isSameStay", () => {
  it.each<[string, RouteRow, RouteCommand, boolean]>([
    ["the abort of an older move, while staged", staged, at("unstage", 4), true],
    ["the abort of an older move, while frozen", frozen, at("thaw", 4), true],
    ["the end of its lease", staged, at("lease_ended", 5), true],
    ["a later staging", staged, stage(6), false],
    ["its freeze", active, at("freeze", 5), false],
    ["its seal", active, at("seal", 5), false],
    ["its thaw", frozen, at("thaw", 5), false],
  ])("%s: %s", (_what, row, command, expected) => {
    expect(isSameStay(row, decide(row, command).row)).toBe(expected);
  });
});

describe("mayDeploy", () => {
  it.each<[string, RouteRow, boolean]>([
    ["its home", active, true],
    ["a home that a move has sealed", sealed, false],
    ["a home that is frozen", frozen, false],
    ["the home of another generation", { ...active, generation: 4 }, false],
    ["where it is staged", staged, false],
    ["where it has been", moved, false],
  ])("%s: %s", (_what, row, expected) => {
    expect(mayDeploy(row, 3)).toBe(expected);
  });
});
