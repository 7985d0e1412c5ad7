import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE, typeCode } from "./codes";
import { faultOfPattern, mayTransfer, mayUpdate, type Policy } from "./policy";

const policy = (change: Partial<Policy>): Policy => {
  return {
    zones: ["*"],
    names: ["*"],
    types: ["*"],
    mayTransfer: true,
    mayUpdate: true,
    ...change,
  };
};
const zone = wireName("example.org");

describe("a policy", () => {
  it.each([
    ["*", "a.example.org", true],
    ["a.example.org", "a.example.org", true],
    ["A.Example.org", "a.example.org", true],
    ["a.example.org", "b.a.example.org", false],
    ["*.dyn.example.org", "b.a.dyn.example.org", true],
    ["*.dyn.example.org", "dyn.example.org", false],
    ["_acme-challenge.*", "_acme-challenge.www.example.org", true],
    ["_acme-challenge.*", "x._acme-challenge.example.org", false],
    ["_acme-challenge.*.example.org", "_acme-challenge.a.b.example.org", true],
    ["_acme-challenge.*.example.org", "_acme-challenge.example.org", false],
  ])("%s lets %s be changed: %s", (pattern, name, expected) => {
    const names = ["nothing.example", pattern];
    expect(mayUpdate(policy({ names }), zone, wireName(name), TYPE.TXT)).toBe(expected);
  });

  it("bounds types, zones, and what may be done", () => {
    const at = (change: Partial<Policy>, type = "TXT"): boolean =>
      mayUpdate(policy(change), zone, zone, typeCode(type)!);
    expect(at({ types: ["TXT", "TYPE65"] })).toBe(true);
    expect(at({ types: ["TXT", "TYPE65"] }, "TYPE65")).toBe(true);
    expect(at({ types: ["TXT"] }, "A")).toBe(false);
    expect(at({ zones: ["example.org"] })).toBe(true);
    expect(at({ zones: ["example.net"] })).toBe(false);
    expect(at({ mayUpdate: false })).toBe(false);
    expect(mayTransfer(policy({ zones: ["example.org"] }), zone)).toBe(true);
    expect(mayTransfer(policy({ zones: ["example.net"] }), zone)).toBe(false);
    expect(mayTransfer(policy({ mayTransfer: false }), zone)).toBe(false);
  });

  it("has patterns with one star at most", () => {
    expect(faultOfPattern("_acme-challenge.*")).toBeUndefined();
    expect(faultOfPattern("*.a.*")).toMatch(/more than one/);
    expect(faultOfPattern("a..b")).toMatch(/expected a name/);
    expect(faultOfPattern(".")).toMatch(/expected a name/);
  });
});
