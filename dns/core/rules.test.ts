import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { typeCode } from "./codes";
import { formatName } from "./names";
import { faultOfChallengeValue, readOwnerName, readRecords, readType, readZoneName } from "./rules";

const zone = wireName("example.org");

function read(type: string, values: string[], ttl = 60): string | readonly string[] {
  const records = readRecords(typeCode(type)!, { ttl, values });
  return records.ok ? records.value.values : records.reason;
}

describe("readRecords()", () => {
  it("gives values in canonical form, each once", () => {
    expect(read("AAAA", ["2001:DB8::1", "2001:db8:0::1"])).toEqual(["2001:db8::1"]);
    expect(read("SOA", ["ns.example. who.example. 42 1 2 3 4"])).toEqual([
      "ns.example who.example 0 1 2 3 4",
    ]);
  });

  it.each([
    ["NS", ["192.0.2.1"], /is an address/],
    ["A", ["nope"], /IPv4/],
    ["A", [], /no values/],
    ["TXT", Array.from({ length: 201 }, String), /at most 200/],
    ["TXT", Array.from({ length: 9 }, (_, i) => `${i}${"x".repeat(7900)}`), /at most 60000/],
  ])("refuses %s %j", (type, values, reason) => {
    expect(read(type, values)).toMatch(reason);
  });

  it.each([-1, 2 ** 31, 1.5, Number.NaN])("refuses the TTL %s", (ttl) => {
    expect(read("A", ["192.0.2.1"], ttl)).toMatch(/RFC 2181 8/);
  });
});

describe("readers", () => {
  it.each([
    ["@", "example.org"],
    ["www", "www.example.org"],
    ["WWW.Example.org", "www.example.org"],
    ["www.example.org.", "www.example.org"],
    ["*.x", "*.x.example.org"],
  ])("read the owner name %s as %s", (text, expected) => {
    const name = readOwnerName(zone, text);
    expect(name.ok && formatName(name.value)).toBe(expected);
  });

  it("refuse names that are none, or outside", () => {
    expect(readOwnerName(zone, "www.example.net.").ok).toBe(false);
    expect(readOwnerName(zone, "a..b").ok).toBe(false);
    expect(readOwnerName(zone, `${"a".repeat(63)}.`.repeat(4).slice(0, -4)).ok).toBe(false);
    expect(readZoneName("example.org").ok).toBe(true);
    expect(readZoneName("exa_mple.org").ok).toBe(false);
    expect(readZoneName(".").ok).toBe(false);
  });

  it("refuse types that are no data", () => {
    expect(readType("aaaa")).toEqual({ ok: true, value: 28 });
    for (const text of ["ANY", "OPT", "AXFR", "DNAME", "NOPE", "TYPE0"]) {
      expect(readType(text).ok).toBe(false);
    }
  });
});

describe("other rules", () => {
  it("take the challenge values that fit one TXT string", () => {
    expect(faultOfChallengeValue("LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo")).toBeUndefined();
    for (const value of ["", "x".repeat(256), "\u00e9"])
      expect(faultOfChallengeValue(value)).toMatch(/255/);
  });
});
