import { describe, expect, it } from "vitest";

import { catalogOf, wireName, zoneChanges } from "./__tests__/zone-text";
import { CLASS, typeCode } from "./codes";
import { explain } from "./explain";

const soa = (zone: string): string =>
  `${zone} 3600 SOA ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60`;
const catalog = catalogOf(
  { platformZone: "repl.test", validationZone: "validate.test" },
  zoneChanges("repl.test", [
    soa("repl.test"),
    "repl.test 60 NS ns1.repl.test",
    "ns1.repl.test 60 A 192.0.2.53",
  ]),
  zoneChanges("example.test", [
    soa("example.test"),
    "*.w.example.test 60 A 192.0.2.1",
    "www.example.test 60 CNAME hello.demo.repl.test",
    "out.example.test 60 CNAME www.example.net",
    "one.example.test 60 CNAME two.example.test",
    "two.example.test 60 CNAME one.example.test",
    "cut.example.test 60 NS ns.example.net",
    "x.ent.example.test 60 TXT text",
  ]),
  [
    { kind: "cluster", id: "east", ingress: ["192.0.2.10", "2001:db8::10"] },
    { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 7 },
    {
      kind: "challenge",
      zone: "repl.test",
      name: "_acme-challenge.hello.demo.repl.test",
      values: ["v"],
      revision: 1,
    },
  ],
);

function ask(name: string, type: string) {
  const question = { name: wireName(name), type: typeCode(type)!, class: CLASS.IN };
  const { steps, ...rest } = explain(catalog, question);
  const ways = steps.map(({ name: at, how, at: by, target }) =>
    [at, how, by === at ? "" : by, target ?? ""].join(" ").trim(),
  );
  return { ...rest, steps, ways };
}

describe("an explanation", () => {
  it.each([
    ["hello.demo.repl.test", "A", "answer", ["hello.demo.repl.test repl"]],
    ["hello--demo.repl.test", "AAAA", "answer", ["hello--demo.repl.test repl"]],
    ["h1.id.repl.test", "TXT", "nodata", ["h1.id.repl.test repl"]],
    ["demo.repl.test", "A", "nodata", ["demo.repl.test empty"]],
    ["repl.test", "NS", "answer", ["repl.test records"]],
    ["nobody.demo.repl.test", "A", "nxdomain", ["nobody.demo.repl.test nothing demo.repl.test"]],
    [
      "_acme-challenge.hello.demo.repl.test",
      "TXT",
      "answer",
      ["_acme-challenge.hello.demo.repl.test challenge"],
    ],
    ["a.b.w.example.test", "A", "answer", ["a.b.w.example.test wildcard *.w.example.test"]],
    ["ent.example.test", "A", "nodata", ["ent.example.test empty"]],
    ["a.cut.example.test", "A", "referral", ["a.cut.example.test delegation cut.example.test"]],
    [
      "www.example.test",
      "CNAME",
      "answer",
      ["www.example.test records hello.demo.repl.test".replace(" records ", " records  ")],
    ],
    ["out.example.test", "A", "elsewhere", ["out.example.test records  www.example.net"]],
    [
      "one.example.test",
      "A",
      "loop",
      ["one.example.test records  two.example.test", "two.example.test records  one.example.test"],
    ],
    ["www.example.com", "A", "refused", []],
  ])("of %s %s is %s", (name, type, result, ways) => {
    expect(ask(name, type)).toMatchObject({ result, ways });
  });

  it("follows aliases to the repl at their end", () => {
    const { steps, answers, rcode } = ask("www.example.test", "A");
    expect(steps).toMatchObject([
      { zone: "example.test", how: "records", types: ["CNAME"], target: "hello.demo.repl.test" },
      {
        zone: "repl.test",
        how: "repl",
        types: ["A", "AAAA"],
        repl: { id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 7 },
        target: null,
      },
    ]);
    expect(rcode).toBe("NOERROR");
    expect(answers).toEqual([
      "www.example.test 60 CNAME hello.demo.repl.test",
      "hello.demo.repl.test 60 A 192.0.2.10",
    ]);
  });

  it("knows where challenges are answered by others", () => {
    const { steps, result } = ask("_acme-challenge.repl.test", "TXT");
    expect(result).toBe("elsewhere");
    expect(steps).toMatchObject([{ how: "challenge", target: "_acme-challenge.validate.test" }]);
  });
});
