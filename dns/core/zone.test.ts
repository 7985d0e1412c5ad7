import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { formatRdata, parseRdata } from "./rdata";
import { type RRset, targetOf, Zone } from "./zone";

function rrset(type: number, value: string, ttl = 60): RRset {
  const data = parseRdata(type, value);
  if (!data.ok) throw new Error(data.reason);
  return { type, ttl, rdatas: [data.value] };
}

const address = rrset(TYPE.A, "192.0.2.1");
const origin = wireName("example.org");

describe("a zone", () => {
  it("has empty non-terminals for as long as something is below them", () => {
    const zone = new Zone(origin);
    zone.set(wireName("a.b.c.example.org"), TYPE.A, address);
    expect(zone.node(wireName("b.c.example.org"))?.size).toBe(0);
    zone.set(wireName("c.example.org"), TYPE.A, address);
    zone.set(wireName("a.b.c.example.org"), TYPE.A, undefined);
    expect(zone.node(wireName("b.c.example.org"))).toBeUndefined();
    expect(zone.node(wireName("c.example.org"))?.size).toBe(1);
    zone.set(wireName("c.example.org"), TYPE.A, undefined);
    expect(zone.size).toBe(1);
  });

  it("shows its serial in its SOA, whichever came first", () => {
    const zone = new Zone(origin);
    zone.setSerial(7);
    zone.set(origin, TYPE.SOA, rrset(TYPE.SOA, "ns1.x host.x 1 2 3 4 5", 600));
    expect(formatRdata(TYPE.SOA, zone.soa.rdatas[0]!)).toBe("ns1.x host.x 7 2 3 4 5");
    zone.setSerial(0xffffffff);
    expect(formatRdata(TYPE.SOA, zone.soa.rdatas[0]!)).toBe("ns1.x host.x 4294967295 2 3 4 5");
    expect(zone.node(origin)?.get(TYPE.SOA)).toBe(zone.soa);
    expect(zone.negativeSoa.ttl).toBe(5);
  });

  it("holds the names with data and those above them, whatever was set and removed", () => {
    const label = fc.constantFrom("a", "b", "c");
    const name = fc
      .array(label, { minLength: 1, maxLength: 4 })
      .map((l) => `${l.join(".")}.example.org`);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.boolean()), { maxLength: 60 }), (steps) => {
        const zone = new Zone(origin);
        const model = new Set<string>();
        for (const [at, present] of steps) {
          zone.set(wireName(at), TYPE.A, present ? address : undefined);
          if (present) model.add(at);
          else model.delete(at);
        }
        const expected = new Set(["example.org"]);
        for (const at of model) {
          const labels = at.split(".");
          for (let skip = 0; labels.length - skip > 2; skip++) {
            expected.add(labels.slice(skip).join("."));
          }
        }
        expect(zone.size).toBe(expected.size);
        for (const at of expected) expect(zone.node(wireName(at))).toBeDefined();
      }),
      { seed: 4592 },
    );
  });

  it("knows whether it has cuts", () => {
    const zone = new Zone(origin);
    const ns = rrset(TYPE.NS, "ns.example");
    zone.set(origin, TYPE.NS, ns);
    expect(zone.hasCuts).toBe(false);
    for (let twice = 0; twice < 2; twice++) zone.set(wireName("cut.example.org"), TYPE.NS, ns);
    expect(zone.hasCuts).toBe(true);
    for (let twice = 0; twice < 2; twice++)
      zone.set(wireName("cut.example.org"), TYPE.NS, undefined);
    expect(zone.hasCuts).toBe(false);
  });

  it("has no SOA once it was taken away", () => {
    const zone = new Zone(origin);
    zone.set(origin, TYPE.SOA, rrset(TYPE.SOA, "ns.x host.x 0 1 2 3 4"));
    expect(zone.soa.rdatas).toHaveLength(1);
    zone.set(origin, TYPE.SOA, undefined);
    expect([zone.soa.rdatas, zone.negativeSoa.rdatas]).toEqual([[], []]);
  });

  it("knows where its records point", () => {
    expect(targetOf(TYPE.MX, rrset(TYPE.MX, "10 m.x").rdatas[0]!)).toBe(wireName("m.x"));
    expect(targetOf(TYPE.SRV, rrset(TYPE.SRV, "1 2 3 s.x").rdatas[0]!)).toBe(wireName("s.x"));
    expect(targetOf(TYPE.A, address.rdatas[0]!)).toBeUndefined();
  });
});
