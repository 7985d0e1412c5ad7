import { describe, expect, it } from "vitest";

import { explore } from "./explore";
import { PRODUCTION } from "./rules";
import { LARGE } from "./shapes";

const STATES_OF_EACH = 250_000;

describe("the production rules", () => {
  it.each(Object.entries(LARGE))("hold in the nearest states of %s", (_name, shape) => {
    const { counterexample, states } = explore(shape, PRODUCTION, STATES_OF_EACH);
    expect(counterexample).toBeUndefined();
    expect(states).toBeGreaterThanOrEqual(STATES_OF_EACH);
  });
});
