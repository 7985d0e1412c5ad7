import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { hashKey, wireName } from "./__tests__/zone-text";
import { TYPE } from "./codes";
import { Platform, type Repl } from "./platform";
import { formatRdata } from "./rdata";

const hello: Repl = { id: "h1", name: "hello", owner: "demo", generation: 1, clusterId: "east" };

function addresses(platform: Platform, ...labels: string[]): string[] | undefined {
  const node = platform.node(wireName([...labels, "repl.test"].join(".")), wireName("repl.test"));
  return node && [...node.values()].flatMap((s) => s.rdatas.map((d) => formatRdata(s.type, d)));
}

function example(): Platform {
  const platform = new Platform({ hashKey });
  platform.setCluster("east", ["127.0.1.1", "::1"]);
  platform.setCluster("west", ["127.0.2.1"]);
  platform.setRepl(hello);
  return platform;
}

describe("platform names", () => {
  it("answer the home cluster's ingress in their three forms", () => {
    const platform = example();
    for (const labels of [["hello", "demo"], ["hello--demo"], ["h1", "id"]]) {
      expect(addresses(platform, ...labels)).toEqual(["127.0.1.1", "::1"]);
    }
  });

  it("exist above their repls, without data", () => {
    expect(addresses(example(), "demo")).toEqual([]);
    expect(addresses(example(), "id")).toEqual([]);
  });

  it.each([[["nobody"]], [["hello", "nobody"]], [["h2", "id"]], [["x", "hello", "demo"]], [[]]])(
    "do not exist otherwise: %j",
    (labels) => {
      expect(addresses(example(), ...labels)).toBeUndefined();
    },
  );

  it("follow a move, and a cluster's new ingress", () => {
    const platform = example();
    expect(platform.setRepl({ ...hello, generation: 2, clusterId: "west" })).toBe(true);
    expect(addresses(platform, "hello", "demo")).toEqual(["127.0.2.1"]);
    platform.setCluster("west", ["192.0.2.7", "not an address"]);
    expect(addresses(platform, "hello--demo")).toEqual(["192.0.2.7"]);
    expect(platform.node(wireName("hello.demo"), "\0")?.get(TYPE.A)?.ttl).toBe(60);
  });

  it("count the queries for their repl, in any form", () => {
    const platform = new Platform({ hashKey });
    const asked = Array.from({ length: 50 }, (_, index) => (index * 7) % 50);
    for (const [index, queries] of asked.entries()) {
      platform.setRepl({ ...hello, id: `h${index}`, name: `n${index}` });
      const forms = [`n${index}.demo`, `n${index}--demo`, `h${index}.id`, "nobody.demo", "demo"];
      for (let i = 0; i < queries; i++) platform.countQuery(wireName(forms[i % 3]!), "\0");
      for (const form of forms.slice(3)) platform.countQuery(wireName(form), "\0");
      expect(platform.queriesOf(`h${index}`)).toBe(queries);
    }
    for (const count of [1, 3, 49, 100]) {
      const expected = Array.from({ length: Math.min(count, 49) }, (_, index) => 49 - index);
      expect(platform.mostAsked(count).map(({ queries }) => queries)).toEqual(expected);
    }
    expect(platform.mostAsked(1)[0]!.repl.id).toBe(`h${asked.indexOf(49)}`);
    expect(platform.queriesOf("nobody")).toBe(0);
  });

  it("exist without data while their cluster is unknown", () => {
    const platform = new Platform({ hashKey });
    platform.setRepl(hello);
    expect(addresses(platform, "hello", "demo")).toEqual([]);
  });

  it("are gone with their repl, and their owner's with the last one", () => {
    const platform = example();
    platform.removeRepl("h1");
    for (const labels of [["hello", "demo"], ["hello--demo"], ["h1", "id"], ["demo"]]) {
      expect(addresses(platform, ...labels)).toBeUndefined();
    }
  });

  it("pass to a new repl that takes a name before the old one's end is heard of", () => {
    const platform = example();
    platform.setRepl({ ...hello, id: "h2", clusterId: "west" });
    platform.removeRepl("h1");
    expect(addresses(platform, "hello", "demo")).toEqual(["127.0.2.1"]);
  });

  it("show the highest generation, whatever the order and the repeats", () => {
    const moves = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(moves, (generations) => {
        const platform = new Platform({ hashKey });
        let highest = 0;
        for (const generation of generations) {
          platform.setRepl({ ...hello, generation, clusterId: `c${generation}` });
          highest = Math.max(highest, generation);
          expect(platform.repl("h1")?.clusterId).toBe(`c${highest}`);
        }
      }),
      { seed: 50 },
    );
  });
});
