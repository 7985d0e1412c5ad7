import { describe, expect, it } from "vitest";

import { MUTANTS } from "./mutants";
import { PRODUCTION } from "./rules";
import { firstFailure, simulate, simulationOf } from "./simulate";

const TIMEOUT_MS = 120_000;
const SEEDS = 100;
const SEEDS_OF_MUTANT = 400;

describe("the simulation", { timeout: TIMEOUT_MS }, () => {
  it(`holds for ${SEEDS} seeds, and moves come to their end in the storm`, () => {
    let completed = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = simulate(simulationOf(seed), PRODUCTION);
      expect(result.failure, `npm run sim -- --seed ${seed}`).toBeUndefined();
      completed += result.completed;
    }
    expect(completed).toBeGreaterThan(SEEDS);
  });

  it("comes again, event by event, for the same seed", () => {
    expect(simulate(simulationOf(7), PRODUCTION)).toEqual(simulate(simulationOf(7), PRODUCTION));
  });

  // The others need a chain of chances that a storm rarely gives; the explorer has them all.
  const found = MUTANTS.filter(({ inStorm }) => inStorm);
  it.each(found)("finds out that $rule", ({ rules }) => {
    expect(firstFailure(1, SEEDS_OF_MUTANT, rules)).toBeDefined();
  });
});
