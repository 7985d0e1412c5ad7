import { describe, expect, it } from "vitest";

import { optRecord, query, words } from "../conformance/message";
import { ZONES } from "../conformance/zones";
import { addressOctets } from "./address";
import type { Zones } from "./answer";
import { catalogOf, zoneChanges } from "./__tests__/zone-text";
import { RateLimiter } from "./rate-limit";
import { MAX_UDP_OCTETS, respond, type Server } from "./respond";

const deepest = `${Array.from({ length: 60 }, (_, i) => `l${i % 10}`).join(".")}.wire.test`;
const catalog = catalogOf(
  { platformZone: "repl.test", validationZone: "" },
  ...Object.entries(ZONES).map(([zone, records]) => zoneChanges(zone, records)),
  zoneChanges("wire.test", [`${deepest} 60 A 192.0.2.1`]),
);

const serverOf = (zones: Zones, limiter?: RateLimiter): Server => {
  const secrets = [Buffer.from("e5e973e5a6b2a43f48e7dc849e37bfcf", "hex")];
  return { zones, identity: "ns1", secrets, limiter };
};

const out = new Uint8Array(MAX_UDP_OCTETS);
const asker = { transport: "udp" as const, address: addressOctets("192.0.2.1"), nowMs: 0 };

/** Octets of the query that were read one by one, and names that were looked for. */
function workOf(octets: Buffer): { reads: number; lookups: number; length: number } {
  const work = { reads: 0, lookups: 0, length: octets.length };
  const counted = new Proxy(octets, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) work.reads++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const zones: Zones = {
    zoneOf(name) {
      work.lookups++;
      const zone = catalog.zoneOf(name);
      if (!zone) return undefined;
      return {
        origin: zone.origin,
        soa: zone.soa,
        negativeSoa: zone.negativeSoa,
        hasCuts: zone.hasCuts,
        nodes: () => zone.nodes(),
        node: (at) => {
          work.lookups++;
          return zone.node(at);
        },
      };
    },
  };
  const { rcode } = respond(serverOf(zones), counted, asker, out);
  expect(rcode).not.toBe(2);
  return work;
}

const withRecords = (count: number): Buffer => {
  const question = query("a.wire.test", "A");
  question.writeUInt16BE(count, 10);
  const record = Buffer.concat([Buffer.of(0), words(250, 255, 0, 0, 0)]);
  return Buffer.concat([question, ...Array.from({ length: count }, () => record)]);
};

const withOptions = (count: number): Buffer => {
  const options = Array.from({ length: count }, () => ({ code: 65_001, data: Buffer.alloc(0) }));
  return query("a.wire.test", "A", { edns: { options } });
};

const withOpts = (count: number): Buffer => {
  const question = query("a.wire.test", "A");
  question.writeUInt16BE(count, 10);
  return Buffer.concat([question, ...Array.from({ length: count }, () => optRecord({}))]);
};

const pointers = (count: number): Buffer => {
  const question = query("a.wire.test", "A");
  question.writeUInt16BE(count, 10);
  const record = Buffer.concat([Buffer.of(0xc0, 0x0c), words(250, 255, 0, 0, 0)]);
  return Buffer.concat([question, ...Array.from({ length: count }, () => record)]);
};

describe("the work of a query", () => {
  it.each([
    ["additional records", withRecords],
    ["records at pointers", pointers],
    ["options", withOptions],
    ["OPT records", withOpts],
    [
      "octets left over",
      (count: number) => Buffer.concat([query("a.wire.test", "A"), Buffer.alloc(count)]),
    ],
    ["labels of one octet", (count: number) => query(`${"a.".repeat(count / 20)}wire.test`, "A")],
    [
      "labels that exist",
      (count: number) => query(deepest.slice(-3 * (count / 40) - 9).replace(/^\./, ""), "A"),
    ],
    [
      "labels below a cut",
      (count: number) => query(`${"a.".repeat(count / 20)}cut.wire.test`, "A"),
    ],
  ])("is linear in %s", (_what, queryOf) => {
    for (const count of [40, 200, 800, 2_000]) {
      const { reads, lookups, length } = workOf(queryOf(count));
      expect(reads).toBeLessThanOrEqual(3 * length);
      expect(lookups).toBeLessThanOrEqual(length);
    }
  });

  it("has no more than a bounded chain of aliases", () => {
    expect(workOf(query("chain1.wire.test", "A")).lookups).toBeLessThan(60);
    expect(workOf(query("loop1.wire.test", "A")).lookups).toBeLessThan(20);
  });
});

describe("a flood from one /24", () => {
  /** In a second, with a limit of a hundredth of it. */
  const FLOOD = 5_000;
  const edns = { edns: { size: 4096 } };
  const cookie = { code: 10, data: Buffer.alloc(8, 1) };
  const nsid = { code: 3, data: Buffer.alloc(0) };

  it.each([
    ["of one name with a large answer", () => query("medium.wire.test", "TXT", edns)],
    ["of made-up names", (i: number) => query(`n${i}.wire.test`, "A", edns)],
    ["of made-up names below a leaf", (i: number) => query(`n${i}.a.wire.test`, "A", edns)],
    ["of names of a wildcard", (i: number) => query(`n${i}.wild.wire.test`, "TXT", edns)],
    [
      "of names of a wildcard that have no such data",
      (i: number) => query(`n${i}.wild.wire.test`, "MX", edns),
    ],
    ["of aliases of a wildcard", (i: number) => query(`n${i}.aliases.wire.test`, "A", edns)],
    ["of names below a cut", (i: number) => query(`n${i}.wide.wire.test`, "A", edns)],
    ["of names elsewhere", (i: number) => query(`n${i}.example.com`, "A", edns)],
    ["of ANY", () => query("wire.test", "ANY", edns)],
    ["of all types of a name", (i: number) => query("wire.test", i % 256, edns)],
    [
      "of forged cookies",
      (i: number) => query(`n${i}.wire.test`, "A", { edns: { options: [cookie, nsid] } }),
    ],
    ["of what is malformed", () => query("a.wire.test", "A").subarray(0, 20)],
  ])("%s gets back no more than it sends", (_what, queryOf) => {
    const limiter = new RateLimiter({ perSecond: FLOOD / 100, exempt: [], seed: 5_358 });
    const server = serverOf(catalog, limiter);
    let sent = 0;
    let received = 0;
    for (let i = 0; i < FLOOD; i++) {
      const octets = queryOf(i);
      sent += octets.length;
      const from = { ...asker, address: addressOctets(`192.0.2.${i % 256}`), nowMs: i / 5 };
      received += respond(server, octets, from, out).length;
    }
    expect(received).toBeLessThanOrEqual(sent);
  });

  it("leaves those alone who show a cookie, come over TCP, or are elsewhere", () => {
    const limiter = new RateLimiter({ perSecond: 1, exempt: [], seed: 5_358 });
    const server = serverOf(catalog, limiter);
    const withCookie = (data: Buffer): Buffer =>
      query("a.wire.test", "A", { edns: { options: [{ code: 10, data }] } });
    const isAnswered = (octets: Buffer, of: Partial<typeof asker> = {}): boolean => {
      const { length, isTruncated } = respond(server, octets, { ...asker, ...of }, out);
      return length > 0 && !isTruncated;
    };
    expect(isAnswered(withCookie(Buffer.alloc(8, 1)))).toBe(true);
    const learnt = Buffer.from(out.subarray(out.length - MAX_UDP_OCTETS, MAX_UDP_OCTETS));
    const at = learnt.indexOf(Buffer.from("000a0018", "hex"));
    const good = withCookie(learnt.subarray(at + 4, at + 28));
    for (let i = 0; i < 10; i++) respond(server, query("a.wire.test", "A"), asker, out);
    expect(isAnswered(query("a.wire.test", "A"))).toBe(false);
    expect(isAnswered(good)).toBe(true);
    expect(isAnswered(query("a.wire.test", "A"), { transport: "tcp" as "udp" })).toBe(true);
    expect(isAnswered(query("a.wire.test", "A"), { address: addressOctets("198.51.100.1") })).toBe(
      true,
    );
  });
});
