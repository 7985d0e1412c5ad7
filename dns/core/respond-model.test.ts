import * as packet from "dns-packet";
import fc from "fast-check";
import { expect, it, vi } from "vitest";

import { decode, query } from "../conformance/message";
import { rcodeText, recordText } from "../conformance/rule";
import { modelAnswer, type ModelRecord, type ModelZone } from "./__tests__/model";
import { catalogOf, zoneChanges } from "./__tests__/zone-text";
import { addressOctets } from "./address";
import { MAX_TCP_OCTETS, MAX_UDP_OCTETS, respond, type Server } from "./respond";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 60_000 });

/** One zone in another that we serve too, and one elsewhere. */
const ORIGINS = ["o", "x.o", "p"] as const;
const LABELS = ["a", "b", "x", "*"] as const;

const below = (origin: string) =>
  fc
    .array(fc.constantFrom(...LABELS), { maxLength: 3 })
    .map((labels) => [...labels, origin].join("."));
const anyName = fc.constantFrom(...ORIGINS, "q").chain(below);

/** What MX and NS lead to is a host's name. */
const hostOf = (name: string): string => name.replaceAll("*", "a");

const record = (origin: string): fc.Arbitrary<ModelRecord> =>
  fc
    .record({
      name: below(origin),
      ttl: fc.constantFrom(30, 300),
      type: fc.constantFrom("A", "AAAA", "TXT", "MX", "NS", "CNAME", "CNAME", "DS"),
      target: anyName,
      number: fc.nat(3),
    })
    .map(({ name, ttl, type, target, number }) => {
      const values: Record<string, string> = {
        A: `192.0.2.${number}`,
        AAAA: `2001:db8:0:0:0:0:0:${number}`,
        TXT: `"text ${number}"`,
        MX: `${number} ${hostOf(target)}.`,
        NS: `${hostOf(target)}.`,
        CNAME: `${target}.`,
        DS: `\\# 5 000102030${number}`,
      };
      return { name, ttl, type, value: values[type]! };
    });

/** What the API would take: aliases alone at their name, no NS at a wildcard, each record once. */
function admissible(origin: string, candidates: readonly ModelRecord[]): ModelZone {
  const soa = "ns.o. host.o. _ 1 2 3 60";
  const records: ModelRecord[] = [
    { name: origin, ttl: origin === "o" ? 3600 : 20, type: "SOA", value: soa },
  ];
  for (const candidate of candidates) {
    const { name, type, value } = candidate;
    const here = records.filter((other) => other.name === name);
    const isAlone = type === "CNAME" ? here.length === 0 : !here.some((o) => o.type === "CNAME");
    const isPlaced = !(type === "NS" && (name.startsWith("*.") || name === origin));
    const isNew = !here.some((other) => other.type === type && other.value === value);
    if (!isAlone || !isPlaced || !isNew) continue;
    // All records of a set have one TTL (RFC 2181 section 5.2).
    const ttl = here.find((other) => other.type === type)?.ttl ?? candidate.ttl;
    records.push({ ...candidate, ttl });
  }
  return { origin, records };
}

const zonesOf = fc.tuple(
  ...ORIGINS.map((origin) =>
    fc.array(record(origin), { maxLength: 14 }).map((records) => admissible(origin, records)),
  ),
);

function serverOf(zones: readonly ModelZone[]): Server {
  const changes = zones.map(({ origin, records }) =>
    zoneChanges(
      origin,
      records.map(
        ({ name, ttl, type, value }) => `${name} ${ttl} ${type} ${value.replace("_", "1")}`,
      ),
    ),
  );
  const catalog = catalogOf({ platformZone: "repl.test", validationZone: "" }, ...changes);
  return { zones: catalog, identity: "", secrets: [], limiter: undefined };
}

const sorted = (values: readonly string[]): string[] => [...values].sort();

function ask(server: Server, octets: Buffer, transport: "udp" | "tcp") {
  const out = new Uint8Array(transport === "udp" ? MAX_UDP_OCTETS : MAX_TCP_OCTETS);
  const asker = { transport, address: addressOctets("192.0.2.1"), nowMs: 0 };
  const { length } = respond(server, octets, asker, out);
  const reply = Buffer.from(out.subarray(0, length));
  const message = decode(reply);
  expect(packet.decode(reply).answers).toHaveLength(message.answers.length);
  expect(message.question.equals(octets.subarray(12, 12 + message.question.length))).toBe(true);
  return message;
}

const TYPES = ["A", "AAAA", "TXT", "MX", "NS", "CNAME", "DS", "SOA", "ANY", "TYPE65280"];

it("answers as the RFC's algorithm over the plain records does", () => {
  const questions = fc.array(fc.tuple(anyName, fc.constantFrom(...TYPES)), {
    minLength: 30,
    maxLength: 30,
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(zonesOf, questions, (zones, asked) => {
      const server = serverOf(zones);
      for (const [name, type] of asked) {
        const octets = query(name, type, { edns: {} });
        const reply = ask(server, octets, "tcp");
        const model = modelAnswer(zones, name, type);
        expect({
          rcode: rcodeText(reply.rcode),
          aa: reply.aa,
          answers: sorted(reply.answers.map(recordText)),
          authorities: sorted(reply.authorities.map(recordText)),
          additionals: sorted(reply.additionals.map(recordText)),
        }).toEqual({
          ...model,
          answers: sorted(model.answers),
          authorities: sorted(model.authorities),
          additionals: sorted(model.additionals),
        });
        const short = ask(server, query(name, type), "udp");
        expect(short.octets.length).toBeLessThanOrEqual(512);
        seen.add(
          `${model.rcode} ${model.aa} ${model.answers.length > 1} ${model.authorities.length}`,
        );
      }
    }),
    { numRuns: 120 },
  );
  // Each kind of answer came up.
  for (const kind of ["NXDOMAIN true false 1", "NXDOMAIN true true 1", "REFUSED false false 0"]) {
    expect(seen).toContain(kind);
  }
});
