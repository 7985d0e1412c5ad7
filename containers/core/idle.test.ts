import { describe, expect, it } from "vitest";

import { isIdle, type Use } from "./idle";

const NOW = 1_000_000;
const IDLE_STOP_MS = 60_000;

describe("isIdle", () => {
  it.each<[string, Use, boolean]>([
    ["never used, long ago started", { startedAt: 0, lastHitAt: null, inFlight: 0 }, true],
    ["just started", { startedAt: NOW - 10, lastHitAt: null, inFlight: 0 }, false],
    ["just used", { startedAt: 0, lastHitAt: NOW - 10, inFlight: 0 }, false],
    ["used long ago", { startedAt: 0, lastHitAt: NOW - IDLE_STOP_MS, inFlight: 0 }, true],
    ["a WebSocket is open", { startedAt: 0, lastHitAt: 0, inFlight: 1 }, false],
  ])("%s", (_what, use, expected) => {
    expect(isIdle(use, NOW, IDLE_STOP_MS)).toBe(expected);
  });

  it("gives proxies the time to tell of a hit", () => {
    const use = { startedAt: NOW - 1_999, lastHitAt: null, inFlight: 0 };
    expect(isIdle(use, NOW, 1)).toBe(false);
    expect(isIdle({ ...use, startedAt: NOW - 2_000 }, NOW, 1)).toBe(true);
  });
});
