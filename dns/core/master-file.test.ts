import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE, typeName } from "./codes";
import type { Row } from "./draft";
import { compareNames, formatZoneFile, readZoneFile } from "./master-file";
import { formatName } from "./names";
import { formatRdata } from "./rdata";
import { readRecords } from "./rules";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const zone = wireName("example.org");
const SOA = "@ 60 SOA ns hostmaster 7 1 2 3 4\n";

/** The records of a file as `name ttl type value`, or where and why it was refused. */
function read(text: string): string[] | string {
  const result = readZoneFile(zone, text);
  if (!result.ok) return `${result.line}:${result.column} ${result.reason}`;
  return result.value.rows.flatMap(({ name, ttl, type, values }) => {
    return values.map((value) => `${name} ${ttl} ${typeName(type)} ${value}`);
  });
}

describe("readZoneFile()", () => {
  it("reads the example of RFC 1035 section 5.3", () => {
    const text = `@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33
`;
    expect(read(`$TTL 86400\n${text}`)).toEqual([
      "example.org 86400 SOA VENERA.example.org Action\\.domains.example.org 0 7200 600 3600000 60",
      "example.org 86400 NS A.example.org",
      "example.org 86400 NS VENERA.example.org",
      "example.org 86400 NS VAXA.example.org",
      "example.org 86400 MX 10 VENERA.example.org",
      "example.org 86400 MX 20 VAXA.example.org",
      "a.example.org 86400 A 26.3.0.103",
      "venera.example.org 86400 A 10.1.0.52",
      "venera.example.org 86400 A 128.9.0.32",
      "vaxa.example.org 86400 A 10.2.0.27",
      "vaxa.example.org 86400 A 128.9.0.33",
    ]);
    const result = readZoneFile(zone, `$TTL 86400\n${text}`);
    expect(result.ok && result.value.serial).toBe(20);
  });

  it.each([
    ["a 1 A 192.0.2.1", ["a.example.org 1 A 192.0.2.1"]],
    ["a IN 1 A 192.0.2.1", ["a.example.org 1 A 192.0.2.1"]],
    ["a 1h30m IN A 192.0.2.1", ["a.example.org 5400 A 192.0.2.1"]],
    [
      "$TTL 2\na A 192.0.2.1\nb 3 A 192.0.2.1\nc A 192.0.2.1",
      ["a.example.org 2 A 192.0.2.1", "b.example.org 3 A 192.0.2.1", "c.example.org 2 A 192.0.2.1"],
    ],
    [
      "$ORIGIN sub\na 1 CNAME b\n$ORIGIN other.example.org.\na 1 CNAME @",
      [
        "a.sub.example.org 1 CNAME b.sub.example.org",
        "a.other.example.org 1 CNAME other.example.org",
      ],
    ],
    ["a.b\\.c.example.org. 1 CNAME x.", ["a.b\\.c.example.org 1 CNAME x"]],
    ["a\\. 1 CNAME b\\\\.", ["a\\..example.org 1 CNAME b\\\\"]],
    ["\\@ 1 PTR \\@", ["\\@.example.org 1 PTR \\@.example.org"]],
    ["a 1 MX 0 .", ["a.example.org 1 MX 0 ."]],
    ["a 1 SRV 0 0 80 b", ["a.example.org 1 SRV 0 0 80 b.example.org"]],
    ['a 1 TXT one "t w o" th\\;ree \\200', ['a.example.org 1 TXT "one" "t w o" "th;ree" "\\200"']],
    ["a 1 CAA 0 issue letsencrypt.org", ['a.example.org 1 CAA 0 issue "letsencrypt.org"']],
    ["a 1 TYPE66 \\# ( 3 00\n 01 00 )", ["a.example.org 1 TYPE66 \\# 3 000100"]],
    [
      'a 1 HTTPS 1 b alpn="h2,h3" port=8443',
      ["a.example.org 1 HTTPS 1 b.example.org alpn=h2,h3 port=8443"],
    ],
    ["a 1 A \\# 4 c0000201", ["a.example.org 1 A 192.0.2.1"]],
    [
      "in 1 A 192.0.2.1\n1 1 A 192.0.2.1",
      ["in.example.org 1 A 192.0.2.1", "1.example.org 1 A 192.0.2.1"],
    ],
  ])("reads %j", (text, expected) => {
    expect(read(SOA + text)?.slice(1)).toEqual(expected);
  });

  it.each([
    ["$INCLUDE other.zone", "2:1 $INCLUDE is refused"],
    ["$GENERATE 1-9 a A 1", '2:1 "$GENERATE": expected'],
    ["$TTL", "2:1 $TTL has one value"],
    ["$TTL x", '2:6 "x": expected seconds'],
    ["$ORIGIN a..", '2:9 "a.." has an empty label'],
    ["a A 192.0.2.1 ( ", "2:15 a parenthesis without"],
    ["a 1 A 192.0.2.300", '2:7 "192.0.2.300": expected an IPv4'],
    ["a 1 A", "2:5 A data"],
    ["a 1", "2:3 a record without a type"],
    ["a 1 CH TXT x", "2:5 class CH"],
    ["a 1 NOPE x", '2:5 "NOPE": expected a type'],
    ["a 1 DNAME x", "2:5 DNAME"],
    ["a 1 NS 192.0.2.1.", "2:8 "],
    [`${"a".repeat(64)} 1 A 192.0.2.1`, '2:1 "aaa'],
    ["a.example.net. 1 A 192.0.2.1", '2:1 "a.example.net" is not within'],
    ["a 1 A 192.0.2.1\na 2 A 192.0.2.2", "3:5 TTL 2, but the RRset began with 1 (RFC 2181 5.2)"],
    ["a 2147483648 A 192.0.2.1", "2:14 TTL 2147483648"],
    ['a 1 TXT "\n"', "2:9 a quote"],
    [`a 1 TXT "${"x".repeat(256)}"`, "2:9 a string of 256"],
  ])("refuses %j", (text, expected) => {
    const found = read(SOA + text);
    expect(found).toContain(expected);
    expect(typeof found).toBe("string");
  });

  it("needs a SOA, a first owner and a TTL", () => {
    expect(read("")).toMatch(/^1:1 no SOA/);
    expect(read(" 1 A 192.0.2.1")).toMatch(/^1:4 .*without an owner/);
    expect(read("a A 192.0.2.1")).toMatch(/^1:3 .*without a TTL/);
  });

  it("never throws", () => {
    const bits = ["(", ")", '"', "\\", ";", "\n", " ", "$TTL", "@", "IN", "A", "TXT", "1", "\\#"];
    const text = fc.array(fc.oneof(fc.constantFrom(...bits), fc.string()), { maxLength: 40 });
    fc.assert(
      fc.property(text, (parts) => {
        expect(() => readZoneFile(zone, SOA + parts.join(""))).not.toThrow();
      }),
    );
  });
});

const octets = (maxLength: number) => fc.uint8Array({ minLength: 1, maxLength });
const label = octets(12).map((part) => String.fromCharCode(part.length, ...part));
const below = fc
  .array(label, { minLength: 1, maxLength: 4 })
  .map((labels) => wireName(formatName(labels.join("") + zone)));
const anyName = fc.oneof(below, fc.constant("\0")).map(formatName);
const host = fc.constantFrom("ns1.example.org", "a-b.Example.net", "x");
const text = octets(255).map((part) => formatRdata(TYPE.TXT, Uint8Array.of(part.length, ...part)));
const u16 = fc.nat(65535);
const value: Record<number, fc.Arbitrary<string>> = {
  [TYPE.A]: fc.ipV4(),
  [TYPE.AAAA]: fc.ipV6(),
  [TYPE.CNAME]: anyName,
  [TYPE.PTR]: anyName,
  [TYPE.MX]: fc.tuple(u16, host).map((parts) => parts.join(" ")),
  [TYPE.SRV]: fc.tuple(u16, u16, u16, host).map((parts) => parts.join(" ")),
  [TYPE.TXT]: fc.array(text, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(" ")),
  [TYPE.CAA]: text.map((part) => `0 issue ${part}`),
  999: octets(40).map((data) => formatRdata(999, data)),
};
const anyRow: fc.Arbitrary<Row> = fc
  .constantFrom(...Object.keys(value).map(Number))
  .chain((type) =>
    fc.record({
      name: below.map(formatName),
      type: fc.constant(type),
      ttl: fc.nat(2 ** 31 - 1),
      values: fc.array(value[type]!, { minLength: 1, maxLength: 3 }),
    }),
  )
  .map((row) => {
    const records = readRecords(row.type, row);
    if (!records.ok) throw new Error(records.reason);
    return { ...row, ...records.value };
  });

describe("formatZoneFile()", () => {
  it("writes records in order, relative to the origin", () => {
    const rows: Row[] = [
      { name: "b.example.org", type: TYPE.MX, ttl: 5, values: ["10 mail.example.org", "0 ."] },
      { name: "example.org", type: TYPE.NS, ttl: 5, values: ["ns.example.net"] },
      { name: "z.a.example.org", type: TYPE.TXT, ttl: 5, values: ['"a b" "."'] },
      { name: "a.example.org", type: TYPE.CNAME, ttl: 5, values: ["x"] },
      { name: "example.org", type: TYPE.SOA, ttl: 5, values: ["ns who 0 1 2 3 4"] },
    ];
    expect(formatZoneFile(zone, { rows, serial: 4_294_967_295 })).toBe(
      [
        "$ORIGIN example.org.",
        "@\t5\tIN\tSOA\tns. who. 4294967295 1 2 3 4",
        "@\t5\tIN\tNS\tns.example.net.",
        "a\t5\tIN\tCNAME\tx.",
        'z.a\t5\tIN\tTXT\t"a b" "."',
        "b\t5\tIN\tMX\t0 .",
        "b\t5\tIN\tMX\t10 mail.example.org.",
        "",
      ].join("\n"),
    );
  });

  it("loses nothing: what was written is read, and is written the same", () => {
    const soa: Row = { name: "example.org", type: TYPE.SOA, ttl: 1, values: ["a b 0 1 2 3 4"] };
    fc.assert(
      fc.property(
        fc.uniqueArray(anyRow, { selector: ({ name, type }) => `${type} ${name}` }),
        fc.nat(2 ** 32 - 1),
        (rows, serial) => {
          const written = formatZoneFile(zone, { rows: [soa, ...rows], serial });
          const again = readZoneFile(zone, written);
          if (!again.ok) throw new Error(`${again.line}:${again.column} ${again.reason}`);
          expect(again.value.serial).toBe(serial);
          expect(again.value.rows.map(normal).sort()).toEqual([soa, ...rows].map(normal).sort());
          expect(formatZoneFile(zone, again.value)).toBe(written);
        },
      ),
    );
  });
});

const normal = ({ name, type, ttl, values }: Row): string =>
  `${name} ${type} ${ttl} ${[...values].sort().join(" ")}`;

describe("compareNames()", () => {
  it("orders names as RFC 4034 section 6.1 does", () => {
    const names = ["example", "a.example", "yljkjljk.a.example", "z.a.example", "zabc.a.example"];
    const more = ["z.example", "\\001.z.example", "*.z.example", "\\200.z.example"];
    const order = [...names, ...more];
    const shuffled = order.map(wireName).reverse();
    expect(shuffled.sort(compareNames).map(formatName)).toEqual(order);
  });
});
