import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { afterCrash } from "./restart";

describe("afterCrash", () => {
  it("waits longer after each crash in a row", () => {
    const waits = [0, 1, 2, 3].map((crashes) => afterCrash({ crashes, upMs: 10 }, 0).waitMs);
    expect(waits).toEqual([200, 400, 800, 1600]);
  });

  it("forgets crashes after a minute up", () => {
    expect(afterCrash({ crashes: 4, upMs: 60_000 }, 0)).toEqual({
      crashes: 1,
      waitMs: 200,
      automatic: true,
    });
  });

  it("ends a crash loop", () => {
    expect(afterCrash({ crashes: 3, upMs: 10 }, 0).automatic).toBe(true);
    expect(afterCrash({ crashes: 4, upMs: 10 }, 0).automatic).toBe(false);
  });

  it("does not start again by itself what never became ready", () => {
    expect(afterCrash({ crashes: 0, upMs: 0 }, 0).automatic).toBe(false);
  });

  it("never waits longer than half a minute", () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.nat(59_999),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (crashes, upMs, random) => {
          const { waitMs } = afterCrash({ crashes, upMs }, random);
          expect(waitMs).toBeGreaterThanOrEqual(100);
          expect(waitMs).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });
});
