import { describe, expect, it } from "vitest";

import { FREEZE_DEADLINE_MS, freezeLeftMs, MAX_ATTEMPTS, mayRetry } from "./limits";

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
});
