import { describe, expect, it } from "vitest";

import { APPS, PHASES, planRound, randomOf } from "./load-plan";

const CLUSTERS = ["a", "b", "c"] as const;
const ROUNDS = 200;
const rounds = () => {
  const random = randomOf(7);
  return Array.from({ length: ROUNDS }, (_, n) => planRound(n, CLUSTERS, random, true));
};

describe("the plan", () => {
  it("takes every app from a to b and back, to c and back", () => {
    for (const app of APPS) {
      const way = planRound(1, CLUSTERS, randomOf(1), true).filter((step) => step.app === app);
      expect(way.map(({ from, to }) => from + to)).toEqual(["ab", "ba", "ac", "ca"]);
    }
  });

  it("is the same for the same seed", () => {
    expect(rounds()).toEqual(rounds());
  });

  it("kills a cluster only while no app lives there, and never the one that pinned visitors ask", () => {
    for (const round of rounds()) {
      const homes = new Map<string, string>(APPS.map((app) => [app, "a"]));
      for (const { app, from, to, crash } of round) {
        homes.set(app, "on its way");
        const victim = crash && { control: "", destination: to, source: from }[crash.victim];
        expect([...homes.values(), "a"]).not.toContain(victim);
        homes.set(app, to);
      }
    }
  });

  it("kills the destination before the commit, the source after it, the control plane at any time", () => {
    const seen = new Map<string, Set<string>>();
    for (const { crash } of rounds().flat()) {
      if (!crash) continue;
      const phases = seen.get(crash.victim) ?? new Set();
      seen.set(crash.victim, phases.add(crash.phase));
    }
    const commit = PHASES.indexOf("switching");
    const [before, after] = [PHASES.slice(1, commit), PHASES.slice(commit, -1)];
    expect(seen.get("destination")).toEqual(new Set(before));
    expect(seen.get("source")).toEqual(new Set(after));
    expect(seen.get("control")).toEqual(new Set([...before, ...after]));
  });

  it("kills nothing when it shall not", () => {
    expect(planRound(3, CLUSTERS, randomOf(1), false).some(({ crash }) => crash)).toBe(false);
  });
});
