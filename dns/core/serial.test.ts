import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { baseAsked, baseFor, isAfter, serialOf } from "./serial";

describe("serials", () => {
  it.each([
    [1, 0, true],
    [0, 1, false],
    [0, 0, false],
    [0, 0xffffffff, true], // wrapped around
    [0x80000000, 0, false], // undefined in RFC 1982
  ])("%i after %i is %s", (a, b, expected) => {
    expect(isAfter(a, b)).toBe(expected);
  });

  it("become what is asked for when that is later, and stay otherwise", () => {
    const [base, before] = [1_000, 1_005];
    const now = [7, 2];
    expect(serialOf(baseAsked(2_026_112_101, before, now, base), ...now)).toBe(2_026_112_101);
    expect(baseAsked(1_005, before, now, base)).toBe(base);
    expect(baseAsked(999, before, now, base)).toBe(base);
    expect(serialOf(baseFor(3, ...now), ...now)).toBe(3);
    expect(baseFor(3, ...now)).toBeGreaterThanOrEqual(0);
  });

  it("rise with every counter, across the end of the range", () => {
    const counter = fc.nat({ max: 2 ** 40 });
    fc.assert(
      fc.property(counter, counter, counter, fc.integer({ min: 1, max: 1e6 }), (base, a, b, by) => {
        expect(isAfter(serialOf(base, a + by, b), serialOf(base, a, b))).toBe(true);
        expect(isAfter(serialOf(base, a, b + by), serialOf(base, a, b))).toBe(true);
      }),
    );
  });
});
