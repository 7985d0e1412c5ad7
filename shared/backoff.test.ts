import fc from "fast-check";
import { expect, it } from "vitest";

import { backoffMs } from "./backoff";

it("doubles from the minimum to the maximum, less up to half", () => {
  const bounds = { minMs: 100, maxMs: 1_000 };
  expect([1, 2, 3, 4, 5, 60].map((attempt) => backoffMs(attempt, bounds, 0))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, random) => {
        const wait = backoffMs(attempt, bounds, random);
        expect(wait).toBeGreaterThanOrEqual(50);
        expect(wait).toBeLessThanOrEqual(1_000);
      },
    ),
  );
});
