import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { query } from "../conformance/message";
import { randomOf } from "../fuzz/mutate";
import { catalogOf, zoneChanges } from "./__tests__/zone-text";
import { addressOctets } from "./address";
import type { Catalog, Change } from "./catalog";
import { FastPath, NOT_MINE } from "./fast";
import { RateLimiter } from "./rate-limit";
import { MAX_TCP_OCTETS, MAX_UDP_OCTETS, respond, type Server, type Transport } from "./respond";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 60_000 });

const LABELS = [
  "a",
  "b",
  "id",
  "x",
  "ns1",
  "hostmaster",
  "a--b",
  "_acme-challenge",
  "*",
  "B",
  "a-",
];
const label = fc.constantFrom(...LABELS);
const replLabel = label.filter((one) => one !== "*");

const ingress = fc.array(
  fc.oneof(
    fc.nat(255).map((octet) => `192.0.2.${octet}`),
    fc.nat(0xffff).map((group) => `2001:db8::${group.toString(16)}`),
  ),
  { maxLength: 3 },
);
/** So many that answers pass 512 octets, or 1232. */
const many = fc
  .integer({ min: 16, max: 80 })
  .map((count) => Array.from({ length: count }, (_, i) => `192.0.2.${i}`));

const repl: fc.Arbitrary<Change> = fc
  .record({
    id: replLabel,
    name: replLabel,
    owner: replLabel,
    clusterId: fc.constantFrom("c0", "c1", "c2", "none"),
  })
  .map((one) => ({ kind: "repl", ...one, generation: 1 }));

const SOAS = [
  "ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60",
  "ns.other.test HostMaster.Repl.test 1 3600 600 86400 30",
  "x.a.repl.test b.x.a.repl.test 1 3600 600 86400 900",
  "repl.test test 1 3600 600 86400 60",
  "ns.x.example ns.x.example 1 3600 600 86400 60",
];

const below = fc
  .array(label, { minLength: 1, maxLength: 3 })
  .map((labels) => [...labels, "repl.test"].join("."));
/** `name ttl type data` of the platform zone's own. */
const record = fc
  .tuple(
    below,
    fc.constantFrom(
      'TXT "own"',
      "A 198.51.100.1",
      "AAAA 2001:db8::1",
      "CNAME a.b.repl.test",
      "NS ns.example.org",
    ),
  )
  .map(([name, data]) => `${name} 300 ${data}`);

interface World {
  readonly soa: string;
  readonly clusters: readonly (readonly string[])[];
  readonly repls: readonly Change[];
  readonly records: readonly string[];
  readonly zones: readonly string[];
  readonly challenges: readonly string[];
  readonly validation: string;
}

const world: fc.Arbitrary<World> = fc.record({
  soa: fc.constantFrom(...SOAS),
  clusters: fc.array(fc.oneof({ weight: 5, arbitrary: ingress }, many), {
    minLength: 3,
    maxLength: 3,
  }),
  repls: fc.array(repl, { maxLength: 12 }),
  records: fc.oneof(fc.constant([]), fc.array(record, { maxLength: 4 })),
  zones: fc.oneof(fc.constant([]), fc.array(below, { maxLength: 2 })),
  challenges: fc.oneof(fc.constant([]), fc.array(below, { maxLength: 2 })),
  validation: fc.constantFrom("", "v.example", "v.repl.test"),
});

function worldOf({ soa, clusters, repls, records, zones, challenges, validation }: World): Catalog {
  const others = zones.flatMap((zone) =>
    zoneChanges(zone, [`${zone} 60 SOA ${SOAS[0]}`, `${zone} 60 A 203.0.113.1`]),
  );
  return catalogOf(
    { platformZone: "repl.test", validationZone: validation },
    zoneChanges("repl.test", [
      `repl.test 120 SOA ${soa}`,
      "repl.test 60 NS ns1.repl.test",
      ...records,
    ]),
    others,
    clusters.map((addresses, index) => ({ kind: "cluster", id: `c${index}`, ingress: addresses })),
    challenges.map((name) => ({
      kind: "challenge",
      zone: "repl.test",
      name,
      values: ["token"],
      revision: 1,
    })),
    [...repls],
  );
}

const TYPES = ["A", "A", "AAAA", "AAAA", "TXT", "TYPE65", "DS", "ANY", "SOA", "TYPE249", "TYPE41"];
const asked = fc.record({
  labels: fc.array(
    fc.oneof({ weight: 4, arbitrary: label }, fc.constantFrom("nobody", "", "A", "x".repeat(63))),
    {
      maxLength: 4,
    },
  ),
  zone: fc.constantFrom("repl.test", "repl.test", "repl.test", "REPL.tEst", "test", "xrepl.test"),
  type: fc.constantFrom(...TYPES),
  edns: fc.constantFrom(
    undefined,
    undefined,
    {},
    { size: 512 },
    { size: 4096, dnssecOk: true },
    { version: 1 },
    { options: [{ code: 12, data: Buffer.alloc(3) }] },
    { options: [{ code: 10, data: Buffer.alloc(8) }] },
  ),
  transport: fc.constantFrom<Transport>("udp", "udp", "tcp"),
  mutation: fc.option(fc.tuple(fc.nat(), fc.nat(255)), { freq: 3 }),
});
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never;

function octetsOf({ labels, zone, type, edns, mutation }: Asked): Buffer {
  const name = [...labels.filter((one) => one !== ""), zone].join(".");
  const octets = query(name, type, edns ? { edns } : {});
  if (mutation) octets[mutation[0] % octets.length] = mutation[1];
  return octets;
}

/** Both ways, each with a limiter of its own that has seen the same; and in the query's own place. */
class Both {
  readonly mine: Record<string, number> = {};
  readonly #server: Server;
  readonly #fast: FastPath;
  readonly #inPlace: FastPath;
  #nowMs = 0;

  constructor(catalog: Catalog, perSecond: number) {
    const limiters = [1, 2, 3].map(() => new RateLimiter({ perSecond, exempt: [], seed: 7 }));
    this.#server = { zones: catalog, identity: "ns", secrets: [], limiter: limiters[0] };
    this.#fast = new FastPath(catalog, limiters[1]);
    this.#inPlace = new FastPath(catalog, limiters[2]);
  }

  /** The octets of both; undefined where the fast path leaves it to the other. */
  ask(octets: Buffer, transport: Transport): [Buffer, Buffer, Buffer] | undefined {
    const arrival = {
      isUdp: transport === "udp",
      address: addressOctets("192.0.2.1"),
      nowMs: this.#nowMs++,
    };
    const size = transport === "udp" ? MAX_UDP_OCTETS : MAX_TCP_OCTETS;
    const around = Buffer.alloc(size + 7);
    const length = this.#fast.answer(octets, 0, octets.length, around, 7, arrival);
    const place = Buffer.alloc(2 * size, 0xff);
    octets.copy(place, 5);
    // What is expected, or comes otherwise, makes no difference.
    this.#inPlace.expect(place, 5, 5 + octets.length);
    if (this.#nowMs % 3 === 0) this.#inPlace.bringNear();
    const again = this.#inPlace.answer(place, 5, 5 + octets.length, place, 5, arrival);
    expect(again).toBe(length);
    if (length === NOT_MINE) return undefined;
    const { rcode, type, verdict } = this.#fast;
    const out = Buffer.alloc(size);
    const outcome = respond(this.#server, octets, { ...arrival, transport }, out);
    expect([type, verdict]).toEqual([outcome.type, outcome.verdict]);
    if (verdict !== "drop") expect(rcode).toBe(outcome.rcode);
    const kind = `${rcode} ${verdict} ${transport}`;
    this.mine[kind] = (this.mine[kind] ?? 0) + 1;
    return [
      out.subarray(0, outcome.length),
      around.subarray(7, 7 + length),
      place.subarray(5, 5 + length),
    ];
  }
}

describe("the fast path", () => {
  it("says what the complete answerer says, octet for octet, or nothing", () => {
    const seen: Record<string, number> = {};
    const questions = fc.array(asked, { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(world, questions, fc.constantFrom(1, 1_000), (made, all, perSecond) => {
        const both = new Both(worldOf(made), perSecond);
        for (const one of [...all, ...all.slice(0, 10), ...all.slice(0, 10)]) {
          const answers = both.ask(octetsOf(one), one.transport);
          if (!answers) continue;
          const [expected, apart, inPlace] = answers.map((octets) => octets.toString("hex"));
          expect(apart).toBe(expected);
          expect(inPlace).toBe(expected);
        }
        for (const [kind, count] of Object.entries(both.mine))
          seen[kind] = (seen[kind] ?? 0) + count;
      }),
      { numRuns: 250 },
    );
    // Each kind of answer came up.
    for (const kind of [
      "0 answer udp",
      "3 answer udp",
      "0 answer tcp",
      "3 slip udp",
      "3 drop udp",
      "0 slip udp",
    ]) {
      expect(seen[kind] ?? 0).toBeGreaterThan(0);
    }
  });

  it("is right after each change, as if it had been so from the start", () => {
    const change = fc.oneof(
      repl,
      replLabel.map((id): Change => ({ kind: "repl_gone", id })),
      fc.tuple(record, fc.boolean()).map(([text, isThere]): Change => {
        const set = zoneChanges("repl.test", [text])[1]! as Change & { kind: "rrset" };
        return isThere ? set : { ...set, values: [] };
      }),
      fc.tuple(below, fc.constantFrom([], ["token"])).map(([name, values]): Change => {
        return { kind: "challenge", zone: "repl.test", name, values, revision: 2 };
      }),
      fc.tuple(fc.constantFrom("c0", "c9"), ingress).map(([id, addresses]): Change => {
        return { kind: "cluster", id, ingress: addresses };
      }),
    );
    const steps = fc.array(fc.tuple(change, fc.array(asked, { minLength: 8, maxLength: 8 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(world, steps, (made, all) => {
        const catalog = worldOf(made);
        const both = new Both(catalog, 1_000);
        for (const [index, [one, questions]] of all.entries()) {
          catalog.apply({ changes: [one], seq: index + 1 });
          for (const question of questions) {
            const answers = both.ask(octetsOf(question), question.transport);
            if (answers) expect(answers[1].toString("hex")).toBe(answers[0].toString("hex"));
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  const plain = worldOf({
    soa: SOAS[0]!,
    clusters: [["192.0.2.1", "2001:db8::1"], ["192.0.2.2"], []],
    repls: [
      { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "c0", generation: 1 },
      { kind: "repl", id: "h2", name: "other", owner: "demo", clusterId: "c1", generation: 1 },
    ],
    records: ["ns1.repl.test 60 A 192.0.2.53"],
    zones: [],
    challenges: [],
    validation: "v.example",
  });

  it.each([
    ["hello.demo", "A", 0],
    ["hello.demo", "AAAA", 0],
    ["HELLO--demo", "A", 0],
    ["h1.id", "AAAA", 0],
    ["other.demo", "AAAA", 0],
    ["other.demo", "TYPE65", 0],
    ["demo", "A", 0],
    ["id", "A", 0],
    ["nobody.demo", "A", 3],
    ["nobody", "TXT", 3],
    ["x.hello.demo", "A", 3],
  ])("answers %s %s itself", (name, type, rcode) => {
    for (const transport of ["udp", "tcp"] as const) {
      for (const edns of [undefined, { size: 1232 }]) {
        const both = new Both(plain, 1_000);
        const answers = both.ask(query(`${name}.repl.test`, type, edns ? { edns } : {}), transport);
        expect(answers?.[1].toString("hex")).toBe(answers?.[0].toString("hex"));
        expect(both.mine).toEqual({ [`${rcode} answer ${transport}`]: 1 });
      }
    }
  });

  it.each([
    ["the zone itself", "repl.test", "A"],
    ["a name of the zone's own", "ns1.repl.test", "A"],
    ["a name below the SOA's", "x.ns1.repl.test", "A"],
    ["a challenge", "_acme-challenge.hello.demo.repl.test", "TXT"],
    ["all types", "hello.demo.repl.test", "ANY"],
    ["another zone", "example.org", "A"],
  ])("leaves %s to the complete answerer", (_what, name, type) => {
    expect(new Both(plain, 1_000).ask(query(name, type), "udp")).toBeUndefined();
  });

  it("counts the queries of a repl", () => {
    const both = new FastPath(plain, undefined);
    const { table } = plain.platform;
    const index = table.findName(Buffer.from("\x05hello\x04demo"), 0, 11);
    const before = table.queriesOf(index);
    const octets = query("hello.demo.repl.test", "A");
    const arrival = { isUdp: true, address: addressOctets("::1"), nowMs: 0 };
    for (let count = 0; count < 3; count++) {
      both.answer(octets, 0, octets.length, Buffer.alloc(512), 0, arrival);
    }
    expect(table.queriesOf(index)).toBe(before + 3);
  });

  it("answers the name that comes to be, and denies the one that goes", () => {
    const random = randomOf(6);
    const catalog = worldOf({
      soa: SOAS[0]!,
      clusters: [["192.0.2.1"]],
      repls: [],
      records: [],
      zones: [],
      challenges: [],
      validation: "",
    });
    const both = new Both(catalog, 100_000);
    const there = new Set<string>();
    for (let step = 1; step < 3_000; step++) {
      const id = `r${Math.floor(random() * 50)}`;
      const isThere = random() < 0.5;
      const change: Change = isThere
        ? { kind: "repl", id, name: id, owner: "demo", clusterId: "c0", generation: step }
        : { kind: "repl_gone", id };
      catalog.apply({ changes: [change], seq: step });
      if (isThere) there.add(id);
      else there.delete(id);
      const [, answer] = both.ask(query(`${id}--demo.repl.test`, "A"), "udp")!;
      expect(answer.readUInt8(3) & 0xf).toBe(there.has(id) ? 0 : 3);
    }
  });
});
