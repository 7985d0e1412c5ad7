import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { TYPE, typeCode } from "./codes";
import { formatRdata, parseRdata } from "./rdata";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const canonical = (type: string, text: string): string => {
  const code = typeCode(type)!;
  const data = parseRdata(code, text);
  return data.ok ? formatRdata(code, data.value) : `FAULT ${data.reason}`;
};

describe("record data", () => {
  it.each([
    ["A", "192.0.2.1", "192.0.2.1"],
    ["AAAA", "2001:DB8::1", "2001:db8::1"],
    ["NS", "ns1.Example.org.", "ns1.Example.org"],
    ["CNAME", "a\\.b.example.org", "a\\.b.example.org"],
    ["PTR", "host.example.org", "host.example.org"],
    ["MX", "10  mail.example.org", "10 mail.example.org"],
    ["MX", "0 .", "0 ."],
    ["SRV", "0 5 5060 sip.example.org", "0 5 5060 sip.example.org"],
    ["TXT", "v=spf1 -all", '"v=spf1 -all"'],
    ["TXT", '"a" "b\\"\\\\c\\007"', '"a" "b\\"\\\\c\\007"'],
    ["TXT", "", '""'],
    ["TXT", "\u00e9", '"\\195\\169"'],
    ["TXT", '"\u20ac\ud83d\ude00"', '"\\226\\130\\172\\240\\159\\152\\128"'],
    ["TXT", "x".repeat(300), `"${"x".repeat(255)}" "${"x".repeat(45)}"`],
    ["CAA", '0 issue "letsencrypt.org"', '0 issue "letsencrypt.org"'],
    ["CAA", "128 iodef mailto:a@example.org", '128 iodef "mailto:a@example.org"'],
    ["HINFO", '"RFC8482" ""', '"RFC8482" ""'],
    [
      "SOA",
      "ns1.example.org hostmaster.example.org 4294967295 3600 600 86400 60",
      "ns1.example.org hostmaster.example.org 4294967295 3600 600 86400 60",
    ],
    ["TYPE66", "\\# 3 00 01 00", "\\# 3 000100"],
    ["TYPE999", "\\# 0", "\\# 0"],
    ["A", "\\# 4 c0000201", "192.0.2.1"],
  ])("of %s reads %s", (type, text, expected) => {
    expect(canonical(type, text)).toBe(expected);
  });

  it.each([
    ["A", "192.0.2.256", /IPv4/],
    ["A", "192.0.2.1 192.0.2.2", /expected <IPv4/],
    ["AAAA", "192.0.2.1", /IPv6/],
    ["NS", "192.0.2.1", /is an address/],
    ["NS", "_x.example.org", /host name/],
    ["MX", "mail.example.org", /expected <preference>/],
    ["MX", "65536 mail.example.org", /integer/],
    ["MX", "10 ::1", /is an address/],
    ["SRV", "0 0 -1 a.example", /integer/],
    ["TXT", `"${"x".repeat(256)}"`, /at most 255/],
    ["TXT", "x".repeat(9000), /at most 8192/],
    ["TXT", '"open', /quote/],
    ["TXT", '"bad \\999"', /escape/],
    ["CAA", "0 is-sue x", /CAA tag/],
    ["CNAME", "a..b", /empty label/],
    ["SOA", "ns1.example.org", /<mname>/],
    ["TYPE66", "1 .", /RFC 3597/],
    ["TYPE66", "\\# 4 00", /of that length/],
  ])("of %s refuses %s", (type, text, reason) => {
    expect(parseRdata(typeCode(type)!, text)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(reason),
    });
  });

  it("of any type comes back from its presentation form, whatever the octets", () => {
    const type = fc.constantFrom(...Object.values(TYPE), 64, 65, 12345);
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 80 }), (code, data) => {
        const text = formatRdata(code, data);
        const again = parseRdata(code, text);
        // Names that are no host names can be written on the wire but not through us.
        if (again.ok) expect(again.value).toEqual(data);
        else expect(again.reason).toMatch(/name|is no|expected/);
      }),
      { numRuns: 2000, seed: 1035 },
    );
  });
});
