import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Hop, hopBody, hopField, hopInput, judgeHop, keyDay, parseHop } from "./hop";

const NOW = 1_761_782_400_000;
const hop: Hop = {
  key: keyDay(NOW),
  from: "east",
  to: "west",
  replId: "abcdefghijkl",
  minGeneration: 7,
  hops: 1,
  at: NOW,
  holdUntil: 0,
  clientIp: "2001:db8::1",
  proto: "https",
  requestId: "0123456789ab-00001",
};
const MAC = "a".repeat(64);
const field = hopField(hopBody(hop), MAC);

describe("parseHop()", () => {
  it("reads what hopField() writes", () => {
    expect(parseHop(field)).toEqual({ hop, mac: MAC, body: hopBody(hop) });
  });

  it.each([
    ["another version", field.replace("v=1", "v=2")],
    ["another order", field.replace(/^(v=1; )(k=\d+; )(f=east; )/, "$1$3$2")],
    ["a missing part", field.replace(" n=1;", "")],
    ["a doubled part", field.replace("n=1;", "n=1; n=2;")],
    ["a blank more", field.replace("; f", ";  f")],
    ["a short MAC", field.slice(0, -1)],
    ["an upper-case MAC", field.slice(0, -64) + "A".repeat(64)],
    ["something behind it", `${field};`],
    ["a negative generation", field.replace("g=7", "g=-7")],
    ["a bad id", field.replace("q=0123", "q=\n")],
    ["nothing", ""],
  ])("refuses %s", (_what, text) => {
    expect(parseHop(text)).toBeUndefined();
  });

  it("is total", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseHop(text)));
  });
});

describe("hopInput()", () => {
  it("tells every part from every other", () => {
    const body = hopBody(hop);
    const inputs = new Set([
      hopInput(body, "GET", "a.b", "/"),
      hopInput(body, "GET", "a.b/", ""),
      hopInput(body, "GE", "Ta.b", "/"),
      hopInput(body, "POST", "a.b", "/"),
    ]);
    expect(inputs.size).toBe(4);
  });
});

describe("judgeHop()", () => {
  it.each([
    [{}, undefined],
    [{ to: "north" }, "to"],
    [{ from: "west" }, "to"],
    [{ key: keyDay(NOW) - 1 }, undefined],
    [{ key: keyDay(NOW) - 2 }, "key"],
    [{ at: NOW - 29_000 }, undefined],
    [{ at: NOW - 31_000 }, "time"],
    [{ at: NOW + 31_000 }, "time"],
    [{ hops: 0 }, "hops"],
    [{ hops: 3 }, undefined],
    [{ hops: 4 }, "hops"],
  ])("%o is %s", (change, fault) => {
    expect(judgeHop({ ...hop, ...change }, "west", NOW)).toBe(fault);
  });
});
