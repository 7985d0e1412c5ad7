import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isPackable, joinPacked, packRepl, partsOf, unpackRepls } from "./packed";
import type { Repl } from "./platform";

const text = fc.string({ unit: fc.constantFrom("a", "z", "9", "-", " ", ",", "é") });
const repl: fc.Arbitrary<Repl> = fc.record({
  id: text,
  name: text,
  owner: text,
  clusterId: text,
  generation: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
});

describe("packed repls", () => {
  it("come back as they were, those that can be packed", () => {
    fc.assert(
      fc.property(fc.array(repl), (repls) => {
        const packable = repls.filter(isPackable);
        expect(unpackRepls(joinPacked(packable.map(packRepl)))).toEqual(
          packable.map((one) => ({ kind: "repl", ...one })),
        );
      }),
    );
  });

  it("are the same in parts", () => {
    fc.assert(
      fc.property(fc.array(repl), fc.integer({ min: 1, max: 50 }), (repls, length) => {
        const packed = joinPacked(repls.filter(isPackable).map(packRepl));
        const parts = [...partsOf(packed, length)];
        expect(parts.flatMap(unpackRepls)).toEqual(unpackRepls(packed));
        for (const part of parts.slice(0, -1)) expect(part.length).toBeGreaterThanOrEqual(length);
      }),
    );
  });

  it("are none in what is none", () => {
    const good: Repl = { id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 3 };
    const bad = [
      "h2 hello demo east",
      "h3 hello demo east x",
      "h4 hello demo east 0",
      "a b c d 1 2",
    ];
    expect(unpackRepls("")).toEqual([]);
    expect(unpackRepls([...bad, packRepl(good)].join(","))).toEqual([{ kind: "repl", ...good }]);
  });

  it("have no spaces and no commas in their fields", () => {
    const good: Repl = { id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 3 };
    expect(isPackable(good)).toBe(true);
    for (const field of ["id", "name", "owner", "clusterId"]) {
      for (const odd of [" ", ","]) expect(isPackable({ ...good, [field]: `a${odd}` })).toBe(false);
    }
  });
});
