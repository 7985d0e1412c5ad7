import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { CLOSE_1012, FrameTracker } from "./frames";

/** A frame as a server sends it; with a mask when `masked`. */
function frame(opcode: number, length: number, masked = false): number[] {
  const size =
    length < 126
      ? [length]
      : length < 65_536
        ? [126, length >> 8, length & 255]
        : [127, 0, 0, 0, 0, length >> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  const [first = 0, ...rest] = size;
  const mask = masked ? [1, 2, 3, 4] : [];
  const payload = Array.from({ length }, (_, index) => index & 255);
  return [0x80 | opcode, first | (masked ? 0x80 : 0), ...rest, ...mask, ...payload];
}

describe("FrameTracker", () => {
  it("knows the close frame that we send", () => {
    const tracker = new FrameTracker();
    tracker.scan(CLOSE_1012, 0, false);
    expect(tracker.atBoundary).toBe(true);
    expect(tracker.closed).toBe(true);
    expect((CLOSE_1012[2] as number) * 256 + (CLOSE_1012[3] as number)).toBe(1012);
  });

  it("is at a boundary exactly where frames end, wherever the bytes are cut", () => {
    const length = fc.oneof(fc.nat(10), fc.constantFrom(125, 126, 127, 300, 65_535, 65_536));
    const frames = fc.array(fc.tuple(fc.constantFrom(1, 2, 9, 10), length, fc.boolean()), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(frames, fc.nat(), (list, seed) => {
        const parts = list.map(([opcode, size, masked]) => frame(opcode, size, masked));
        const bytes = Uint8Array.from(parts.flat());
        const ends = new Set<number>([0]);
        let end = 0;
        for (const part of parts) ends.add((end += part.length));
        const cut = seed % (bytes.length + 1);
        const tracker = new FrameTracker();
        tracker.scan(bytes.subarray(0, cut), 0, false);
        expect(tracker.atBoundary).toBe(ends.has(cut));
        const stop = tracker.scan(bytes, cut, true);
        expect(stop).toBe([...ends].filter((offset) => offset >= cut)[0]);
      }),
      { numRuns: 60 },
    );
  });
});
