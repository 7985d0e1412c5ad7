import { describe, expect, it, vi } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { halfSipHash, type HashKey } from "./half-siphash";
import { homeOf, MAX_PROBES, type Placed, slotOf, Table, type TableBuffers } from "./table";
import { TableWriter } from "./table-writer";

// Many cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 60_000 });

/** The same numbers each time. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function keyOf(...labels: readonly string[]): Uint8Array {
  const text = labels.map((label) => String.fromCharCode(label.length) + label).join("");
  return Uint8Array.from(text, (octet) => octet.charCodeAt(0));
}

function found(table: Table, index: number): Placed | undefined {
  if (index < 0) return undefined;
  const [id, name, owner] = [table.idOf(index), table.nameOf(index), table.ownerOf(index)];
  return {
    id,
    name,
    owner,
    cluster: table.clusterOf(index),
    generation: table.generationOf(index),
  };
}

const byId = (table: Table, id: string): Placed | undefined => {
  const key = keyOf(id);
  return found(table, table.findId(key, 0, key.length));
};
const byName = (table: Table, name: string, owner: string): Placed | undefined => {
  const key = keyOf(name, owner);
  return found(table, table.findName(key, 0, key.length));
};
const hasOwner = (table: Table, owner: string): boolean => {
  const key = keyOf(owner);
  return table.findOwner(key, 0, key.length) >= 0;
};

/** The same in plain maps. */
class Model {
  readonly repls = new Map<string, Placed>();
  readonly names = new Map<string, string>();

  place(repl: Placed): void {
    const known = this.repls.get(repl.id);
    const isKept = known?.name === repl.name && known.owner === repl.owner;
    if (known && !isKept) this.remove(repl.id);
    this.repls.set(repl.id, repl);
    if (!isKept) this.names.set(`${repl.owner} ${repl.name}`, repl.id);
  }

  remove(id: string): void {
    const known = this.repls.get(id)!;
    const name = `${known.owner} ${known.name}`;
    if (this.names.get(name) === id) this.names.delete(name);
    this.repls.delete(id);
  }

  copy(): Model {
    const copy = new Model();
    for (const [id, repl] of this.repls) copy.repls.set(id, repl);
    for (const [name, id] of this.names) copy.names.set(name, id);
    return copy;
  }
}

function expectSame(table: Table, { repls, names }: Model): void {
  const faults: unknown[] = [];
  const same = (one: Placed | undefined, other: Placed | undefined): void => {
    const isSame =
      one?.id === other?.id &&
      one?.name === other?.name &&
      one?.owner === other?.owner &&
      one?.cluster === other?.cluster &&
      one?.generation === other?.generation;
    if (!isSame) faults.push({ found: one, expected: other });
  };
  for (const [id, repl] of repls) same(byId(table, id), repl);
  for (const [at, id] of names) {
    const [owner, name] = at.split(" ") as [string, string];
    same(byName(table, name, owner), repls.get(id));
  }
  const owners = new Set([...repls.values()].map(({ owner }) => owner));
  for (let owner = 0; owner < OWNERS; owner++) {
    if (hasOwner(table, `o${owner}`) !== owners.has(`o${owner}`)) faults.push(owner);
  }
  expect(faults).toEqual([]);
}

const OWNERS = 60;

function placeIn(table: TableWriter, repl: Placed): void {
  table.place(repl, table.find(repl.id));
}

describe("a table", () => {
  it.each([
    { seed: 1, minGradual: Infinity },
    { seed: 2, minGradual: Infinity },
    { seed: 3, minGradual: 0 },
    { seed: 4, minGradual: 600 },
  ])("says what plain maps say, however it grows and shrinks ($seed)", ({ seed, minGradual }) => {
    const random = randomOf(seed);
    const table = new TableWriter(hashKey, minGradual);
    const model = new Model();
    let buffers: TableBuffers = table.buffers;
    let renewed = 0;
    for (let step = 0; step < 20_000; step++) {
      // It grows, then churns, then shrinks.
      const ids = step < 6_000 ? 3_000 : 300;
      const id = `id${random(ids)}`;
      const known = model.repls.get(id);
      if (random(3) === 0 && known) {
        table.remove(table.find(id));
        model.remove(id);
      } else {
        const isMove = known !== undefined && random(2) === 0;
        const name = isMove ? known.name : `n${random(200)}`;
        const owner = isMove ? known.owner : `o${random(OWNERS)}`;
        const repl = { id, name, owner, cluster: random(9), generation: step };
        placeIn(table, repl);
        model.place(repl);
      }
      if (table.buffers !== buffers) renewed++;
      buffers = table.buffers;
      if (step % 1_000 > 0) continue;
      expect(table.size).toBe(model.repls.size);
      expectSame(table, model);
      expectSame(new Table(table.buffers), model);
    }
    expect(renewed).toBeGreaterThan(5);
    expectSame(table, model);
  });

  it("leaves a reader of its old buffers with what they held", () => {
    const table = new TableWriter(hashKey);
    const model = new Model();
    const old: { reader: Table; model: Model }[] = [];
    let { buffers } = table;
    for (let index = 0; index < 3_000; index++) {
      // A third are new, the others take the place of one that was, by another name.
      const id = `id${index % 3 === 0 ? index : index % 1_000}`;
      const repl = {
        id,
        name: `n${index}`,
        owner: `o${index % OWNERS}`,
        cluster: 1,
        generation: 1,
      };
      placeIn(table, repl);
      if (table.buffers !== buffers) old.push({ reader: new Table(buffers), model: model.copy() });
      ({ buffers } = table);
      model.place(repl);
    }
    expect(old.length).toBeGreaterThan(10);
    for (const { reader, model: then } of old) expectSame(reader, then);
  });

  it("goes on in new buffers with a bounded part of them at each change", () => {
    const REPLS = 12_000;
    const table = new TableWriter(hashKey);
    const model = new Model();
    const random = randomOf(5);
    table.expect(REPLS);
    const replOf = (index: number, generation: number): Placed => {
      const [id, name] = [`id${index}`, `n${index}`];
      return { id, name, owner: `o${index % OWNERS}`, cluster: random(9), generation };
    };
    for (let index = 0; index < REPLS; index++) {
      placeIn(table, replOf(index, 1));
      model.place(replOf(index, 1));
    }
    table.settle();
    for (const repl of model.repls.values()) model.place(byId(table, repl.id)!);
    for (let count = 0; count < 3; count++) table.countQuery(table.find("id7"));
    const { renewals } = table;
    const copy = vi.spyOn(Table.prototype, "copyName");
    let [most, moved] = [0, 0];
    for (let index = REPLS; index < 1.5 * REPLS; index++) {
      const { names } = table.buffers;
      copy.mockClear();
      placeIn(table, replOf(index, 1));
      model.place(byId(table, `id${index}`)!);
      const other = 8 + random(index - 8);
      if (index % 3 === 0 && model.repls.has(`id${other}`)) {
        table.remove(table.find(`id${other}`));
        model.remove(`id${other}`);
      } else if (model.repls.has(`id${other}`)) {
        placeIn(table, { ...byId(table, `id${other}`)!, cluster: 9, generation: index });
        model.place(byId(table, `id${other}`)!);
      }
      most = Math.max(most, copy.mock.calls.length);
      if (table.buffers.names.byteLength !== names.byteLength) moved++;
    }
    copy.mockRestore();
    expect(moved).toBeGreaterThan(2);
    expect(table.renewals).toBe(renewals);
    expect(most).toBeGreaterThan(1_000);
    expect(most).toBeLessThan(2_000);
    expect(table.queriesOf(table.find("id7"))).toBe(3);
    expect(table.size).toBe(model.repls.size);
    expectSame(table, model);
  });

  it("gives the name to who comes last, and to nobody when that one goes", () => {
    const table = new TableWriter(hashKey);
    const repl = { id: "a", name: "app", owner: "o1", cluster: 1, generation: 1 };
    placeIn(table, repl);
    placeIn(table, { ...repl, id: "b", cluster: 2 });
    placeIn(table, { ...repl, cluster: 3, generation: 2 });
    expect(byName(table, "app", "o1")?.id).toBe("b");
    expect(byId(table, "a")?.cluster).toBe(3);
    table.remove(table.find("b"));
    expect(byName(table, "app", "o1")).toBeUndefined();
    expect(hasOwner(table, "o1")).toBe(true);
    placeIn(table, { ...repl, name: "other" });
    expect(byName(table, "other", "o1")?.id).toBe("a");
  });

  it.each([
    ["an empty name", { name: "" }],
    ["a name of 64 octets", { name: "x".repeat(64) }],
    ["a name that is no octets", { name: "\u{1f600}" }],
    ["a name that stands for all", { name: "*" }],
    ["a long owner", { owner: "x".repeat(64) }],
    ["no id", { id: "" }],
    ["a generation that is none", { generation: 1.5 }],
    ["a generation beyond its word", { generation: 2 ** 31 }],
  ])("refuses %s, and stays as it was", (_what, odd) => {
    const table = new TableWriter(hashKey);
    const repl = { id: "a", name: "app", owner: "o1", cluster: 1, generation: 1 };
    placeIn(table, repl);
    expect(() => placeIn(table, { ...repl, ...odd })).toThrow(/^Cannot place the repl/);
    expect(byId(table, "a")).toEqual(repl);
    expect(table.size).toBe(1);
  });

  it("holds labels of any octets and of 63 of them", () => {
    const table = new TableWriter(hashKey);
    const repl = { id: "\0\xff.", name: "x".repeat(63), owner: " ", cluster: 1, generation: 1 };
    placeIn(table, repl);
    expect(byId(table, repl.id)).toEqual(repl);
    expect(byName(table, repl.name, repl.owner)).toEqual(repl);
  });

  it("keeps counts of queries through moves, names and new buffers", () => {
    const table = new TableWriter(hashKey);
    const repl = { id: "a", name: "app", owner: "o1", cluster: 1, generation: 1 };
    placeIn(table, repl);
    for (let count = 0; count < 3; count++) table.countQuery(table.find("a"));
    placeIn(table, { ...repl, cluster: 2, generation: 2 });
    placeIn(table, { ...repl, name: "other", generation: 3 });
    for (let index = 0; index < 2_000; index++) placeIn(table, { ...repl, id: `i${index}` });
    expect(table.queriesOf(table.find("a"))).toBe(3);
  });
});

/** How many slots are looked at for each name. */
function probesOf(table: TableWriter, names: readonly string[]): number[] {
  const slots = new Int32Array(table.buffers.names);
  return names.map((name) => {
    const key = keyOf(name, "o");
    const hash = table.hash(key, 0, key.length);
    const slot = slotOf(hash, table.findName(key, 0, key.length));
    let probes = 1;
    for (let at = homeOf(hash, slots.length); slots[at] !== slot; at = (at + 1) % slots.length)
      probes++;
    return probes;
  });
}

function tableOf(key: HashKey, names: readonly string[]): TableWriter {
  const table = new TableWriter(key);
  for (const [index, name] of names.entries()) {
    table.place({ id: `i${index}`, name, owner: "o", cluster: 1, generation: 1 }, -1);
  }
  return table;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe("names that were chosen to collide", () => {
  /** Under a key that is known: all in one sixteenth of the slots. */
  const names: string[] = [];
  for (let index = 0; names.length < 3_000; index++) {
    const key = keyOf(`n${index}`, "o");
    if (halfSipHash(0, 0, key, 0, key.length) >>> 28 === 0) names.push(`n${index}`);
  }

  it("do so under that key; the work is bounded all the same", () => {
    const probes = probesOf(tableOf([0, 0], names), names);
    expect(Math.max(...probes)).toBeLessThanOrEqual(MAX_PROBES);
    expect(mean(probes)).toBeGreaterThan(10);
  });

  it("are names like others under a key that is not", () => {
    const probes = probesOf(tableOf([0x6b8b4567, 0x327b23c6], names), names);
    expect(mean(probes)).toBeLessThan(3);
    expect(Math.max(...probes)).toBeLessThan(100);
  });
});
