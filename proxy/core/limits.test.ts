import { describe, expect, it } from "vitest";

import { LIMITS } from "./limits";

describe("LIMITS", () => {
  it("bounds everything by a positive whole number", () => {
    for (const [name, limit] of Object.entries(LIMITS)) {
      expect(Number.isInteger(limit) && limit > 0, name).toBe(true);
    }
  });

  it("fits together", () => {
    expect(LIMITS.targetBytes).toBeLessThan(LIMITS.headBytes);
    expect(LIMITS.heldPerRepl).toBeLessThan(LIMITS.heldPerCluster);
    const most = LIMITS.headBytes + LIMITS.lookAheadBytes + LIMITS.highWaterMarkBytes;
    expect(most).toBeLessThanOrEqual(LIMITS.heldBytesPerRequest);
    // A cut must be over before the two seconds that a freeze gives to what is in flight.
    expect(LIMITS.cutMs).toBeLessThan(2_000);
  });
});
