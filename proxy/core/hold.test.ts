import { describe, expect, it } from "vitest";

import { holdUntil, mayHold } from "./hold";
import { LIMITS } from "./limits";

describe("mayHold()", () => {
  it.each([
    [{ inRepl: 0, inProcess: 0, bytes: 0 }, true],
    [{ inRepl: LIMITS.heldPerRepl - 1, inProcess: LIMITS.heldPerProcess - 1, bytes: 0 }, true],
    [{ inRepl: LIMITS.heldPerRepl, inProcess: 0, bytes: 0 }, false],
    [{ inRepl: 0, inProcess: LIMITS.heldPerProcess, bytes: 0 }, false],
    [{ inRepl: 0, inProcess: 0, bytes: LIMITS.heldBytesPerProcess }, false],
  ])("%o is %s", (held, expected) => {
    expect(mayHold(held)).toBe(expected);
  });
});

describe("holdUntil()", () => {
  it("is the hold budget, the longer one of a start, and never beyond the first hold's end", () => {
    expect(holdUntil(1_000, false, 0)).toBe(1_000 + LIMITS.holdMs);
    expect(holdUntil(1_000, true, 0)).toBe(1_000 + LIMITS.wakeMs);
    expect(holdUntil(1_000, false, 1_500)).toBe(1_500);
    expect(holdUntil(1_000, true, 99_000_000)).toBe(1_000 + LIMITS.wakeMs);
  });
});
