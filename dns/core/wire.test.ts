import * as packet from "dns-packet";
import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { parseRdata } from "./rdata";
import { readHeader, readQuery, Writer } from "./wire";

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const read = (text: string) => {
  const octets = hex(text);
  return readQuery(octets, readHeader(octets)!);
};

const QUESTION = "0161 0262 43 00 0001 0001"; // a.bC A IN
const OPT = "00 0029 04d0 00 00 8000 0000";

describe("readQuery()", () => {
  it("reads the question, folded, and EDNS", () => {
    expect(read(`abcd 0100 0001 0000 0000 0001 ${QUESTION} ${OPT}`)).toEqual({
      header: { id: 0xabcd, flags: 0x0100, opcode: 0, isResponse: false },
      question: { name: wireName("a.bc"), type: 1, class: 1, end: 22 },
      edns: {
        version: 0,
        size: 1232,
        dnssecOk: true,
        cookie: undefined,
        wantsNsid: false,
        wantsKeepalive: false,
      },
      isCookieOnly: false,
    });
  });

  it.each([
    ["no question", "0000 0000 0000 0000 0000 0000"],
    ["two questions (RFC 9619)", `0000 0000 0002 0000 0000 0000 ${QUESTION} ${QUESTION}`],
    ["an answer", `0000 0000 0001 0001 0000 0000 ${QUESTION}`],
    ["octets left over", `0000 0000 0001 0000 0000 0000 ${QUESTION} 00`],
    ["a question cut off", "0000 0000 0001 0000 0000 0000 0161 00 0001"],
    ["a pointer in the question", "0000 0000 0001 0000 0000 0000 c00c 0001 0001"],
    ["a label of type 01", "0000 0000 0001 0000 0000 0000 41 00 0001 0001"],
    [
      "a name of 256 octets",
      `0000 0000 0001 0000 0000 0000 ${`3f${"61".repeat(63)}`.repeat(4)} 00 0001 0001`,
    ],
    ["two OPTs (RFC 6891 6.1.1)", `0000 0000 0001 0000 0000 0002 ${QUESTION} ${OPT} ${OPT}`],
    ["an OPT with an owner", `0000 0000 0001 0000 0000 0001 ${QUESTION} 0161 ${OPT}`],
    [
      "an option longer than OPT",
      `0000 0000 0001 0000 0000 0001 ${QUESTION} 00 0029 04d0 00000000 0004 000a 0001`,
    ],
    ["a record count that lies", `0000 0000 0001 0000 0000 ffff ${QUESTION} ${OPT}`],
  ])("finds %s malformed", (_what, text) => {
    expect(read(text).question).toBeUndefined();
  });

  it("takes a record it does not know beside OPT", () => {
    const other = "c00c 00fa 00ff 00000000 0001 00";
    expect(read(`0000 0000 0001 0000 0000 0002 ${QUESTION} ${other} ${OPT}`).edns).toBeDefined();
  });

  it("takes sizes below 512 as 512 (RFC 6891 6.2.3)", () => {
    expect(
      read(`0000 0000 0001 0000 0000 0001 ${QUESTION} ${OPT.replace("04d0", "0010")}`).edns?.size,
    ).toBe(512);
  });

  it("is nothing below twelve octets", () => {
    expect(readHeader(hex("0000 0000"))).toBeUndefined();
  });
});

describe("a writer", () => {
  const query = hex(`abcd 0100 0001 0000 0000 0000 ${QUESTION}`);
  const question = readQuery(query, readHeader(query)!).question!;
  const ns = (value: string) => {
    const data = parseRdata(TYPE.NS, value);
    return { owner: wireName("bc"), type: TYPE.NS, ttl: 60, rdata: data.ok ? data.value : hex("") };
  };

  it("points to names that were written before, and keeps their case otherwise", () => {
    const out = new Uint8Array(512);
    const writer = new Writer(out, 512, query, question);
    expect(writer.record(ns("ns1.Other.bc"))).toBe(true);
    expect(writer.record(ns("ns2.Other.bc"))).toBe(true);
    writer.addCount(1, 2);
    writer.flags(0x8400);
    const message = packet.decode(Buffer.from(out.subarray(0, writer.length)));
    expect(message.answers?.map((answer) => "data" in answer && answer.data)).toEqual([
      "ns1.Other.bC",
      "ns2.Other.bC",
    ]);
    expect(writer.length).toBe(22 + 12 + 12 + 12 + 6);
  });

  it("writes a record whole or not at all", () => {
    const out = new Uint8Array(512);
    const writer = new Writer(out, 22 + 24 + 20, query, question);
    expect(writer.record(ns("ns1.other.bc"))).toBe(true);
    const before = writer.length;
    expect(writer.record(ns("quite-long.other.bc"))).toBe(false);
    expect(writer.length).toBe(before);
    expect(writer.record(ns("ns1.other.bc"))).toBe(true);
  });
});
