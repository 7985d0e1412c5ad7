/** Rules about header, question, sizes and whatever cannot be read. */
import { ID, type Message, nameWire, optRecord, query, words } from "./message";
import {
  asked,
  type Exchange,
  type Expectation,
  must,
  rcodeText,
  replies,
  type Rule,
  should,
  silence,
} from "./rule";

const RD = 0x0100;
const AD = 0x0020;
const CD = 0x0010;

const bare = { answers: [], authorities: [] };

/** One of these response codes, and no data. */
const oneOf = (...rcodes: string[]): Expectation =>
  replies({
    ...bare,
    also: (reply) =>
      rcodes.includes(rcodeText(reply.rcode))
        ? undefined
        : `rcode ${rcodeText(reply.rcode)}: expected ${rcodes.join(" or ")}`,
  });

/** FORMERR without data, or no reply at all. */
const formerrOrSilence: Expectation = (reply) => (reply ? oneOf("FORMERR")(reply) : undefined);

/** REFUSED, and no authority over what was asked. */
const refused = replies({ ...bare, rcode: "REFUSED", aa: false });

const malformed = (ask: Buffer): Exchange => ({ ask, expect: formerrOrSilence });

const header = (...counts: number[]): Buffer => words(ID, RD, ...counts);
const aWire = nameWire("a.wire.test");
const aQuestion = Buffer.concat([aWire, words(1, 1)]);

/** `a.wire.test A`, with letters of both cases. */
const MIXED = query("a.WiRe.tESt", "A");

const keepsHeader = (reply: Message): string | undefined => {
  if (!reply.qr || reply.opcode !== 0) return "it is no response to a query";
  if (reply.ra || reply.z !== 0) return `RA ${reply.ra}, Z, AD and CD ${reply.z}: expected none`;
  return undefined;
};

const header1035: Rule[] = [
  must(
    "1035 4.1.1",
    "RD is copied; RA, Z, AD and CD are clear",
    asked(query("a.wire.test", "A", { flags: RD | AD | CD }), {
      rcode: "NOERROR",
      also: (reply) => keepsHeader(reply) ?? (reply.rd ? undefined : "RD is clear"),
    }),
  ),
  must(
    "1035 4.1.1",
    "RD stays clear where it was",
    asked(query("a.wire.test", "A", { flags: 0 }), {
      also: (reply) => keepsHeader(reply) ?? (reply.rd ? "RD is set" : undefined),
    }),
  ),
  must("1035 4.1.1", "a response is no query: silence", {
    ask: query("a.wire.test", "A", { flags: 0x8000 | RD }),
    expect: silence,
  }),
  must("1035 4.1.1", "eleven octets are no message: silence", {
    ask: header(1, 0, 0, 0).subarray(0, 11),
    expect: silence,
  }),
  must(
    "5452 9.1",
    "the reply comes from the address and port that were asked, which is all that is heard",
    asked(query("a.wire.test", "A"), { rcode: "NOERROR" }),
    "udp",
  ),
  must("2181 6", "AA is set over data, NXDOMAIN and NODATA alike", {
    ...asked(query("a.wire.test", "A"), { aa: true }),
    next: () => ({
      ...asked(query("gone.wire.test", "A"), { aa: true }),
      next: () => asked(query("a.wire.test", "TXT"), { aa: true }),
    }),
  }),
];

const UNKNOWN_OPCODES = [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const opcodes: Rule[] = [
  ...UNKNOWN_OPCODES.map((opcode) =>
    must("8906 3.2.3", `opcode ${opcode} is NOTIMP, and echoed`, {
      ask: query("a.wire.test", "A", { opcode }),
      expect: replies({
        rcode: "NOTIMP",
        ...bare,
        also: (reply) => (reply.opcode === opcode ? undefined : `opcode ${reply.opcode}`),
      }),
    }),
  ),
  must("1996 3.10", "NOTIFY of a stranger is refused", {
    ask: query("wire.test", "SOA", { opcode: 4, flags: 0x0400 }),
    expect: oneOf("REFUSED", "NOTAUTH", "NOTIMP"),
  }),
  must("2136 3.3", "UPDATE of a stranger is refused", {
    ask: query("wire.test", "SOA", { opcode: 5, flags: 0 }),
    expect: oneOf("REFUSED", "NOTAUTH", "NOTIMP"),
  }),
];

const labels = (...octets: number[]): Buffer =>
  Buffer.concat([header(1, 0, 0, 0), Buffer.from(octets), words(1, 1)]);

const unreadable: Rule[] = [
  must("1035 4.1.1", "a label of type 01", malformed(labels(0x41, 0x61, 0))),
  must("1035 4.1.1", "a label of type 10", malformed(labels(0x81, 0x61, 0))),
  must("9267 2", "a pointer to itself in the question", malformed(labels(0xc0, 0x0c))),
  must("9267 2", "two pointers to each other", malformed(labels(0xc0, 0x0e, 0xc0, 0x0c))),
  must("9267 2", "a pointer past the end", malformed(labels(0xff, 0xff))),
  must(
    "1035 2.3.4",
    "a name of 256 octets",
    malformed(
      Buffer.concat([
        header(1, 0, 0, 0),
        ...Array.from({ length: 3 }, () => Buffer.concat([Buffer.of(63), Buffer.alloc(63, 0x61)])),
        Buffer.concat([Buffer.of(62), Buffer.alloc(62, 0x61), Buffer.of(0)]),
        words(1, 1),
      ]),
    ),
  ),
  must(
    "1035 4.1.1",
    "a question that is cut off",
    malformed(query("a.wire.test", "A").subarray(0, 20)),
  ),
  must(
    "1035 4.1.1",
    "a question without its class",
    malformed(query("a.wire.test", "A").subarray(0, -2)),
  ),
  must(
    "1035 4.1.1",
    "a name without its end",
    malformed(Buffer.concat([header(1, 0, 0, 0), aWire.subarray(0, -1)])),
  ),
  must(
    "1035 4.1.1",
    "an OPT that is cut off",
    malformed(query("a.wire.test", "A", { edns: {} }).subarray(0, -3)),
  ),
  must(
    "6891 6.1.2",
    "an OPT longer than the message",
    malformed(
      Buffer.concat([header(1, 0, 0, 1), aQuestion, Buffer.of(0), words(41, 1232, 0, 0, 64)]),
    ),
  ),
  must(
    "6891 6.1.2",
    "an option longer than OPT",
    malformed(
      Buffer.concat([
        header(1, 0, 0, 1),
        aQuestion,
        Buffer.of(0),
        words(41, 1232, 0, 0, 4, 0x00fe, 8),
      ]),
    ),
  ),
  must("9619 4", "two questions are FORMERR", {
    ask: Buffer.concat([header(2, 0, 0, 0), aQuestion, aQuestion]),
    expect: oneOf("FORMERR"),
  }),
  must("8906 3.1.1", "no question is FORMERR", {
    ask: header(0, 0, 0, 0),
    expect: oneOf("FORMERR"),
  }),
  must("6891 6.1.1", "two OPT records are FORMERR", {
    ask: Buffer.concat([header(1, 0, 0, 2), aQuestion, optRecord({}), optRecord({})]),
    expect: oneOf("FORMERR"),
  }),
  must("6891 6.1.2", "an OPT at a name is FORMERR", {
    ask: Buffer.concat([header(1, 0, 0, 1), aQuestion, Buffer.of(1, 0x61), optRecord({})]),
    expect: oneOf("FORMERR"),
  }),
];

const refusals: Rule[] = [
  should("8906 3.1.4", "a name of class CH is REFUSED", {
    ask: query("a.wire.test", "A", { class: 3 }),
    expect: refused,
  }),
  should("8906 3.1.4", "a name of class HS is REFUSED", {
    ask: query("a.wire.test", "A", { class: 4 }),
    expect: refused,
  }),
  ...["www.example.com", "test", ".", "wire.test.example"].map((name) =>
    must("1034 4.3.2", `"${name}" is not ours: REFUSED, no way up`, {
      ask: query(name, "A"),
      expect: refused,
    }),
  ),
  must("5358 4", "RD makes nobody look further", {
    ask: query("www.example.com", "A", { flags: RD | CD }),
    expect: refused,
  }),
];

/** The answer's owner is a pointer to the question's name. */
const pointsToQuestion = ({ octets, question }: Message): string | undefined => {
  const owner = octets.subarray(12 + question.length, 14 + question.length);
  return owner.equals(Buffer.of(0xc0, 0x0c)) ? undefined : `owner ${owner.toString("hex")}…`;
};

const names: Rule[] = [
  must(
    "4343 4",
    "letters of the question keep their case, and the answer points to them",
    asked(MIXED, { answers: ["a.wire.test. 300 A 192.0.2.10"], also: pointsToQuestion }),
  ),
  must(
    "4343 3",
    "letters are compared without case",
    asked(query("A.WIRE.TEST", "A"), { answers: ["a.wire.test. 300 A 192.0.2.10"] }),
  ),
  must(
    "4343 3",
    "only A to Z have another case",
    asked(query("at\\096.wire.test", "A"), { rcode: "NXDOMAIN" }),
  ),
  must(
    "2181 11",
    "labels are any octets",
    asked(query("\\255\\000\\001.wire.test", "A"), {
      answers: ["\\255\\000\\001.wire.test. 300 A 192.0.2.17"],
    }),
  ),
  must(
    "2181 11",
    "octets that are no UTF-8 come back as they were",
    asked(query("\\254\\255.wire.test", "A"), { rcode: "NXDOMAIN" }),
  ),
  must(
    "2181 11",
    "a dot in a label does not split it",
    asked(query("one\\046label.wire.test", "A"), {
      answers: ["one\\046label.wire.test. 300 A 192.0.2.15"],
    }),
  ),
  must(
    "2181 11",
    "two labels are not one with a dot",
    asked(query("one.label.wire.test", "A"), {
      answers: ["one.label.wire.test. 300 A 192.0.2.16"],
    }),
  ),
  should(
    "1035 4.1.4",
    "names in NS data are compressed",
    asked(query("wire.test", "NS"), {
      also: ({ answers }) =>
        answers.every((record) => record.hasCompressedData) ? undefined : "they are whole",
    }),
  ),
  must("3597 4", "names in SRV and HTTPS data are not compressed", {
    ...asked(query("_sip._tcp.wire.test", "SRV"), {
      answers: ["_sip._tcp.wire.test. 300 SRV 10 20 5060 a.wire.test."],
    }),
    next: () =>
      asked(query("wire.test", "HTTPS"), {
        also: ({ answers: [record] }) =>
          record?.rdata.subarray(2).equals(nameWire("service.wire.test"))
            ? undefined
            : "the target is not whole",
      }),
  }),
];

const many = (count: number): ((reply: Message) => string | undefined) => {
  return ({ answers }) =>
    answers.length === count ? undefined : `${answers.length} answers: expected ${count}`;
};

const sizes: Rule[] = [
  must(
    "1035 4.2.1",
    "without EDNS 512 octets: TC, and no part of the RRset",
    asked(query("medium.wire.test", "TXT"), { tc: true, answers: [] }),
    "udp",
  ),
  must(
    "6891 6.2.5",
    "with room for it, the RRset is whole",
    asked(query("medium.wire.test", "TXT", { edns: { size: 1232 } }), {
      tc: false,
      also: many(20),
    }),
  ),
  must(
    "6891 6.2.3",
    "a size below 512 is 512",
    asked(query("rr.wire.test", "A", { edns: { size: 0 } }), { tc: false, also: many(3) }),
  ),
  must(
    "9715 3",
    "more than 1232 octets are never sent: TC, with OPT",
    asked(query("large.wire.test", "TXT", { edns: { size: 65_535 } }), {
      tc: true,
      answers: [],
      also: ({ opt }) => (opt ? undefined : "no OPT"),
    }),
    "udp",
  ),
  must(
    "7766 5",
    "TCP has what UDP has no room for",
    asked(query("large.wire.test", "TXT"), { tc: false, also: many(80) }),
    "tcp",
  ),
  must(
    "9471 3.1",
    "glue that does not fit is TC",
    asked(query("x.wide.wire.test", "A"), { tc: true }),
    "udp",
  ),
];

export const MESSAGE_RULES: readonly Rule[] = [
  ...header1035,
  ...opcodes,
  ...unreadable,
  ...refusals,
  ...names,
  ...sizes,
];
