import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decide, type DecideCommand, type DecisionStatus } from "./decision";

const commit: DecideCommand = { decision: "committed", expired: false };
const abort: DecideCommand = { decision: "aborted", expired: false };

/** What the store writes for a verdict. */
function write(status: DecisionStatus, command: DecideCommand): DecisionStatus {
  switch (decide(status, command).kind) {
    case "commit":
      return "committed";
    case "abort":
      return "aborted";
    case "stands":
    case "refuse":
      return status;
  }
}

describe("decide()", () => {
  it("does what is asked while nothing is decided", () => {
    expect(decide("open", commit)).toEqual({ kind: "commit" });
    expect(decide("open", abort)).toEqual({ kind: "abort" });
  });

  it("aborts a commit that comes after the destination's boot lease", () => {
    expect(decide("open", { ...commit, expired: true })).toEqual({ kind: "abort" });
  });

  it("keeps an abort that comes before its migration, and refuses such a commit", () => {
    expect(decide("unknown", abort)).toEqual({ kind: "abort" });
    expect(decide("unknown", commit)).toEqual({ kind: "refuse" });
  });

  it("decides once: the first decision stands whatever follows", () => {
    const anyCommand = fc.record<DecideCommand>({
      decision: fc.constantFrom("committed", "aborted"),
      expired: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.constantFrom<DecisionStatus>("open", "unknown"),
        fc.array(anyCommand, { minLength: 1, maxLength: 10 }),
        (start, commands) => {
          let status = start;
          for (const command of commands) {
            const before = status;
            status = write(status, command);
            const wasDecided = before === "committed" || before === "aborted";
            if (wasDecided) expect(status).toBe(before);
          }
          if (start === "open") expect(["committed", "aborted"]).toContain(status);
        },
      ),
    );
  });
});
