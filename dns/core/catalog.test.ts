import { describe, expect, it } from "vitest";

import { catalogOf, lines, wireName, zoneChanges } from "./__tests__/zone-text";
import { answer } from "./answer";
import { type Batch, Catalog, type Change, type Told } from "./catalog";
import { RCODE, typeCode } from "./codes";
import { isAfter } from "./serial";

const platformZone = zoneChanges("repl.test", [
  "repl.test 60 SOA ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60",
  "repl.test 60 NS ns1.repl.test",
  "ns1.repl.test 60 A 127.0.0.1",
  'own.demo.repl.test 60 TXT "mine"',
]);
const placed: Change[] = [
  { kind: "cluster", id: "east", ingress: ["127.0.1.1"] },
  { kind: "cluster", id: "west", ingress: ["127.0.2.1"] },
  { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 1 },
];

function example(validationZone = ""): Catalog {
  return catalogOf({ platformZone: "repl.test", validationZone }, platformZone, placed);
}

function ask(catalog: Catalog, name: string, type: string): string[] | number {
  const reply = answer(catalog, { name: wireName(name), type: typeCode(type)!, class: 1 });
  return reply.rcode === RCODE.NOERROR ? lines(reply.answers) : reply.rcode;
}

const challenge = (name: string, ...values: string[]): Change => {
  return { kind: "challenge", zone: "repl.test", name, values, revision: 5 };
};

describe("a catalog", () => {
  it("answers platform names beside the zone's own data", () => {
    const catalog = example();
    expect(ask(catalog, "hello.demo.repl.test", "A")).toEqual([
      "hello.demo.repl.test 60 A 127.0.1.1",
    ]);
    expect(ask(catalog, "own.demo.repl.test", "TXT")).toHaveLength(1);
    expect(ask(catalog, "demo.repl.test", "A")).toEqual([]);
    expect(ask(catalog, "nobody.demo.repl.test", "A")).toBe(RCODE.NXDOMAIN);
    expect(ask(catalog, "x.hello.demo.repl.test", "A")).toBe(RCODE.NXDOMAIN);
  });

  it("answers several challenge values at once, and none after they are gone", () => {
    const catalog = example();
    const name = "_acme-challenge.hello.demo.repl.test";
    catalog.apply({ changes: [challenge(name, "one", 'tw"o\\')], seq: 0 });
    expect(ask(catalog, name, "TXT")).toEqual([
      `${name} 60 TXT "one"`,
      `${name} 60 TXT "tw\\"o\\\\"`,
    ]);
    catalog.apply({ changes: [challenge(name)], seq: 0 });
    expect(ask(catalog, name, "TXT")).toBe(RCODE.NXDOMAIN);
    expect(ask(catalog, "hello.demo.repl.test", "A")).toHaveLength(1);
  });

  it("keeps challenges and TXT records of one name apart", () => {
    const catalog = example();
    const name = "_acme-challenge.own.demo.repl.test";
    const txt = zoneChanges("repl.test", [`${name} 300 TXT "kept"`]).slice(1);
    catalog.apply({ changes: [...txt, challenge(name, "one")], seq: 0 });
    expect(ask(catalog, name, "TXT")).toEqual([`${name} 60 TXT "one"`, `${name} 60 TXT "kept"`]);
    catalog.apply({ changes: [challenge(name)], seq: 0 });
    expect(ask(catalog, name, "TXT")).toEqual([`${name} 300 TXT "kept"`]);
  });

  it.each([
    ["_acme-challenge.hello.demo.repl.test", "_acme-challenge.hello.demo.v.example"],
    ["_acme-challenge.h1.id.repl.test", "_acme-challenge.h1.id.v.example"],
    ["_acme-challenge.demo.repl.test", "_acme-challenge.demo.v.example"],
    ["_acme-challenge.repl.test", "_acme-challenge.v.example"],
  ])("sends %s into the validation zone", (name, target) => {
    expect(ask(example("v.example"), name, "TXT")).toEqual([`${name} 60 CNAME ${target}`]);
  });

  it("sends nothing there that does not exist, is answered here, or is there already", () => {
    const catalog = example("v.repl.test");
    expect(ask(catalog, "_acme-challenge.nobody.demo.repl.test", "TXT")).toBe(RCODE.NXDOMAIN);
    expect(ask(catalog, "_acme-challenge._acme-challenge.repl.test", "TXT")).toBe(RCODE.NXDOMAIN);
    catalog.apply({ changes: [challenge("_acme-challenge.repl.test", "own")], seq: 0 });
    expect(ask(catalog, "_acme-challenge.repl.test", "TXT")).toHaveLength(1);
    catalog.apply({ changes: [challenge("_acme-challenge.h1.id.v.repl.test", "there")], seq: 0 });
    expect(ask(catalog, "_acme-challenge.h1.id.repl.test", "TXT")).toHaveLength(2);
  });

  it("raises the serial with every visible change", () => {
    const catalog = example();
    const serial = (): number => catalog.zones[0]!.serial;
    const steps: Parameters<Catalog["apply"]>[0][] = [
      { changes: [{ ...placed[2]!, generation: 2, clusterId: "west" } as Change], seq: 1 },
      { changes: [challenge("_acme-challenge.repl.test", "x")], seq: 0 },
      { changes: [{ kind: "repl_gone", id: "h1" }], seq: 2 },
      {
        changes: zoneChanges("repl.test", ["new.repl.test 60 A 192.0.2.1"]).map((c) => ({
          ...c,
          revision: 6,
        })),
        seq: 0,
      },
    ];
    for (const step of steps) {
      const before = serial();
      catalog.apply(step);
      expect(isAfter(serial(), before)).toBe(true);
    }
    expect(catalog.seq).toBe(2);
  });

  it("serves no zone before it has its SOA, and none it was not given", () => {
    const catalog = catalogOf({ platformZone: "repl.test", validationZone: "" }, [
      { kind: "zone", zone: "repl.test", base: 1, revision: 1 },
      {
        kind: "rrset",
        zone: "other.test",
        name: "other.test",
        type: 1,
        ttl: 1,
        values: [],
        revision: 1,
      },
    ]);
    expect(ask(catalog, "repl.test", "SOA")).toBe(RCODE.REFUSED);
  });

  it("answers as another thread's does that it hears from, from then on and with all before", () => {
    const options = { platformZone: "repl.test", validationZone: "v.example" };
    const writer = catalogOf(options, platformZone, placed);
    const [early, late] = [new Catalog(options), new Catalog(options)];
    const zoneData = [...platformZone, challenge("_acme-challenge.repl.test", "x")];
    early.hear(writer.told(platformZone));
    const asked = ["hello.demo", "hello--demo", "h1.id", "h2.id", "demo", "_acme-challenge"];
    const said = (catalog: Catalog): unknown[] => [
      ...asked.map((name) => ask(catalog, `${name}.repl.test`, name.startsWith("_") ? "TXT" : "A")),
      catalog.zones.map(({ serial }) => serial),
    ];
    const batches: Batch[] = [
      { changes: [{ ...placed[2]!, generation: 2, clusterId: "west" } as Change], seq: 1 },
      { changes: [challenge("_acme-challenge.repl.test", "x")], seq: 0 },
      { changes: [{ kind: "cluster", id: "west", ingress: ["192.0.2.9"] }], seq: 2 },
      { changes: [{ ...placed[2]!, id: "h2", generation: 1, clusterId: "new" } as Change], seq: 3 },
      { changes: [{ kind: "cluster", id: "new", ingress: ["192.0.2.7"] }], seq: 4 },
      {
        changes: [
          { kind: "repl_gone", id: "h1" },
          { kind: "cluster_gone", id: "west" },
        ],
        seq: 5,
      },
      { changes: [...platformZone, ...placed], seq: 6, isWhole: true },
    ];
    for (const batch of batches) {
      writer.apply(batch, (told) => early.hear(structuredClone(told)));
      expect(said(early)).toEqual(said(writer));
    }
    writer.apply(batches[1]!);
    late.hear(writer.told(zoneData));
    expect(said(late)).toEqual(said(writer));
  });

  it("tells of a cluster before a repl is placed there", () => {
    const options = { platformZone: "repl.test", validationZone: "" };
    const writer = catalogOf(options, platformZone, placed);
    const reader = new Catalog(options);
    reader.hear(writer.told(platformZone));
    const seen: unknown[] = [];
    const changes: Change[] = [
      { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "new", generation: 2 },
      { kind: "cluster", id: "new", ingress: ["192.0.2.7"] },
    ];
    writer.apply({ changes, seq: 1 }, (told) => {
      // Its thread may be asked at any time.
      seen.push(ask(reader, "hello.demo.repl.test", "A"));
      reader.hear(told);
    });
    expect(seen).toEqual([
      ["hello.demo.repl.test 60 A 127.0.1.1"],
      ["hello.demo.repl.test 60 A 192.0.2.7"],
    ]);
  });

  it("asks to be told where the table leads to a cluster that it does not know", () => {
    const options = { platformZone: "repl.test", validationZone: "" };
    const writer = catalogOf(options, platformZone, placed);
    const reader = new Catalog(options);
    reader.hear(writer.told(platformZone));
    const waiting: Told[] = [];
    reader.onUnknownCluster = () => waiting.splice(0).forEach((told) => reader.hear(told));
    const changes: Change[] = [
      { kind: "cluster", id: "new", ingress: ["192.0.2.7"] },
      { ...placed[2]!, generation: 2, clusterId: "new" } as Change,
    ];
    writer.apply({ changes, seq: 1 }, (told) => waiting.push(told));
    expect(ask(reader, "hello.demo.repl.test", "A")).toEqual([
      "hello.demo.repl.test 60 A 192.0.2.7",
    ]);
  });

  it("leaves out a repl that cannot be placed, and says so", () => {
    const catalog = example();
    const odd: Change = { ...placed[2]!, id: "h8", name: "x".repeat(64) } as Change;
    const other: Change = { ...placed[2]!, id: "h9", name: "other" } as Change;
    expect(() => catalog.apply({ changes: [odd, other], seq: 9 })).toThrow(
      /^Cannot place the repl "h8"/,
    );
    expect(ask(catalog, "other.demo.repl.test", "A")).toHaveLength(1);
    expect([...catalog.platform.repls()].map(({ id }) => id)).toEqual(["h1", "h9"]);
  });
});

describe("a zone with an ALIAS", () => {
  const records = [
    "example.org 60 SOA ns1.example.org hostmaster.example.org 1 3600 600 86400 60",
    "example.org 300 ALIAS h1.id.repl.test",
  ];
  const [zone, ...rrsets] = zoneChanges("example.org", records);
  const head = zone as Change & { kind: "zone" };
  const whole: Change[] = [{ ...head, countsMoves: true }, ...rrsets];
  const serialOf = (catalog: Catalog): number =>
    catalog.zones.find(({ name }) => name === wireName("example.org"))!.serial;
  const moved = (clusterId: string, generation: number): Change => {
    return { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId, generation };
  };

  it("is answered by where the app lives, and its serial rises with its moves", () => {
    const catalog = catalogOf({ platformZone: "repl.test", validationZone: "" }, whole, placed);
    expect(ask(catalog, "example.org", "A")).toEqual(["example.org 60 A 127.0.1.1"]);
    expect(ask(catalog, "example.org", "AAAA")).toEqual([]);
    expect(ask(catalog, "example.org", "ALIAS")).toEqual([]);
    expect(catalog.aliasOf(wireName("example.org"))).toBe(wireName("h1.id.repl.test"));
    expect(catalog.aliasOf(wireName("www.example.org"))).toBeUndefined();
    const before = serialOf(catalog);
    catalog.apply({ changes: [moved("west", 2)], seq: 7 });
    expect(ask(catalog, "example.org", "A")).toEqual(["example.org 60 A 127.0.2.1"]);
    expect(isAfter(serialOf(catalog), before)).toBe(true);
  });

  it("goes on counting when the ALIAS is gone; others do not", () => {
    const catalog = catalogOf({ platformZone: "repl.test", validationZone: "" }, whole, placed);
    catalog.apply({ changes: [], seq: 7 });
    const before = serialOf(catalog);
    const gone = { ...rrsets[1]!, values: [], revision: 2 } as Change;
    catalog.apply({ changes: [{ ...head, countsMoves: true, revision: 2 }, gone], seq: 0 });
    expect(serialOf(catalog)).toBe(before + 1);
    const other = catalogOf({ platformZone: "repl.test", validationZone: "" }, [zone!, ...rrsets]);
    const still = serialOf(other);
    other.apply({ changes: [], seq: 7 });
    expect(serialOf(other)).toBe(still);
  });
});
