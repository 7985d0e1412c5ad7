import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { commit, firstPlacement, type Move, open, type Placement, policyOf } from "./placement";

const home: Placement = { clusterId: "east", generation: 4, nextGeneration: 7 };
const toWest = { toCluster: "west", toState: "active", openMigrationId: undefined } as const;

describe("placement", () => {
  it("begins with generation 1", () => {
    expect(firstPlacement("east")).toEqual({ clusterId: "east", generation: 1, nextGeneration: 2 });
  });

  it("burns a generation for a migration that opens, and stays where it is", () => {
    expect(open(home, toWest)).toEqual({
      placement: { clusterId: "east", generation: 4, nextGeneration: 8 },
      generation: 7,
      fromGeneration: 4,
    });
  });

  it.each([
    [{ openMigrationId: "m1" }, "migration m1 is open"],
    [{ toState: undefined }, 'there is no cluster "west"'],
    [{ toState: "cordoned" as const }, 'cluster "west" is cordoned'],
    [{ toCluster: "east" }, "it lives there already"],
    [{ fromCluster: "north" }, 'it lives in "east" by now'],
  ])("opens nothing for %o", (change, reason) => {
    expect(open(home, { ...toWest, ...change })).toEqual({ reason });
  });

  it("moves by a commit of what was opened on it", () => {
    const placement = { ...home, nextGeneration: 8 };
    const move = { fromCluster: "east", fromGeneration: 4, toCluster: "west", generation: 7 };
    expect(commit(placement, move)).toEqual({
      clusterId: "west",
      generation: 7,
      nextGeneration: 8,
    });
  });

  it.each<Partial<Move>>([
    { fromCluster: "north" },
    { fromGeneration: 3 },
    { generation: 4 },
    { generation: 9 },
  ])("does not move by %o", (change) => {
    const placement = { ...home, nextGeneration: 8 };
    const move = { fromCluster: "east", fromGeneration: 4, toCluster: "west", generation: 7 };
    expect(commit(placement, { ...move, ...change })).toBeUndefined();
  });

  it("never gives a generation twice, and only rises", () => {
    const anyStep = fc.record({
      to: fc.constantFrom("east", "west", "north"),
      commits: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 30 }), (steps) => {
        let placement = firstPlacement("east");
        const given = [placement.generation];
        for (const { to, commits } of steps) {
          const opened = open(placement, { ...toWest, toCluster: to });
          if ("reason" in opened) continue;
          given.push(opened.generation);
          const move = {
            fromCluster: placement.clusterId,
            fromGeneration: opened.fromGeneration,
            toCluster: to,
            generation: opened.generation,
          };
          const before = placement.generation;
          placement = (commits && commit(opened.placement, move)) || opened.placement;
          expect(placement.generation).toBe(commits ? opened.generation : before);
        }
        expect(new Set(given).size).toBe(given.length);
        expect(given).toEqual(given.toSorted((a, b) => a - b));
      }),
    );
  });
});

describe("policyOf()", () => {
  it.each([
    ["auto", "auto", "auto"],
    ["auto", "none", "overlap"],
    ["auto", "files", "handoff"],
    ["overlap", "files", "overlap"],
    ["handoff", "none", "handoff"],
  ] as const)("policy %s of a repl with data %s is %s", (policy, dataMode, effective) => {
    expect(policyOf({ policy, dataMode })).toBe(effective);
  });
});
