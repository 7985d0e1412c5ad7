import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { Challenges } from "./challenge";
import { RCODE, typeCode, typeName } from "./codes";
import { Draft, type Row } from "./draft";
import type { Message, WireRecord } from "./message";
import { parseRdata } from "./rdata";
import { applyUpdate, prerequisitesFail, readUpdate, type Seen, type Update } from "./update";

const CLASSES: Readonly<Record<string, number>> = { IN: 1, CH: 3, NONE: 254, ANY: 255 };
const NAMES = Object.fromEntries(Object.entries(RCODE).map(([name, code]) => [code, name]));

/** `name ttl class type data`, as `nsupdate` shows its messages. */
function record(text: string): WireRecord {
  const [name = "", ttl = "", group = "", type = "", ...data] = text.split(" ");
  const code = typeCode(type)!;
  const rdata = data.length > 0 ? parseRdata(code, data.join(" ")) : undefined;
  return {
    name: wireName(name),
    type: code,
    class: CLASSES[group]!,
    ttl: Number(ttl),
    data: rdata?.ok ? rdata.value : new Uint8Array(),
    start: 0,
  };
}

function message(prerequisites: readonly string[], changes: readonly string[]): Message {
  return {
    header: { id: 1, flags: 0x2800, opcode: 5, isResponse: false },
    questions: [{ name: wireName("example.org"), type: 6, class: 1 }],
    answers: prerequisites.map(record),
    authorities: changes.map(record),
    additionals: [],
    questionEnd: 0,
  };
}

function row(text: string): Row {
  const [name = "", type = "", ...values] = text.split(" ");
  return { name, type: typeCode(type)!, ttl: 60, values: values.join(" ").split(" | ") };
}
const zone = [
  "example.org SOA ns1.example.org who.example.org 0 1 2 3 4",
  "example.org NS ns1.example.org | ns2.example.net",
  "example.org MX 1 mail.example.net",
  "ns1.example.org A 192.0.2.1",
  "a.example.org A 192.0.2.2 | 192.0.2.3",
  'a.example.org TXT "x"',
  "alias.example.org CNAME a.example.org",
].map(row);
const draftOf = (): Draft => new Draft(wireName("example.org"), zone);

function read(prerequisites: readonly string[], changes: readonly string[]): Update {
  const update = readUpdate(message(prerequisites, changes));
  if (typeof update === "number") throw new Error(NAMES[update]);
  return update;
}

function prerequisites(...texts: string[]): string {
  const draft = draftOf();
  const seen: Seen = {
    types: (name) => draft.types(name),
    values: (name, type) => draft.get(name, type)?.values ?? [],
  };
  return NAMES[prerequisitesFail(read(texts, []), seen)]!;
}

/** What changes, as rows; or the response code. */
function changes(...texts: string[]): string[] {
  const draft = draftOf();
  const rcode = applyUpdate({ draft, challenges: new Challenges([]) }, read([], texts));
  if (rcode !== 0) return [NAMES[rcode]!];
  return draft
    .changes()
    .map(({ name, type, ttl, values }) => `${name} ${typeName(type)} ${ttl} ${values.join(" | ")}`);
}

describe("readUpdate()", () => {
  it.each([
    ["NOTZONE", ["a.example.net 0 ANY ANY"], []],
    ["NOTZONE", [], ["a.example.net 0 IN A 192.0.2.1"]],
    ["FORMERR", ["a.example.org 1 ANY ANY"], []],
    ["FORMERR", ["a.example.org 0 ANY A 192.0.2.1"], []],
    ["FORMERR", ["a.example.org 0 NONE A 192.0.2.1"], []],
    ["FORMERR", ["a.example.org 0 CH A"], []],
    ["FORMERR", ["a.example.org 0 IN ANY"], []],
    ["FORMERR", ["a.example.org 0 IN A"], []],
    ["FORMERR", [], ["a.example.org 0 IN ANY"]],
    ["FORMERR", [], ["a.example.org 0 IN A"]],
    ["FORMERR", [], ["a.example.org 1 ANY A"]],
    ["FORMERR", [], ["a.example.org 0 ANY A 192.0.2.1"]],
    ["FORMERR", [], ["a.example.org 0 ANY AXFR"]],
    ["FORMERR", [], ["a.example.org 1 NONE A 192.0.2.1"]],
    ["FORMERR", [], ["a.example.org 0 NONE ANY"]],
    ["FORMERR", [], ["a.example.org 0 CH A 192.0.2.1"]],
    ["REFUSED", [], ["a.example.org 5 IN ALIAS hello.demo.repl.test"]],
    ["REFUSED", [], Array.from({ length: 1_001 }, () => "a.example.org 0 ANY A")],
  ])("gives %s for %j %j", (rcode, before, after) => {
    const update = readUpdate(message(before, after));
    expect(typeof update === "number" && NAMES[update]).toBe(rcode);
  });

  it("wants one zone, by its SOA, in class IN", () => {
    const plain = message([], []);
    const [question] = plain.questions;
    const of = (questions: Message["questions"]) => readUpdate({ ...plain, questions });
    expect(of([])).toBe(RCODE.FORMERR);
    expect(of([question!, question!])).toBe(RCODE.FORMERR);
    expect(of([{ ...question!, type: 1 }])).toBe(RCODE.FORMERR);
    expect(of([{ ...question!, class: 3 }])).toBe(RCODE.NOTAUTH);
  });
});

describe("prerequisites (RFC 2136 section 2.4)", () => {
  it.each([
    ["NOERROR", []],
    ["NOERROR", ["a.example.org 0 ANY ANY", "a.example.org 0 ANY TXT"]],
    ["NXDOMAIN", ["b.example.org 0 ANY ANY"]],
    ["NXRRSET", ["a.example.org 0 ANY MX"]],
    ["NOERROR", ["b.example.org 0 NONE ANY", "a.example.org 0 NONE MX"]],
    ["YXDOMAIN", ["a.example.org 0 NONE ANY"]],
    ["YXRRSET", ["a.example.org 0 NONE A"]],
    ["NOERROR", ["a.example.org 0 IN A 192.0.2.3", "a.example.org 0 IN A 192.0.2.2"]],
    ["NXRRSET", ["a.example.org 0 IN A 192.0.2.3"]],
    ["NXRRSET", ["a.example.org 0 IN MX 1 x"]],
    ["NOERROR", ["alias.example.org 0 IN CNAME A.example.ORG"]],
  ])("%s of %j", (rcode, texts) => {
    expect(prerequisites(...texts)).toBe(rcode);
  });
});

describe("changes (RFC 2136 section 2.5)", () => {
  it.each([
    [["b.example.org 5 IN A 192.0.2.9"], ["b.example.org A 5 192.0.2.9"]],
    [["a.example.org 60 IN A 192.0.2.2"], []],
    [["a.example.org 5 IN A 192.0.2.9"], ["a.example.org A 5 192.0.2.2 | 192.0.2.3 | 192.0.2.9"]],
    [["a.example.org 0 NONE A 192.0.2.2"], ["a.example.org A 60 192.0.2.3"]],
    [["a.example.org 0 ANY A"], ["a.example.org A 0 "]],
    [["a.example.org 0 ANY ANY"], ["a.example.org A 0 ", "a.example.org TXT 0 "]],
    [["a.example.org 0 NONE A 192.0.2.9", "b.example.org 0 ANY ANY"], []],
    [["a.example.org 0 ANY A", "a.example.org 5 IN A 192.0.2.9"], ["a.example.org A 5 192.0.2.9"]],
    [["a.example.org 5 IN CNAME b"], []],
    [["alias.example.org 5 IN A 192.0.2.9"], []],
    [["alias.example.org 5 IN CNAME b"], ["alias.example.org CNAME 5 b"]],
    [["example.org 0 ANY SOA", "example.org 0 ANY NS"], []],
    [["example.org 0 ANY ANY"], ["example.org MX 0 "]],
    [
      ["example.org 0 NONE NS ns2.example.net", "example.org 0 NONE NS ns1.example.org"],
      ["example.org NS 60 ns1.example.org"],
    ],
    [["a.example.org 5 IN SOA a b 1 2 3 4 5"], []],
    [["a.example.org 4294967295 IN A 192.0.2.9"], ["REFUSED"]],
  ])("%j", (texts, expected) => {
    expect(changes(...texts)).toEqual(expected);
  });

  it("may not make an RRset too large", () => {
    const texts = Array.from({ length: 201 }, (_, i) => `b.example.org 5 IN TXT ${i}`);
    expect(changes(...texts)).toEqual(["REFUSED"]);
  });
});

describe("TXT where DNS-01 values are", () => {
  const name = "_acme-challenge.example.org";
  const alias = row(`${name} CNAME elsewhere.example.net`);

  function after(rows: readonly Row[], ...texts: string[]) {
    const draft = new Draft(wireName("example.org"), [...zone, ...rows]);
    const challenges = new Challenges([{ name, value: "old" }]);
    expect(applyUpdate({ draft, challenges }, read([], texts))).toBe(RCODE.NOERROR);
    const { put, gone } = challenges.changes();
    const valuesOf = (some: typeof put): string[] => some.map(({ value }) => value);
    return { put: valuesOf(put), gone: valuesOf(gone), rows: draft.changes().length };
  }

  it.each([
    [["120 IN TXT a", "120 IN TXT b"], { put: ["a", "b"], gone: [], rows: 0 }],
    [["0 NONE TXT old", "120 IN TXT a"], { put: ["a"], gone: ["old"], rows: 0 }],
    [["0 ANY TXT", "120 IN TXT a"], { put: ["a"], gone: ["old"], rows: 0 }],
    [["0 ANY ANY"], { put: [], gone: ["old"], rows: 0 }],
    [["120 IN TXT a", "0 NONE TXT a", "0 NONE TXT b"], { put: [], gone: [], rows: 0 }],
    [["0 ANY TXT", "120 IN TXT old"], { put: ["old"], gone: [], rows: 0 }],
    [["0 ANY A"], { put: [], gone: [], rows: 0 }],
    // No ACME client writes these: they are records like any other.
    [['120 IN TXT "a" "b"'], { put: [], gone: [], rows: 1 }],
    [['120 IN TXT "a\\"b"'], { put: [], gone: [], rows: 1 }],
  ])("%j", (texts, expected) => {
    expect(after([], ...texts.map((text) => `${name} ${text}`))).toEqual(expected);
  });

  it("goes with a record of the zone's own that says the same, and stays away from a CNAME", () => {
    const own = row(`${name} TXT "old"`);
    expect(after([own], `${name} 0 NONE TXT old`)).toEqual({ put: [], gone: ["old"], rows: 1 });
    expect(after([alias], `${name} 5 IN TXT a`)).toEqual({ put: [], gone: [], rows: 0 });
  });
});
