import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { LIMITS } from "./limits";
import { decide, decideWith, type Route, type RouteState } from "./route";

const route = (state: RouteState, generation: number, awake = true, peer = "west"): Route => ({
  state,
  generation,
  awake,
  peer,
});
const anyRoute = fc.record({
  state: fc.constantFrom<RouteState>("none", "staged", "active", "frozen", "tombstone"),
  generation: fc.integer({ min: 1, max: 6 }),
  awake: fc.boolean(),
  peer: fc.constantFrom("", "west", "north"),
});
const anyMin = fc.integer({ min: 0, max: 6 });
const anyHops = fc.integer({ min: 0, max: 4 });
const anyPlacement = fc.record({
  found: fc.boolean(),
  clusterId: fc.constantFrom("east", "west"),
  generation: fc.integer({ min: 1, max: 6 }),
});

describe("decide()", () => {
  it.each([
    ["active, awake", route("active", 2), 0, 0, { action: "serve" }],
    ["active, asleep", route("active", 2, false), 2, 0, { action: "wake" }],
    ["active, too old", route("active", 2), 3, 1, { action: "ask" }],
    ["frozen", route("frozen", 2), 0, 0, { action: "hold" }],
    ["frozen, too old", route("frozen", 2), 3, 1, { action: "ask" }],
    ["staged, commit proven", route("staged", 3), 3, 1, { action: "hold" }],
    [
      "staged, a visitor",
      route("staged", 3),
      0,
      0,
      { action: "forward", peer: "west", minGeneration: 0 },
    ],
    [
      "staged, sent on by a cluster that is staged too",
      route("staged", 3),
      0,
      1,
      { action: "ask" },
    ],
    ["staged, a visitor, no peer", route("staged", 3, false, ""), 0, 0, { action: "ask" }],
    [
      "tombstone",
      route("tombstone", 3),
      0,
      0,
      { action: "forward", peer: "west", minGeneration: 3 },
    ],
    ["tombstone, stale", route("tombstone", 3), 3, 1, { action: "ask" }],
    [
      "tombstone, third hop",
      route("tombstone", 3),
      1,
      LIMITS.hops,
      { action: "refuse", error: "loop" },
    ],
    ["nothing", undefined, 0, 0, { action: "ask" }],
    ["none", route("none", 3), 0, 0, { action: "ask" }],
    ["too many hops", route("active", 3), 0, LIMITS.hops + 1, { action: "refuse", error: "loop" }],
  ] as const)("%s", (...[, row, min, hops, expected]) => {
    expect(decide(row, min, hops)).toEqual(expected);
  });

  it("never serves below what was promised, and never lowers a promise", () => {
    fc.assert(
      fc.property(anyRoute, anyMin, anyHops, (row, min, hops) => {
        const decision = decide(row, min, hops);
        if (decision.action === "serve" || decision.action === "wake") {
          expect(row.generation).toBeGreaterThanOrEqual(min);
          expect(row.state).toBe("active");
        }
        if (decision.action === "forward") {
          expect(decision.minGeneration).toBeGreaterThanOrEqual(min);
          expect(hops).toBeLessThan(LIMITS.hops);
        }
      }),
    );
  });
});

describe("decideWith()", () => {
  const here = { found: true, clusterId: "east", generation: 3 };
  const there = { found: true, clusterId: "west", generation: 3 };

  it.each([
    ["unreachable", undefined, undefined, { action: "refuse", error: "authority_unreachable" }],
    [
      "unknown",
      { found: false, clusterId: "", generation: 0 },
      undefined,
      { action: "refuse", error: "not_found" },
    ],
    ["elsewhere", there, undefined, { action: "forward", peer: "west", minGeneration: 3 }],
    ["here, row to come", here, undefined, { action: "hold" }],
    ["here, old row", here, route("tombstone", 2), { action: "hold" }],
    ["here, row came", here, route("active", 3), { action: "serve" }],
    ["here, frozen", here, route("frozen", 3), { action: "hold" }],
    [
      "here, moved on",
      here,
      route("tombstone", 4),
      { action: "forward", peer: "west", minGeneration: 4 },
    ],
  ] as const)("%s", (_what, placement, row, expected) => {
    expect(decideWith({ self: "east", placement }, row, 0, 0)).toEqual(expected);
  });

  it("asks anew when the sender knows better, and never answers 404 for a repl that exists", () => {
    fc.assert(
      fc.property(
        anyPlacement,
        fc.option(anyRoute, { nil: undefined }),
        anyMin,
        anyHops,
        (placement, row, min, hops) => {
          const decision = decideWith({ self: "east", placement }, row, min, hops);
          expect(decision.action === "ask").toBe(placement.found && placement.generation < min);
          if (decision.action === "refuse" && decision.error === "not_found") {
            expect(placement.found).toBe(false);
          }
        },
      ),
    );
  });
});

/** A world of clusters with arbitrary rows and an authority that tells the truth. */
describe("a request among clusters", () => {
  it("ends within three hops, whatever the rows say", () => {
    const clusters = ["east", "west", "north"];
    const rows = fc.tuple(anyRoute, anyRoute, anyRoute);
    fc.assert(
      fc.property(rows, fc.nat(2), (list, start) => {
        let at = clusters[start] as string;
        let min = 0;
        let ended = "";
        for (let hops = 0; ended === ""; hops++) {
          expect(hops).toBeLessThanOrEqual(LIMITS.hops);
          const row = list[clusters.indexOf(at)];
          const home = { found: true, clusterId: "north", generation: 7 };
          let decision = decide(row, min, hops);
          if (decision.action === "ask")
            decision = decideWith({ self: at, placement: home }, row, min, hops);
          if (decision.action !== "forward") ended = decision.action;
          else [at, min] = [decision.peer, decision.minGeneration];
        }
        expect(["serve", "wake", "hold", "refuse"]).toContain(ended);
      }),
    );
  });
});
