import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatSvcb, parseSvcb } from "./svcb";

const wire = (text: string): string | undefined => {
  const data = parseSvcb(text);
  return data.ok ? Buffer.from(data.value).toString("hex") : undefined;
};
const reason = (text: string): string => {
  const data = parseSvcb(text);
  return data.ok ? "fine" : data.reason;
};
const foo = "03666f6f076578616d706c6503636f6d00";
const fooOrg = "03666f6f076578616d706c65036f726700";

describe("SVCB data", () => {
  // The vectors of RFC 9460 appendix D.
  it.each([
    ["0 foo.example.com.", `0000${foo}`],
    ["1 .", "000100"],
    ["16 foo.example.com. port=53", `0010${foo}000300020035`],
    ["1 foo.example.com. key667=hello", `0001${foo}029b000568656c6c6f`],
    ['1 foo.example.com. key667="hello\\210qoo"', `0001${foo}029b000968656c6c6fd2716f6f`],
    [
      '1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
      `0001${foo}0006002020010db800000000000000000000000120010db8000000000000000000530001`,
    ],
    [
      '16 foo.example.org. alpn="h2,h3-19" mandatory=ipv4hint,alpn ipv4hint=192.0.2.1',
      `0010${fooOrg}0000000400010004000100090268320568332d313900040004c0000201`,
    ],
    [
      '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
      `0010${fooOrg}0001000c08665c6f6f2c626172026832`,
    ],
    [
      "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
      `0010${fooOrg}0001000c08665c6f6f2c626172026832`,
    ],
  ])("%s", (text, expected) => {
    expect(wire(text)).toBe(expected);
  });

  it.each([
    ["1", /expected <priority> <target>/],
    ["65536 .", /expected <priority> <target>/],
    ["1 192.0.2.1", /is an address/],
    ["1 foo..com", /empty label/],
    ["1 . key123=abc key123=def", /is there twice/],
    ["1 . mandatory", /is no item/],
    ["1 . alpn", /is no item/],
    ["1 . alpn=h2,,h3", /is no item/],
    ["1 . port", /expected 0 to 65535/],
    ["1 . port=65536", /expected 0 to 65535/],
    ["1 . ipv4hint=", /is no item/],
    ["1 . ipv4hint=::1", /is no item/],
    ["1 . ipv6hint=1.2.3.4", /is no item/],
    ["1 . no-default-alpn=abc", /no-default-alpn has no value/],
    ["1 . no-default-alpn", /without alpn/],
    ["1 . mandatory=key123", /which is not there/],
    ["1 . mandatory=mandatory", /names itself/],
    ["1 . mandatory=key123,key123 key123=abc", /a key twice/],
    ["1 . ech=???", /expected base64/],
    ["1 . Alpn=h2", /expected <key>/],
    ["1 . nonsense=1", /expected a key/],
    ["1 . key65535=1", /expected a key/],
    ["1 . key00001=h2", /expected a key/],
    ['1 . alpn="h2', /expected <key>=<value>/],
    ["1 . key9=\\999", /expected \\000 to \\255/],
    ["1 . key9=é", /not ASCII/],
    ["0 . alpn=h2", /AliasMode has no parameters/],
  ])("%s is refused", (text, expected) => {
    expect(reason(text)).toMatch(expected);
  });

  it.each([
    "0 foo.example.com",
    "1 . alpn=h2,h3 no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AEX+DQ== ipv6hint=2001:db8::1",
    "1 . mandatory=alpn,key9 alpn=h2 dohpath=/dns-query{?dns} key9",
    '1 . alpn="f\\\\\\\\oo\\\\,bar,h2"',
    '1 . key9="a b\\"\\000"',
  ])("%s comes back", (text) => {
    const data = parseSvcb(text);
    expect(data.ok && formatSvcb(data.value)).toBe(text);
  });

  it("has a form for whatever it can be made of, and none for anything else", () => {
    const params = fc.array(fc.tuple(fc.nat(9), fc.uint8Array({ maxLength: 8 })), { maxLength: 3 });
    const octets = fc
      .tuple(fc.nat(2), params)
      .map(([priority, list]) =>
        Uint8Array.from([
          0,
          priority,
          0,
          ...list.flatMap(([key, value]) => [0, key, 0, value.length, ...value]),
        ]),
      );
    fc.assert(
      fc.property(fc.oneof(octets, fc.uint8Array({ maxLength: 30 })), (data) => {
        const text = formatSvcb(data);
        const again = text === undefined ? undefined : parseSvcb(text);
        if (again?.ok) expect(again.value).toEqual(data);
      }),
      { numRuns: 2_000 },
    );
  });
});
