import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { FREEZE_DEADLINE_MS } from "./limits";
import {
  MAX_DELTA_MS,
  MAX_ROUNDS,
  MAX_STOP_MS,
  outrunReason,
  type Round,
  stopDeadlineMs,
  verdictOf,
} from "./rounds";

const MB = 1_000_000;
const GB = 1_000 * MB;

/** An app of so many bytes that changes them at one rate, while they are copied at another (MB/s). */
function play(bytes: number, changeRate: number, copyRate: number) {
  const rounds: Round[] = [];
  let changed = bytes;
  for (;;) {
    const ms = 20 + changed / (copyRate * 1_000);
    const sinceMs = rounds.at(-1)?.ms ?? null;
    const changedFiles = Math.ceil(changed / MB);
    rounds.push({ bytes, changedFiles, changedBytes: changed, unsettledBytes: 0, ms, sinceMs });
    const verdict = verdictOf(rounds);
    if (verdict.kind !== "again") return { verdict, rounds };
    changed = Math.min(bytes, changeRate * 1_000 * ms);
  }
}

describe("verdictOf()", () => {
  it("freezes a small app after one round", () => {
    expect(play(100_000, 0.1, 100)).toMatchObject({ verdict: { kind: "freeze" } });
    expect(play(100_000, 0.1, 100).rounds).toHaveLength(1);
  });

  it("copies a large one again, until little has changed", () => {
    const { verdict, rounds } = play(10 * GB, 20, 100);
    expect(verdict).toEqual({ kind: "freeze" });
    expect(rounds.length).toBeGreaterThan(2);
    expect(rounds.at(-1)!.ms).toBeLessThan(1_000);
  });

  it("copies a large one that does not write twice", () => {
    expect(play(10 * GB, 0, 100).rounds).toHaveLength(2);
  });

  it("copies again what was written at the moment of the look, but not for ever", () => {
    const one = { changedFiles: 1, bytes: GB, changedBytes: 100 * MB, unsettledBytes: 100 * MB };
    const first = { ...one, ms: 1_000, sinceMs: null };
    const later = { ...one, ms: 1_000, sinceMs: 1_000 };
    expect(verdictOf([first])).toEqual({ kind: "again" });
    expect(verdictOf([first, { ...later, ms: 10, changedBytes: 1 }])).toEqual({ kind: "again" });
    expect(verdictOf([first, { ...later, ms: 10, changedBytes: 1, unsettledBytes: 1 }])).toEqual({
      kind: "freeze",
    });
    expect(verdictOf([first, later, later])).toEqual({ kind: "freeze" });
    const slow = { ...later, ms: 5_000, sinceMs: 5_000 };
    expect(verdictOf([slow, slow, slow])).toMatchObject({ kind: "outrun" });
  });

  it("gives up an app that writes faster than is copied, and names both rates and the pause", () => {
    const { verdict, rounds } = play(4 * GB, 150, 100);
    expect(verdict.kind).toBe("outrun");
    if (verdict.kind !== "outrun") return;
    expect(verdict.changeRate / 1_000).toBeCloseTo(100, 0);
    expect(verdict.copyRate / 1_000).toBeCloseTo(100, 0);
    expect(verdict.pauseMs / 1_000).toBeCloseTo(41, 0);
    expect(rounds).toHaveLength(3);
    expect(outrunReason(verdict, "stele move a.b west --mode stop-copy")).toBe(
      "the app changes 100.0 MB/s of its files and 100.0 MB/s can be copied; " +
        '"stele move a.b west --mode stop-copy" moves it with a pause of about 42 s',
    );
  });

  it("freezes one that always changes the same, where that fits into the pause", () => {
    const hot = (ms: number): Round[] =>
      [null, ms, ms, ms].map((sinceMs) => {
        return { bytes: GB, changedFiles: 1, changedBytes: GB, unsettledBytes: 0, ms, sinceMs };
      });
    expect(verdictOf(hot(MAX_DELTA_MS - 1))).toEqual({ kind: "freeze" });
    expect(verdictOf(hot(MAX_DELTA_MS + 1))).toMatchObject({ kind: "outrun" });
  });

  it("comes to an end, and freezes only when the rest fits into the pause", () => {
    const rate = fc.double({ min: 0.01, max: 1_000, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 * GB }), rate, rate, (bytes, change, copied) => {
        const { verdict, rounds } = play(bytes, change, copied);
        expect(rounds.length).toBeLessThanOrEqual(MAX_ROUNDS);
        const last = rounds.at(-1)!;
        const delta = Math.min(bytes, change * 1_000 * last.ms);
        const deltaMs = delta / (copied * 1_000);
        // Of a small change it is not asked how slow the disk is.
        if (verdict.kind === "freeze" && last.changedBytes > 4 * MB * 1.05) {
          expect(deltaMs).toBeLessThanOrEqual(MAX_DELTA_MS * 1.5);
        }
        if (verdict.kind === "outrun") expect(verdict.pauseMs).toBeGreaterThan(MAX_DELTA_MS);
      }),
    );
  });
});

describe("stopDeadlineMs()", () => {
  const round = { changedFiles: 1, unsettledBytes: 0, sinceMs: null };

  it("has time for the whole copy, on a slower disk too", () => {
    const first = { ...round, bytes: GB, changedBytes: GB, ms: 10_000 };
    expect(stopDeadlineMs(first)).toBe(FREEZE_DEADLINE_MS + 30_000);
  });

  it("counts what an earlier move has left there as if it had to be copied", () => {
    const first = { ...round, bytes: GB, changedBytes: GB / 10, ms: 1_000 };
    expect(stopDeadlineMs(first)).toBe(FREEZE_DEADLINE_MS + 30_000);
  });

  it("has an end", () => {
    const first = { ...round, bytes: 60 * GB, changedBytes: 1, ms: 10_000 };
    expect(stopDeadlineMs(first)).toBe(MAX_STOP_MS);
    expect(stopDeadlineMs({ ...first, bytes: 0, changedBytes: 0 })).toBeGreaterThan(0);
  });
});
