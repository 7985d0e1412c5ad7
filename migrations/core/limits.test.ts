import { describe, expect, it } from "vitest";

import {
  bootLeaseMs,
  commitBy,
  FREEZE_DEADLINE_MS,
  freezeLeftMs,
  leaseLeftMs,
  MAX_ATTEMPTS,
  mayRetry,
  TIMEOUT_MS,
} from "./limits";

describe("limits", () => {
  it("gives up before the commit, and never after it", () => {
    expect(mayRetry("copying", MAX_ATTEMPTS - 1)).toBe(true);
    expect(mayRetry("copying", MAX_ATTEMPTS)).toBe(false);
    expect(mayRetry("switching", 1_000)).toBe(true);
    expect(mayRetry("aborting", 1_000)).toBe(true);
  });

  it("counts the freeze deadline from the freeze to the commit", () => {
    expect(freezeLeftMs("delta", 1_000, 1_000)).toBe(FREEZE_DEADLINE_MS);
    expect(freezeLeftMs("verifying", 1_000, 4_000)).toBe(FREEZE_DEADLINE_MS - 3_000);
    expect(freezeLeftMs("booting", 1_000, 60_000)).toBe(0);
    expect(freezeLeftMs("booting", null, 60_000)).toBeUndefined();
    expect(freezeLeftMs("switching", 1_000, 60_000)).toBeUndefined();
    expect(freezeLeftMs("aborting", 1_000, 60_000)).toBeUndefined();
  });

  it("lets a lease outlast what it is for, and waits longer than it can last", () => {
    expect(bootLeaseMs("handoff")).toBeGreaterThan(FREEZE_DEADLINE_MS);
    expect(bootLeaseMs("overlap")).toBeGreaterThan(TIMEOUT_MS.boot_destination);
    for (const mode of ["asleep", "handoff", "overlap"] as const) {
      const leaseMs = bootLeaseMs(mode);
      // Granted just before the abort, it ends before it is given up; and no commit comes so late.
      expect(leaseLeftMs(mode, 1_000, 1_000 + leaseMs)).toBeGreaterThan(0);
      expect(leaseLeftMs(mode, 1_000, 10_000 + leaseMs)).toBe(0);
      expect(commitBy(1_000, leaseMs)).toBeLessThan(1_000 + leaseMs);
    }
  });
});
