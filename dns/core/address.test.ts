import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  addressOctets,
  addressText,
  formatIpv4,
  formatIpv6,
  networkOf,
  parseIpv4,
  parseIpv6,
} from "./address";

describe("addresses", () => {
  it.each(["0.0.0.0", "127.0.0.1", "255.255.255.255"])("reads %s", (text) => {
    expect(formatIpv4(parseIpv4(text)!)).toBe(text);
  });

  it.each(["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "a.b.c.d"])("refuses %j", (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });

  it.each([
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["fe80::", "fe80::"],
  ])("reads %s as %s", (text, canonical) => {
    expect(formatIpv6(parseIpv6(text)!)).toBe(canonical);
  });

  it.each([
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "g::",
    "1.2.3.4::",
    "1:2:3:4:5:6:7::8:9",
    "fe80::1%lo",
  ])("refuses %j", (text) => {
    expect(parseIpv6(text)).toBeUndefined();
  });

  it("come back from their canonical text", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
        expect(parseIpv6(formatIpv6(octets))).toEqual(octets);
      }),
    );
  });

  it("of senders are octets; what is none is all zeros", () => {
    for (const text of ["192.0.2.1", "255.255.255.255", "0.0.0.0"]) {
      expect(addressOctets(text)).toEqual(parseIpv4(text));
    }
    expect(addressOctets("2001:db8::1")).toEqual(parseIpv6("2001:db8::1"));
    expect(addressText(addressOctets("2001:db8::1"))).toBe("2001:db8::1");
    expect(addressText(addressOctets("192.0.2.1"))).toBe("192.0.2.1");
    expect(addressOctets("fe80::1%lo")).toEqual(parseIpv6("fe80::1"));
    expect(addressOctets("x:y")).toEqual(new Uint8Array(16));
    expect(addressOctets("")).toEqual(new Uint8Array(4));
  });

  it("share a network: a /24, a /56", () => {
    expect(networkOf("192.0.2.1")).toBe(networkOf("192.0.2.254"));
    expect(networkOf("192.0.2.1")).not.toBe(networkOf("192.0.3.1"));
    expect(networkOf("2001:db8:0:100::1")).toBe(networkOf("2001:db8:0:1ff::2"));
    expect(networkOf("2001:db8:0:100::1")).not.toBe(networkOf("2001:db8:0:200::1"));
    expect(networkOf("fe80::1%lo")).toBe("fe80::1%lo");
  });
});
