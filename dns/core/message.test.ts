import * as packet from "dns-packet";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { TYPE } from "./codes";
import { readMessage, readName } from "./message";
import { formatName } from "./names";
import { formatRdata } from "./rdata";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const HEADER = "0001 2800 0001 0000 0001 0000";

describe("readMessage()", () => {
  it("reads what others write", () => {
    const octets = packet.encode({
      type: "response",
      id: 7,
      questions: [{ type: "MX", name: "Example.org" }],
      answers: [
        { type: "MX", name: "example.org", ttl: 5, data: { preference: 3, exchange: "m.x" } },
      ],
      authorities: [{ type: "TXT", name: "a.example.org", ttl: 2 ** 31, data: ["b"] }],
    });
    const message = readMessage(octets)!;
    expect(message.header.id).toBe(7);
    expect(message.questions.map(({ name }) => formatName(name))).toEqual(["example.org"]);
    const [mx] = message.answers;
    expect([formatName(mx!.name), mx!.ttl, formatRdata(TYPE.MX, mx!.data)]).toEqual([
      "example.org",
      5,
      "3 m.x",
    ]);
    expect(message.authorities[0]!.ttl).toBe(2 ** 31);
    expect(message.additionals).toEqual([]);
  });

  it("puts the names of data in place of pointers", () => {
    const zone = "07 6578616d706c65 00 0006 0001";
    const mx = "c00c 000f 0001 00000005 0008 000a 04 6d61696c c00c".replace("0008", "0009");
    const message = readMessage(hex(`${HEADER}${zone}${mx}`))!;
    expect(formatRdata(TYPE.MX, message.authorities[0]!.data)).toBe("10 mail.example");
  });

  it.each([
    ["a count that lies", `${HEADER} 00 0006 0001`],
    ["octets left over", "0001 0000 0000 0000 0000 0000 00"],
    ["a pointer to itself", "0001 0000 0001 0000 0000 0000 c00c 0006 0001"],
    ["a label of 64 octets", `0001 0000 0001 0000 0000 0000 40${"61".repeat(64)}00 0006 0001`],
    ["a name in data that goes past it", `${HEADER} 00 0006 0001 00 0002 0001 00000000 0001 0161`],
    ["eleven octets", "0001 0000 0001 0000 0000 00"],
  ])("refuses %s", (_what, octets) => {
    expect(readMessage(hex(octets))).toBeUndefined();
  });

  it("never throws, and reads no name that is too long", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (octets, at) => {
        expect(() => readMessage(octets)).not.toThrow();
        expect(readName(octets, at)?.item.length ?? 0).toBeLessThanOrEqual(255);
      }),
    );
  });
});
