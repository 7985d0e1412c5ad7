import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE, typeCode } from "./codes";
import { formatName } from "./names";
import {
  checkRrset,
  faultOfChallengeValue,
  faultOfRemoval,
  type Neighbours,
  readOwnerName,
  readType,
  readZoneName,
} from "./rules";

const zone = wireName("example.org");
const alone: Neighbours = {
  types: [],
  hasChallenge: false,
  isDerived: false,
  isAlias: (name) => name === wireName("alias.example.org"),
};

interface Case {
  values: string[];
  ttl?: number;
  neighbours?: Partial<Neighbours>;
}

function check(name: string, type: string, { values, ttl = 60, neighbours }: Case) {
  const candidate = { zone, name: wireName(name), type: typeCode(type)!, ttl, values };
  const result = checkRrset(candidate, { ...alone, ...neighbours });
  return result.ok ? result.value : result.reason;
}

describe("checkRrset()", () => {
  it("gives values in canonical form, each once", () => {
    expect(check("a.example.org", "AAAA", { values: ["2001:DB8::1", "2001:db8:0::1"] })).toEqual([
      "2001:db8::1",
    ]);
    expect(check("example.org", "CNAME", { values: ["x"] })).toMatch(/RFC 1912/);
  });

  it.each([
    ["a", "A", ["192.0.2.1"], { types: [TYPE.CNAME] }, /beside a CNAME.*RFC 1034 3.6.2/],
    ["a", "CNAME", ["b.example"], { types: [TYPE.A] }, /beside A data.*RFC 1034 3.6.2/],
    ["a", "CNAME", ["b.example"], { hasChallenge: true }, /challenge/],
    ["a", "CNAME", ["b.example"], { isDerived: true }, /repl's name/],
    ["a", "CNAME", ["b.example", "c.example"], {}, /at most one \(RFC 2181 10.1\)/],
    ["a", "SOA", ["a b 1 2 3 4 5"], {}, /RFC 1035 3.3.13/],
    ["*", "NS", ["ns.example"], {}, /RFC 4592/],
    ["a", "MX", ["1 alias.Example.org"], {}, /alias \(RFC 2181 10.3\)/],
    ["a", "NS", ["192.0.2.1"], {}, /is an address/],
    ["a", "A", ["nope"], {}, /IPv4/],
    ["a", "A", [], {}, /no values/],
    ["a", "TXT", Array.from({ length: 201 }, String), {}, /at most 200/],
    [
      "a",
      "TXT",
      Array.from({ length: 9 }, (_, i) => `${i}${"x".repeat(7900)}`),
      {},
      /at most 60000/,
    ],
  ])("refuses %s %s %j", (name, type, values, neighbours, reason) => {
    expect(check(`${name}.example.org`, type, { values, neighbours })).toMatch(reason);
  });

  it.each([-1, 2 ** 31, 1.5, Number.NaN])("refuses the TTL %s", (ttl) => {
    expect(check("a.example.org", "A", { values: ["192.0.2.1"], ttl })).toMatch(/RFC 2181 8/);
  });

  it("lets a CNAME take the place of a CNAME", () => {
    const neighbours = { types: [TYPE.CNAME] };
    const kept = check("a.example.org", "CNAME", { values: ["b.example"], neighbours });
    expect(kept).toEqual(["b.example"]);
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
  it("keep a zone's SOA and NS", () => {
    expect(faultOfRemoval({ zone, name: zone, type: TYPE.NS })).toMatch(/must have its NS/);
    expect(faultOfRemoval({ zone, name: zone, type: TYPE.MX })).toBeUndefined();
    expect(
      faultOfRemoval({ zone, name: wireName("a.example.org"), type: TYPE.NS }),
    ).toBeUndefined();
  });

  it("take the challenge values that fit one TXT string", () => {
    expect(faultOfChallengeValue("LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo")).toBeUndefined();
    for (const value of ["", "x".repeat(256), "\u00e9"])
      expect(faultOfChallengeValue(value)).toMatch(/255/);
  });
});
