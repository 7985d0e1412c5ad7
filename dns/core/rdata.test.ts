import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { TYPE, typeCode } from "./codes";
import { formatRdata, parseRdata } from "./rdata";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const SHA1 = "2bb183af5f22588179a53b0a98631fad1a292118";
const SHA256 = "0123456789abcdef".repeat(4);

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
    ["ALIAS", "hello.demo.repl.test.", "hello.demo.repl.test"],
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
    ["DS", `60485 5 1 ${SHA1.slice(0, 8)} ${SHA1.slice(8).toUpperCase()}`, `60485 5 1 ${SHA1}`],
    ["DS", "1 8 0 00", "1 8 0 00"],
    ["SSHFP", `4 2 ${SHA256}`, `4 2 ${SHA256}`],
    ["TLSA", `3 1 1 ${SHA256}`, `3 1 1 ${SHA256}`],
    ["SMIMEA", "3 0 0 308201", "3 0 0 308201"],
    ["TYPE52", `\\# 35 030101${SHA256}`, `3 1 1 ${SHA256}`],
    [
      "NAPTR",
      '10 100 s SIP+D2U "" _sip._udp.example.org',
      '10 100 "s" "SIP+D2U" "" _sip._udp.example.org',
    ],
    [
      "NAPTR",
      '1 2 "u" "E2U+sip" "!^.*$!sip:a b@example.org!" .',
      '1 2 "u" "E2U+sip" "!^.*$!sip:a b@example.org!" .',
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
    ["DS", "1 8 2 00", /digest type 2 has 32 \(RFC 4034/],
    ["DS", "65536 8 0 00", /integer/],
    ["DS", "1 8 2", /expected <key tag> <algorithm> <digest type> <digest> in hex/],
    ["DS", "\\# 0", /is no DS data/],
    ["SSHFP", "4 2 0g", /hexadecimal/],
    ["TLSA", "3 1 1 000", /hexadecimal/],
    ["TLSA", "256 1 0 00", /0 to 255/],
    ["NAPTR", '1 2 "" "" ""', /expected <order>/],
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
