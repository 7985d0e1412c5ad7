import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { afterFailure, backoffMs, isSpent, maxAttempts, type RetryPolicy } from "./delivery-policy";

describe("backoffMs()", () => {
  it.each([
    [1, 10],
    [2, 20],
    [3, 40],
    [5, 100],
    [5_000, 100],
  ])("after attempt %i waits %i ms", (attempt, expected) => {
    expect(backoffMs(attempt, { minBackoffMs: 10, maxBackoffMs: 100 })).toBe(expected);
  });
});

describe("maxAttempts()", () => {
  it.each([
    [3, 4],
    [0, 101],
    [-1, Infinity],
    [-2, 1],
  ])("maxRetries %i is %d deliveries", (maxRetries, expected) => {
    expect(maxAttempts(maxRetries)).toBe(expected);
  });
});

const policies: fc.Arbitrary<RetryPolicy> = fc
  .record({
    minBackoffMs: fc.integer({ min: 1, max: 1_000 }),
    more: fc.integer({ min: 0, max: 100_000 }),
    maxRetries: fc.integer({ min: -2, max: 50 }),
  })
  .map(({ minBackoffMs, more, maxRetries }) => ({
    minBackoffMs,
    maxBackoffMs: minBackoffMs + more,
    maxRetries,
  }));

describe("the life of a message", () => {
  it("that always fails: pauses grow within their bounds, then the dead letters", () => {
    fc.assert(
      fc.property(policies, (policy) => {
        const most = Math.min(maxAttempts(policy.maxRetries), 200);
        let before = 0;
        for (let attempt = 1; attempt < most; attempt++) {
          const next = afterFailure(attempt, policy);
          if (next.to !== "retry") throw new Error(`given up after ${attempt} of ${most}`);
          expect(next.delayMs).toBeGreaterThanOrEqual(Math.max(before, policy.minBackoffMs));
          expect(next.delayMs).toBeLessThanOrEqual(policy.maxBackoffMs);
          before = next.delayMs;
        }
        const last = afterFailure(maxAttempts(policy.maxRetries), policy);
        if (policy.maxRetries !== -1) expect(last).toEqual({ to: "dead letter" });
      }),
    );
  });

  it("whose processes die in it: it is handled once for each attempt, and no more", () => {
    fc.assert(
      fc.property(policies, fc.array(fc.boolean(), { maxLength: 120 }), (policy, deaths) => {
        let handled = 0;
        let over = false;
        for (let attempt = 1; !over && attempt <= deaths.length; attempt++) {
          if (isSpent(attempt, policy)) break;
          handled++;
          const died = deaths[attempt - 1] as boolean;
          if (!died) over = afterFailure(attempt, policy).to === "dead letter";
        }
        expect(handled).toBeLessThanOrEqual(maxAttempts(policy.maxRetries));
      }),
    );
  });
});
