import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  child,
  firstLabel,
  fold,
  formatName,
  isHostname,
  isWithin,
  labelsOf,
  nameAt,
  nameOctets,
  parentOf,
  parseName,
  rebase,
  ROOT,
} from "./names";

function wire(text: string): string {
  const name = parseName(text);
  if (!name.ok) throw new Error(name.reason);
  return name.value;
}

const anyName = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 10 })
  .map((labels) => labels.reduceRight((name, l) => child(String.fromCharCode(...l), name), ROOT));

describe("parseName()", () => {
  it.each([
    ["a.example.org", "\x01a\x07example\x03org\0"],
    ["a.example.org.", "\x01a\x07example\x03org\0"],
    [".", "\0"],
    ["*.x", "\x01*\x01x\0"],
    ["a\\.b.x", "\x03a.b\x01x\0"],
    ["\\000\\255.x", "\x02\0\xff\x01x\0"],
    ["MiXed", "\x05MiXed\0"],
  ])("reads %s", (text, expected) => {
    expect(wire(text)).toBe(expected);
  });

  it.each([
    ["", /empty name/],
    ["a..b", /empty label/],
    [".a", /empty label/],
    ["a\\", /lone backslash/],
    ["a\\25", /escape/],
    ["a\\256", /escape/],
    ["a b", /escaped/],
    ["b\u00fccher.example", /escaped/],
    [`${"a".repeat(64)}.x`, /at most 63/],
    [Array.from({ length: 130 }, () => "a").join("."), /at most 255/],
  ])("refuses %j", (text, reason) => {
    expect(parseName(text)).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
  });

  it("reads back what formatName() wrote, whatever the octets", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        expect(wire(formatName(name))).toBe(name);
      }),
    );
  });
});

describe("names", () => {
  it("fold A to Z only", () => {
    expect(fold("\x03A\xc0Z\0")).toBe("\x03a\xc0z\0");
  });

  it("know their parents and labels", () => {
    expect(parentOf(wire("a.b"))).toBe(wire("b"));
    expect(parentOf(ROOT)).toBe(ROOT);
    expect(firstLabel(wire("ab.c"))).toBe("ab");
    expect(labelsOf(wire("ab.c"))).toEqual(["ab", "c"]);
  });

  it.each([
    ["a.example.org", "example.org", true],
    ["example.org", "example.org", true],
    ["anexample.org", "example.org", false],
    ["org", "example.org", false],
    ["example.org", ".", true],
    ["a\\007example\\003org", "example.org", false],
  ])("%s within %s is %s", (name, zone, expected) => {
    expect(isWithin(wire(name), wire(zone))).toBe(expected);
  });

  it("are rebased from one zone to another", () => {
    expect(rebase(wire("a.x.org"), wire("x.org"), wire("y"))).toBe(wire("a.y"));
    expect(rebase(wire("a.z.org"), wire("x.org"), wire("y"))).toBeUndefined();
  });

  it("survive the way into octets and back", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        expect(nameAt(nameOctets(name), 0)).toBe(name);
      }),
    );
    expect(nameAt(Uint8Array.of(3, 97), 0)).toBeUndefined();
    expect(nameAt(Uint8Array.of(0xc0, 0), 0)).toBeUndefined();
  });

  it("are host names or not", () => {
    expect(isHostname(wire("shop.example.org"))).toBe(true);
    expect(isHostname(wire("_tcp.example.org"))).toBe(false);
    expect(isHostname(wire("-a.org"))).toBe(false);
    expect(isHostname(ROOT)).toBe(false);
  });
});
