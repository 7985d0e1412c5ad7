import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Change } from "./catalog";
import { changeOf, type LogEntry, outcomeOf } from "./log";

const entry: LogEntry = {
  seq: 1,
  kind: "moved",
  replId: "h1",
  name: "hello",
  owner: "demo",
  clusterId: "west",
  generation: 2,
  cluster: null,
  traceparent: "",
};
const west = { id: "west", ingress: ["127.0.2.1"], removed: false };

describe("changeOf()", () => {
  it.each([
    [
      entry,
      { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "west", generation: 2 },
    ],
    [
      { ...entry, kind: "created", generation: 1 },
      { kind: "repl", generation: 1 },
    ],
    [
      { ...entry, kind: "deleted" },
      { kind: "repl_gone", id: "h1" },
    ],
    [
      { ...entry, kind: "cluster", cluster: west },
      { kind: "cluster", id: "west", ingress: ["127.0.2.1"] },
    ],
    [
      { ...entry, kind: "cluster", cluster: { ...west, removed: true } },
      { kind: "cluster_gone", id: "west" },
    ],
  ])("of %j is %j", (given, change) => {
    expect(changeOf(given)).toMatchObject(change);
  });

  it("is nothing for what names do not depend on, or what says too little", () => {
    expect(changeOf({ ...entry, kind: "hostname" })).toBeUndefined();
    expect(changeOf({ ...entry, kind: "of the future" })).toBeUndefined();
    expect(changeOf({ ...entry, clusterId: null })).toBeUndefined();
    expect(changeOf({ ...entry, kind: "cluster" })).toBeUndefined();
  });
});

/** What `changes` make of a copy, one after the other. */
function copied(copy: ReadonlyMap<string, Change>, changes: readonly Change[]): object {
  const rows = new Map(copy);
  for (const change of changes) {
    if (!("id" in change)) throw new Error("not of the log");
    const key = `${change.kind.replace("_gone", "")} ${change.id}`;
    const known = rows.get(key);
    const isOld =
      known?.kind === "repl" && change.kind === "repl" && known.generation > change.generation;
    if (change.kind.endsWith("_gone")) rows.delete(key);
    else if (!isOld) rows.set(key, change);
  }
  return Object.fromEntries(rows);
}

const id = fc.constantFrom("a", "b");
const logged: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant("repl" as const),
    id,
    name: fc.constantFrom("n", "m"),
    owner: fc.constant("o"),
    clusterId: fc.constantFrom("east", "west"),
    generation: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant("repl_gone" as const), id }),
  fc.record({
    kind: fc.constant("cluster" as const),
    id,
    ingress: fc.constantFrom(["192.0.2.1"], []),
  }),
  fc.record({ kind: fc.constant("cluster_gone" as const), id }),
);

describe("outcomeOf()", () => {
  it("makes of a copy what the changes make of it one by one", () => {
    fc.assert(
      fc.property(fc.array(logged), fc.array(logged), (before, changes) => {
        const copy = new Map(Object.entries(copied(new Map(), before))) as Map<string, Change>;
        const { goneRepls, repls, goneClusters, clusters } = outcomeOf(changes);
        const outcome: Change[] = [
          ...goneRepls.map((gone): Change => ({ kind: "repl_gone", id: gone })),
          ...repls.map((repl): Change => ({ ...repl, kind: "repl" })),
          ...goneClusters.map((gone): Change => ({ kind: "cluster_gone", id: gone })),
          ...clusters.map((cluster): Change => ({ ...cluster, kind: "cluster" })),
        ];
        expect(copied(copy, outcome)).toEqual(copied(copy, changes));
      }),
    );
  });

  it("is of what the log says only", () => {
    const zone: Change = { kind: "zone", zone: "z", base: 1, revision: 1 };
    expect(() => outcomeOf([zone])).toThrow('Cannot copy a "zone" change');
  });
});
