import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Candidate, choose, chooseForEach, type Place } from "./choose";

const cluster = (clusterId: string, repls: number, ownerRepls = 0): Candidate => ({
  clusterId,
  state: "active",
  repls,
  ownerRepls,
});

const anyCandidate = fc.record<Candidate>({
  clusterId: fc.constantFrom("a", "b", "c", "d", "e"),
  state: fc.constantFrom("active", "cordoned"),
  repls: fc.nat({ max: 3 }),
  ownerRepls: fc.nat({ max: 2 }),
});
const anyCandidates = fc.uniqueArray(anyCandidate, { selector: ({ clusterId }) => clusterId });

describe("choose()", () => {
  it("takes the cluster with the fewest repls", () => {
    expect(choose([cluster("east", 3), cluster("west", 2)])).toEqual({
      clusterId: "west",
      reasons: ['"west" has 2 repls, 0 of the owner: chosen', '"east" has 3 repls, 0 of the owner'],
    });
  });

  it("keeps an owner together among equals, and goes by the id last", () => {
    expect(choose([cluster("east", 2), cluster("west", 2, 1)]).clusterId).toBe("west");
    expect(choose([cluster("west", 2), cluster("east", 2)]).clusterId).toBe("east");
  });

  it("passes by what is cordoned, and says so", () => {
    const cordoned = { ...cluster("west", 0), state: "cordoned" as const };
    expect(choose([cordoned, cluster("east", 9)])).toMatchObject({ clusterId: "east" });
    expect(choose([cordoned])).toEqual({ clusterId: undefined, reasons: ['"west" is cordoned'] });
    expect(choose([])).toEqual({ clusterId: undefined, reasons: [] });
  });

  it("does not depend on the order of the clusters", () => {
    fc.assert(
      fc.property(anyCandidates, (candidates) => {
        expect(choose(candidates.toReversed())).toMatchObject({
          clusterId: choose(candidates).clusterId,
        });
      }),
    );
  });

  it("never takes a fuller cluster than it must", () => {
    fc.assert(
      fc.property(anyCandidates, (candidates) => {
        const active = candidates.filter(({ state }) => state === "active");
        const chosen = candidates.find(
          ({ clusterId }) => clusterId === choose(candidates).clusterId,
        );
        expect(chosen?.repls).toBe(
          active.length > 0 ? Math.min(...active.map(({ repls }) => repls)) : undefined,
        );
      }),
    );
  });
});

describe("chooseForEach()", () => {
  const place = (clusterId: string, repls: number, owners: Record<string, number> = {}): Place => ({
    clusterId,
    state: "active",
    repls,
    owners: new Map(Object.entries(owners)),
  });
  const leaving = (owners: string) =>
    owners.split("").map((owner, index) => ({ replId: `r${index}`, owner }));

  it("fills the emptiest, and counts what it has just placed", () => {
    const { chosen } = chooseForEach([place("b", 2), place("c", 0)], leaving("xxxx"));
    expect(chosen.map(({ clusterId }) => clusterId)).toEqual(["c", "c", "c", "b"]);
  });

  it("keeps owners together among equals", () => {
    const { chosen } = chooseForEach([place("b", 1), place("c", 1, { y: 1 })], leaving("yx"));
    expect(chosen.map(({ clusterId }) => clusterId)).toEqual(["c", "b"]);
  });

  it("places nothing where nothing can be placed, and says why", () => {
    const cordoned = { ...place("b", 0), state: "cordoned" as const };
    expect(chooseForEach([cordoned], leaving("x"))).toEqual({
      chosen: [],
      reasons: ['"b" is cordoned'],
    });
  });

  it("leaves active clusters level that were level before", () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 }), fc.integer({ min: 1, max: 5 }), (repls, clusters) => {
        const places = Array.from({ length: clusters }, (_, n) => place(`c${n}`, 3));
        const { chosen } = chooseForEach(places, leaving("x".repeat(repls)));
        const counts = places.map(
          ({ clusterId }) => chosen.filter((home) => home.clusterId === clusterId).length,
        );
        expect(chosen).toHaveLength(repls);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
