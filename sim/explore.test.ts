import { describe, expect, it } from "vitest";

import { explore } from "./explore";
import { MUTANTS } from "./mutants";
import { PRODUCTION } from "./rules";
import { DEPLOY_SHAPE, MUTANT_SHAPE, REQUEST_SHAPE, SMALL } from "./shapes";

/** Many times what it takes. */
const TIMEOUT_MS = 120_000;

describe("the production rules", { timeout: TIMEOUT_MS }, () => {
  it.each(Object.entries(SMALL))("hold in every state of %s", (_name, shape) => {
    const { counterexample, complete, states } = explore(shape, PRODUCTION);
    expect(counterexample).toBeUndefined();
    expect(complete).toBe(true);
    // A world that ends early would prove nothing.
    expect(states).toBeGreaterThan(20_000);
  });
});

const SHAPES = { request: REQUEST_SHAPE, deploy: DEPLOY_SHAPE };

describe("each rule is needed: without it, something breaks", { timeout: TIMEOUT_MS }, () => {
  it.each(MUTANTS)("$rule", ({ rules, broken, needs }) => {
    const { counterexample } = explore(needs ? SHAPES[needs] : MUTANT_SHAPE, rules, 300_000);
    expect(counterexample?.broken).toMatch(broken);
    expect(counterexample?.story.length).toBeGreaterThan(0);
  });

  it("tells the shortest way as a story", () => {
    const mutant = MUTANTS.find(({ rule }) => rule.startsWith("a freeze is over"));
    const { counterexample } = explore(MUTANT_SHAPE, mutant?.rules ?? PRODUCTION);
    expect(counterexample).toEqual({
      broken: "two containers may write: in A and B",
      story: [
        "move 1 is asked for: to B",
        "move 1: open_migration → done",
        "move 1: choose_mode → done",
        "move 1: stage_destination → done",
        "move 1: copy_files → done",
        "move 1: freeze_source → done",
        "move 1: copy_delta → done",
        "move 1: boot_destination → done",
      ],
    });
  });
});
