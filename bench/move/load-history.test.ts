import { describe, expect, it } from "vitest";

import { faultsOf, type Written } from "./load-history";

const line = (seq: number, n: number, generation = 1, by = "a"): Written => ({
  seq,
  by,
  n,
  generation,
});
const acknowledged = new Map([
  ["a", new Map([[1, 1]])],
  ["b", new Map([[1, 3]])],
]);
const whole = [line(1, 1), line(2, 2), line(3, 1, 2, "b")];

describe("the writer's file", () => {
  it("may have what was not acknowledged", () => {
    expect(faultsOf(whole, acknowledged, new Map([["a", 2]]))).toEqual([]);
  });

  it.each<[string, Written[], RegExp]>([
    ["a gap", [line(1, 1), line(3, 2), line(4, 1, 2, "b")], /line 2 has number 3/],
    ["a number twice", [line(1, 1), line(1, 2), line(3, 1, 2, "b")], /line 2 has number 1/],
    [
      "an older writer",
      [line(1, 1, 2), line(2, 2, 1), line(3, 1, 2, "b")],
      /generation 1, after 2/,
    ],
    ["a write twice", [line(1, 1), line(2, 1), line(3, 1, 2, "b")], /a 1 is there twice/],
    ["a lost write", [line(1, 1), line(2, 2)], /b 1 was acknowledged and is not there/],
    ["a write under another number", [line(1, 1), line(2, 1, 1, "b")], /as 3, is 2/],
  ])("is found to have %s", (_what, file, fault) => {
    expect(faultsOf(file, acknowledged, new Map()).join()).toMatch(fault);
  });

  it("is found to lack a message between two others", () => {
    const faults = faultsOf(whole, acknowledged, new Map([["b", 2]]));
    expect(faults).toEqual(["b 2 was acknowledged and is not there"]);
  });
});
