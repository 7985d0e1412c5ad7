import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EventTracker } from "./events";

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));

describe("EventTracker", () => {
  it.each([
    ["data: 1\n\ndata: 2", 9],
    ["data: 1\r\n\r\ndata: 2", 11],
    ["data: 1\r\rdata: 2", 9],
    ["data: 1\ndata: 2\n\n", 17],
    ["\ndata: 1", 1],
  ])("stops behind the first event of %j", (text, end) => {
    const tracker = new EventTracker();
    tracker.scan(bytesOf("x"), 0, false);
    tracker.scan(bytesOf("\n"), 0, false);
    expect(tracker.scan(bytesOf(text), 0, true)).toBe(end);
    expect(tracker.atBoundary).toBe(true);
  });

  it("is at a boundary before the first byte, and not within a line", () => {
    const tracker = new EventTracker();
    expect(tracker.atBoundary).toBe(true);
    expect(tracker.scan(bytesOf("data"), 0, false)).toBe(4);
    expect(tracker.atBoundary).toBe(false);
    expect(tracker.scan(bytesOf(": 1\n"), 0, true)).toBe(4);
    expect(tracker.atBoundary).toBe(false);
  });

  it("says the same wherever its input is cut", () => {
    const text = fc.array(fc.constantFrom("a", "\n", "\r", "\r\n", ":"), { maxLength: 20 });
    fc.assert(
      fc.property(text, fc.nat(40), (parts, seed) => {
        const bytes = bytesOf(parts.join(""));
        const cut = seed % (bytes.length + 1);
        const whole = new EventTracker();
        whole.scan(bytes, 0, false);
        const halves = new EventTracker();
        halves.scan(bytes.subarray(0, cut), 0, false);
        halves.scan(bytes.subarray(cut), 0, false);
        expect(halves.atBoundary).toBe(whole.atBoundary);
      }),
    );
  });
});
