import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isAfter, serialOf } from "./serial";

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
