import { describe, expect, it } from "vitest";

import { backoffMs, maxAttempts } from "./pubsub-consumer";

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
