import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Candidate, choose } from "./choose";

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
