import * as packet from "dns-packet";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { decode } from "../conformance/message";
import { catalogOf, wireName, zoneChanges } from "./__tests__/zone-text";
import { addressOctets } from "./address";
import type { Zones } from "./answer";
import { CLASS, RCODE, TYPE } from "./codes";
import { MAX_TCP_OCTETS, MAX_UDP_OCTETS, respond, type Server, type Transport } from "./respond";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const many = Array.from({ length: 60 }, (_, i) => `many.example.org 60 TXT "value number ${i}"`);
const addresses = Array.from({ length: 40 }, (_, i) => `host.example.org 60 A 192.0.2.${i}`);
const cut = Array.from({ length: 12 }, (_, i) => [
  `cut.example.org 60 NS ns${i}.a-rather-long-label-in-front.cut.example.org`,
  `ns${i}.a-rather-long-label-in-front.cut.example.org 60 AAAA 2001:db8::${i}`,
]).flat();
const zones: Zones = catalogOf(
  { platformZone: "repl.test", validationZone: "" },
  zoneChanges("example.org", [
    "example.org 60 SOA ns1.example.org hostmaster.example.org 1 3600 600 86400 60",
    "example.org 60 NS ns1.example.org",
    "ns1.example.org 60 A 192.0.2.53",
    "mail.example.org 60 MX 1 host.example.org",
    "a.example.org 60 A 192.0.2.1",
    "alias.example.org 60 CNAME a.example.org",
    '*.wild.example.org 60 CAA 0 issue "ca.example"',
    ...many,
    ...addresses,
    ...cut,
  ]),
);

interface Query {
  name: string;
  type?: number;
  klass?: number;
  opcode?: number;
  /** Size that EDNS announces; no EDNS without it. */
  size?: number;
  version?: number;
  flags?: number;
}

function queryOctets({ name, type = TYPE.A, klass = 1, opcode = 0, ...rest }: Query): Buffer {
  const { size, version = 0, flags = 0x0100 } = rest;
  const qname = Buffer.from(name, "latin1");
  const octets = Buffer.alloc(12 + qname.length + 4 + (size === undefined ? 0 : 11));
  octets.writeUInt16BE(0xbeef, 0);
  octets.writeUInt16BE(flags | (opcode << 11), 2);
  octets.writeUInt16BE(1, 4);
  octets.writeUInt16BE(size === undefined ? 0 : 1, 10);
  qname.copy(octets, 12);
  octets.writeUInt16BE(type, 12 + qname.length);
  octets.writeUInt16BE(klass, 14 + qname.length);
  if (size !== undefined) {
    octets.writeUInt16BE(TYPE.OPT, 17 + qname.length);
    octets.writeUInt16BE(size, 19 + qname.length);
    octets.writeUInt8(version, 22 + qname.length);
    octets.writeUInt16BE(0x8000, 23 + qname.length);
  }
  return octets;
}

const server: Server = {
  zones,
  identity: "ns1-a",
  secrets: [Buffer.from("e5e973e5a6b2a43f48e7dc849e37bfcf", "hex")],
  limiter: undefined,
};
const asker = {
  transport: "udp" as Transport,
  address: addressOctets("192.0.2.9"),
  nowMs: 1_559_731_985_000,
};

function send(query: Uint8Array, transport: Transport = "udp") {
  const out = new Uint8Array(transport === "udp" ? MAX_UDP_OCTETS : MAX_TCP_OCTETS);
  const { length } = respond(server, query, { ...asker, transport }, out);
  return Buffer.from(out.subarray(0, length));
}

const ask = (query: Query, transport: "udp" | "tcp" = "udp") => {
  return packet.decode(send(queryOctets(query), transport));
};
const rcode = (message: packet.DecodedPacket): number => message.flags! & 0xf;
const name = (text: string): string => wireName(text);

describe("respond()", () => {
  it("copies ID, RD and the question, and sets QR and AA (RFC 1035 4.1.1, 4035 3.1.6)", () => {
    const query = queryOctets({ name: name("a.example.org"), flags: 0x0130 }); // RD, AD, CD
    query.write("A", 13); // 0x20
    const reply = send(query);
    expect(reply.readUInt16BE(0)).toBe(0xbeef);
    expect(reply.readUInt16BE(2)).toBe(0x8500);
    expect(reply.subarray(12, query.length)).toEqual(query.subarray(12));
    expect(reply.subarray(query.length, query.length + 2).toString("hex")).toBe("c00c");
  });

  it("echoes a question that is no text", () => {
    const query = queryOctets({ name: "\x03\xff.\0\x07example\x03org\0" });
    const reply = send(query);
    expect(reply.subarray(12, query.length)).toEqual(query.subarray(12));
    expect(reply.readUInt16BE(2) & 0xf).toBe(RCODE.NXDOMAIN);
  });

  it.each([
    ["an answer", Buffer.concat([Buffer.from("beef8100", "hex"), Buffer.alloc(8)])],
    ["nothing", Buffer.alloc(0)],
    ["eleven octets", Buffer.alloc(11)],
  ])("stays silent at %s", (_what, query) => {
    expect(send(query)).toHaveLength(0);
  });

  it("says FORMERR with a bare header to what it cannot read", () => {
    const query = queryOctets({ name: name("a.example.org") }).subarray(0, 20);
    expect(send(query).toString("hex")).toBe("beef81010000000000000000");
  });

  it("says NOTIMP to other opcodes, and echoes them", () => {
    const reply = send(queryOctets({ name: name("a.example.org"), opcode: 2 }));
    expect(reply.toString("hex")).toBe("beef91040000000000000000");
  });

  it("says REFUSED to an update that nobody signed (RFC 3007 3)", () => {
    const reply = send(queryOctets({ name: name("a.example.org"), opcode: 5 }));
    expect(reply.toString("hex")).toBe("beefa9050000000000000000");
  });

  it("has OPT if and only if the query has, with its own size and DO (RFC 6891 6.1.1)", () => {
    expect(ask({ name: name("a.example.org") }).additionals).toEqual([]);
    const [opt] = ask({ name: name("a.example.org"), size: 4096 }).additionals!;
    expect(opt).toMatchObject({ type: "OPT", udpPayloadSize: 1232, ednsVersion: 0, flags: 0x8000 });
  });

  it("says BADVERS to EDNS versions of the future (RFC 6891 6.1.3)", () => {
    const reply = ask({ name: name("a.example.org"), size: 1232, version: 1 });
    expect(reply.answers).toEqual([]);
    expect(rcode(reply)).toBe(0);
    expect(reply.additionals![0]).toMatchObject({ extendedRcode: 1, ednsVersion: 0 });
  });

  it.each([
    [{ name: name("a.example.org"), klass: CLASS.CH }],
    [{ name: name("authors.bind"), klass: CLASS.CH, type: TYPE.TXT }],
    [{ name: name("example.com") }],
    [{ name: name("example.org"), type: TYPE.AXFR }],
  ])("refuses %j, without authority", (query) => {
    const reply = ask(query);
    expect(rcode(reply)).toBe(RCODE.REFUSED);
    expect(reply.flag_aa).toBe(false);
  });

  it.each([
    [undefined, 512],
    [0, 512],
    [700, 700],
    [1232, 1232],
    [65535, 1232],
  ])("keeps to the size: EDNS %s is %i octets", (size, limit) => {
    const query = queryOctets({ name: name("many.example.org"), type: TYPE.TXT, size });
    const reply = packet.decode(send(query));
    expect(reply.flag_tc).toBe(true);
    expect(reply.answers).toEqual([]);
    const fits = packet.decode(send(queryOctets({ name: name("host.example.org"), size })));
    expect(fits.flag_tc).toBe(limit < 700);
    expect(fits.answers).toHaveLength(limit < 700 ? 0 : 40);
  });

  it("has everything over TCP", () => {
    const reply = ask({ name: name("many.example.org"), type: TYPE.TXT }, "tcp");
    expect(reply.flag_tc).toBe(false);
    expect(reply.answers).toHaveLength(60);
  });

  it("leaves additional data out when it does not fit, but never glue (RFC 9471)", () => {
    const mail = ask({ name: name("mail.example.org"), type: TYPE.MX });
    expect([mail.flag_tc, mail.answers?.length, mail.additionals?.length]).toEqual([false, 1, 0]);
    expect(ask({ name: name("x.cut.example.org") }).flag_tc).toBe(true);
    expect(ask({ name: name("x.cut.example.org") }, "tcp").additionals).toHaveLength(12);
  });

  it("answers whatever the question, within the size, as others can read it", () => {
    const label = fc.constantFrom(
      "a",
      "alias",
      "many",
      "host",
      "wild",
      "mail",
      "cut",
      "*",
      "x",
      "ns1",
    );
    const anyName = fc
      .tuple(fc.array(label, { maxLength: 5 }), fc.constantFrom("example.org", "org", "repl.test"))
      .map(([labels, zone]) => wireName([...labels, zone].join(".")));
    const query = fc.record({
      name: anyName,
      type: fc.oneof(fc.constantFrom(...Object.values(TYPE)), fc.nat(65535)),
      klass: fc.constantFrom(1, 1, 1, 3, 255),
      opcode: fc.constantFrom(0, 0, 0, 4, 5, 15),
      size: fc.option(fc.constantFrom(0, 512, 600, 1232, 4096), { nil: undefined }),
      version: fc.constantFrom(0, 0, 1),
    });
    fc.assert(
      fc.property(query, fc.constantFrom("udp" as const, "tcp" as const), (asked, transport) => {
        const octets = queryOctets(asked);
        const reply = send(octets, transport);
        const limit = asked.size === undefined ? 512 : Math.min(Math.max(asked.size, 512), 1232);
        if (transport === "udp") expect(reply.length).toBeLessThanOrEqual(limit);
        const message = packet.decode(reply);
        expect(packet.decode.bytes).toBe(reply.length);
        expect(decode(reply).answers).toHaveLength(message.answers!.length);
        const end = 12 + asked.name.length + 4;
        if (message.questions!.length > 0) {
          expect(reply.subarray(12, end)).toEqual(octets.subarray(12, end));
        }
        const opts = message.additionals!.filter(({ type }) => type === "OPT");
        expect(opts).toHaveLength(
          asked.size === undefined || rcode(message) === 1 ? opts.length : 1,
        );
      }),
      { seed: 1034, numRuns: 2000 },
    );
  });

  it("says SERVFAIL when an answer stumbles", () => {
    const out = new Uint8Array(512);
    const broken = {
      zoneOf: () => {
        throw new Error("broken");
      },
    };
    const query = queryOctets({ name: name("a.example.org") });
    const outcome = respond({ ...server, zones: broken }, query, asker, out);
    expect(outcome.rcode).toBe(RCODE.SERVFAIL);
    expect(packet.decode(Buffer.from(out.subarray(0, outcome.length))).questions).toHaveLength(1);
  });
});
