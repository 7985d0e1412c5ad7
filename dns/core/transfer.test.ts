import * as packet from "dns-packet";
import { describe, expect, it } from "vitest";

import { catalogOf, wireName, zoneChanges } from "./__tests__/zone-text";
import type { Change } from "./catalog";
import { typeName } from "./codes";
import { readMessage, type WireRecord } from "./message";
import { formatName } from "./names";
import { formatRdata } from "./rdata";
import { currentSoa, transferOf } from "./transfer";
import { readHeader, readQuery } from "./wire";

const ZONE = "repl.test";
const repl = (id: string, name: string, owner: string): Change => {
  return { kind: "repl", id, name, owner, clusterId: "east", generation: 1 };
};
const many = Array.from({ length: 900 }, (_, i) => `t${i}.${ZONE} 60 TXT "value number ${i}"`);
const catalog = (validationZone: string, extra: readonly string[] = []) =>
  catalogOf(
    { platformZone: ZONE, validationZone },
    zoneChanges(ZONE, [
      `${ZONE} 60 SOA ns1.${ZONE} who.${ZONE} 1 3600 600 86400 60`,
      `${ZONE} 60 NS ns1.${ZONE}`,
      `ns1.${ZONE} 60 A 127.0.0.1`,
      `deep.below.${ZONE} 60 CNAME x.example`,
      `sub.${ZONE} 60 NS ns.sub.${ZONE}`,
      `ns.sub.${ZONE} 60 A 127.0.0.2`,
      `hello.demo.${ZONE} 60 TXT "beside"`,
      ...extra,
    ]),
    [
      { kind: "cluster", id: "east", ingress: ["192.0.2.1", "::1"] },
      repl("r1", "hello", "demo"),
      repl("r2", "x".repeat(40), "y".repeat(40)),
      {
        kind: "challenge",
        zone: ZONE,
        name: `_acme-challenge.${ZONE}`,
        values: ["one", "two"],
        revision: 1,
      },
    ],
  );

function transfer(from: ReturnType<typeof catalog>, reserve = 0) {
  const query = packet.encode({ type: "query", id: 9, questions: [{ type: "AXFR", name: ZONE }] });
  const { question } = readQuery(query, readHeader(query)!);
  return { query, question: question!, zone: from.zoneOf(wireName(ZONE))!, reserve };
}

const text = ({ name, ttl, type, data }: WireRecord): string =>
  `${formatName(name)} ${ttl} ${typeName(type)} ${formatRdata(type, data)}`;

describe("a transfer", () => {
  it("holds everything that is answered, SOA first and last", () => {
    const asked = transfer(catalog(""));
    const [only, ...others] = [...transferOf(asked, 0)];
    expect(others).toEqual([]);
    const message = readMessage(only!)!;
    expect(message.header.flags).toBe(0x8400);
    const lines = message.answers.map(text);
    const soa = `${ZONE} 60 SOA ns1.${ZONE} who.${ZONE} 1 3600 600 86400 60`;
    expect([lines[0], lines.at(-1)]).toEqual([soa, soa]);
    expect(lines.slice(1, -1).sort()).toEqual(
      [
        `${ZONE} 60 NS ns1.${ZONE}`,
        `_acme-challenge.${ZONE} 60 TXT "one"`,
        `_acme-challenge.${ZONE} 60 TXT "two"`,
        `deep.below.${ZONE} 60 CNAME x.example`,
        `hello--demo.${ZONE} 60 A 192.0.2.1`,
        `hello--demo.${ZONE} 60 AAAA ::1`,
        `hello.demo.${ZONE} 60 A 192.0.2.1`,
        `hello.demo.${ZONE} 60 AAAA ::1`,
        `hello.demo.${ZONE} 60 TXT "beside"`,
        `ns.sub.${ZONE} 60 A 127.0.0.2`,
        `ns1.${ZONE} 60 A 127.0.0.1`,
        `r1.id.${ZONE} 60 A 192.0.2.1`,
        `r1.id.${ZONE} 60 AAAA ::1`,
        `r2.id.${ZONE} 60 A 192.0.2.1`,
        `r2.id.${ZONE} 60 AAAA ::1`,
        `sub.${ZONE} 60 NS ns.sub.${ZONE}`,
        ...["A 192.0.2.1", "AAAA ::1"].map((data) => {
          return `${"x".repeat(40)}.${"y".repeat(40)}.${ZONE} 60 ${data}`;
        }),
      ].sort(),
    );
  });

  it.each(["", "validation.test"])("says of each name what is answered (%j)", (validationZone) => {
    const zone = catalog(validationZone).zoneOf(wireName(ZONE))!;
    const nodes = [...zone.nodes()];
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
    for (const { name, node } of nodes) {
      expect([formatName(name), zone.node(name)]).toEqual([formatName(name), node]);
    }
    const challenges = nodes.filter(({ name }) => formatName(name).startsWith("_acme-challenge."));
    expect(challenges.length).toBe(validationZone === "" ? 1 : nodes.length / 2);
  });

  it("is the zone as it was at its beginning", () => {
    const from = catalog("");
    const messages = transferOf(transfer(from), 0);
    from.apply({ changes: [{ kind: "cluster", id: "east", ingress: ["192.0.2.9"] }], seq: 50 });
    const soa = `${ZONE} 60 SOA ns1.${ZONE} who.${ZONE} 1 3600 600 86400 60`;
    const lines = [...messages].flatMap((octets) => readMessage(octets)!.answers.map(text));
    expect(lines[0]).toBe(soa);
    expect(lines).toContain(`r1.id.${ZONE} 60 A 192.0.2.1`);
  });

  it("is split into messages that leave room for their signatures", () => {
    const messages = [...transferOf(transfer(catalog("", many)), 100)];
    expect(messages.length).toBeGreaterThan(1);
    const read = messages.map((octets) => readMessage(octets)!);
    expect(read.map(({ questions }) => questions.length)).toEqual([
      1,
      ...read.slice(1).map(() => 0),
    ]);
    for (const octets of messages) {
      expect(octets.length).toBeLessThanOrEqual(16_284);
      expect(packet.decode(Buffer.from(octets)).id).toBe(9);
    }
    const lines = read.flatMap(({ answers }) => answers.map(text));
    expect(lines.filter((line) => line.includes("value number"))).toHaveLength(many.length);
    expect(lines.filter((line) => line.includes(" SOA "))).toHaveLength(2);
  });

  it("may be only the SOA", () => {
    const message = readMessage(currentSoa(transfer(catalog("")), 0))!;
    expect(message.answers.map(({ type }) => typeName(type))).toEqual(["SOA"]);
  });
});
