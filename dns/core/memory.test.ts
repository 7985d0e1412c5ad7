import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { type Batch, Catalog, type Change } from "./catalog";
import { Memory } from "./memory";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const options = { platformZone: "repl.test", validationZone: "", hashKey };
const soa = "ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60";
const zone: Change = { kind: "zone", zone: "repl.test", base: 1000, revision: 1 };
const apex: Change = {
  kind: "rrset",
  zone: "repl.test",
  name: "repl.test",
  type: 6,
  ttl: 60,
  values: [soa],
  revision: 1,
};

const repl = fc
  .record({
    number: fc.constantFrom(1, 2),
    clusterId: fc.constantFrom("east", "west"),
    generation: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ number, clusterId, generation }) => {
    const placement = { name: "app", owner: `o${number}`, clusterId, generation };
    return { kind: "repl" as const, id: `r${number}`, ...placement };
  });
const records = fc.record({
  zone: fc.constant("repl.test"),
  name: fc.constantFrom("x.repl.test", "_acme-challenge.repl.test"),
  ttl: fc.constant(60),
  revision: fc.constant(0),
});
const change: fc.Arbitrary<Change> = fc.oneof(
  repl,
  fc.record({ kind: fc.constant("repl_gone" as const), id: fc.constantFrom("r1", "r2") }),
  fc.record({
    kind: fc.constant("cluster" as const),
    id: fc.constantFrom("east", "west"),
    ingress: fc.constantFrom(["192.0.2.1"], ["192.0.2.2", "::1"]),
  }),
  fc.record({ kind: fc.constant("cluster_gone" as const), id: fc.constantFrom("east", "west") }),
  fc.tuple(records, fc.constantFrom(["192.0.2.9"], [])).map(([at, values]) => {
    return { ...at, kind: "rrset" as const, type: 1, values };
  }),
  fc.tuple(records, fc.constantFrom(["token"], [])).map(([at, values]) => {
    return { ...at, kind: "challenge" as const, values };
  }),
);

/** Everything that a question could tell about a catalog. */
function observed(catalog: Catalog) {
  const names = ["x", "app--o1", "app--o2", "o1", "o2", "_acme-challenge"];
  const labels = [
    ...names.map((name) => [name]),
    ["app", "o1"],
    ["app", "o2"],
    ["r1", "id"],
    ["r2", "id"],
  ];
  const view = catalog.zoneOf("\x04repl\x04test\0")!;
  const nodes = labels.map((path) => {
    const name = path.map((label) => String.fromCharCode(label.length) + label).join("");
    const node = view.node(`${name}\x04repl\x04test\0`);
    return node && [...node].sort(([a], [b]) => a - b);
  });
  return { nodes, zones: catalog.zones, seq: catalog.seq };
}

describe("a memory", () => {
  it("makes a new catalog the same as one that saw every change", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const batches: Batch[] = [
          { changes: [zone, apex], seq: 0 },
          ...changes.map((one, index) => {
            const isLogged = !("revision" in one);
            const numbered = "revision" in one ? { ...one, revision: index + 2 } : one;
            return { changes: [numbered], seq: isLogged ? index + 1 : 0 };
          }),
        ];
        const lived = new Memory(options);
        for (const batch of batches) lived.apply(batch);
        const born = new Catalog(options);
        born.apply({
          changes: [zone, { ...apex, name: "old.repl.test", type: 1, values: ["192.0.2.3"] }],
          seq: 99,
        });
        born.apply(lived.whole());
        expect(observed(born)).toEqual(observed(lived.catalog));
      }),
      { seed: 1982, numRuns: 500 },
    );
  });

  it("ends alike by any order of any moves, however often they come", () => {
    const moves = fc.integer({ min: 1, max: 8 }).chain((count) => {
      const history = Array.from({ length: count }, (_, index) => ({
        kind: "repl" as const,
        id: "r1",
        name: "app",
        owner: "o1",
        clusterId: `c${index}`,
        generation: index + 1,
      }));
      const { length } = [...history, ...history];
      return fc
        .shuffledSubarray([...history, ...history], { minLength: length, maxLength: length })
        .map((order) => ({ order, last: history.at(-1) }));
    });
    fc.assert(
      fc.property(moves, ({ order, last }) => {
        const memory = new Memory(options);
        for (const [index, one] of order.entries()) {
          memory.apply({ changes: [one], seq: index + 1 });
        }
        expect(memory.whole().changes).toEqual([last]);
      }),
    );
  });

  it("forgets all zones and no placements when it is told of all zones", () => {
    const memory = new Memory(options);
    const placed: Change = {
      kind: "repl",
      id: "r1",
      name: "app",
      owner: "o1",
      clusterId: "east",
      generation: 1,
    };
    const old: Change = { ...apex, name: "old.repl.test", type: 1, values: ["192.0.2.3"] };
    memory.apply({ changes: [{ ...zone, revision: 9 }, apex, old, placed], seq: 7 });
    memory.apply({ changes: [zone, apex], seq: 0, isAllZones: true });
    expect(memory.whole()).toEqual({ changes: [zone, apex, placed], seq: 7, isWhole: true });
    expect(memory.snapshot.revision).toBe(1);
    expect(memory.catalog.zones[0]).toMatchObject({ serial: 1000 + 1 + 7 });
    expect(memory.catalog.zoneOf("\x04repl\x04test\0")?.node("\x03old\x04repl\x04test\0")).toBe(
      undefined,
    );
  });
});

describe("a change", () => {
  const SOME = 500;
  const replOf = (number: number, generation = 1): Change => {
    const [id, owner, clusterId] = [`r${number}`, `o${number % 97}`, `c${generation}`];
    return { kind: "repl", id, name: `n${number}`, owner, clusterId, generation };
  };

  function memoryOf(count: number): Memory {
    const memory = new Memory(options);
    memory.catalog.platform.expect(count);
    for (let from = 0; from < count; from += SOME) {
      const changes = Array.from({ length: SOME }, (_, at) => replOf(from + at));
      memory.apply({ changes, seq: from });
    }
    memory.catalog.platform.settle();
    return memory;
  }

  /** Words written into slots and records of the table by the changes, and what others are told. */
  function work(memory: Memory, changes: readonly Change[]): { stores: number; told: number } {
    const { store } = Atomics;
    let [stores, told] = [0, 0];
    Atomics.store = ((...args: [Int32Array, number, number]) => {
      stores++;
      return store(...args);
    }) as typeof store;
    try {
      for (const change of changes) {
        memory.apply({ changes: [change], seq: 0 }, (news) => {
          told += news.changes.length + news.clusters.length + (news.table ? 1 : 0);
        });
      }
    } finally {
      Atomics.store = store;
    }
    return { stores, told };
  }

  it("is one word and no message when a repl moves, among few and among many", () => {
    const moves = Array.from({ length: SOME }, (_, number) => replOf(number, 2));
    for (const count of [SOME, 50_000]) {
      const memory = memoryOf(count);
      work(memory, [replOf(0, 2)]);
      expect(work(memory, moves)).toEqual({ stores: SOME, told: 0 });
    }
  });

  it("costs as much among many as among few when repls come and go, new tables included", () => {
    const costOf = (count: number): number => {
      const memory = memoryOf(count);
      // As many as there are, so that every kind of rebuilding has its turn.
      const changes = Array.from({ length: count }, (_, number): Change[] => [
        replOf(count + number),
        { kind: "repl_gone", id: `r${number}` },
      ]).flat();
      return work(memory, changes).stores / changes.length;
    };
    const [few, many] = [costOf(4 * SOME), costOf(30_000)];
    console.log(
      `figure: ${few.toFixed(1)} words a change among few, ${many.toFixed(1)} among many`,
    );
    expect(many).toBeLessThan(2 * few);
    expect(many).toBeLessThan(30);
  });
});
