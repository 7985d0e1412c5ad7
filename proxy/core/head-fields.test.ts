import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { Fields, readFields, requestSpellings, tokensOf, valueOf, without } from "./head-fields";

describe("valueOf()", () => {
  it.each([
    ["  a b \t", "a b"],
    ["\xa0a\x85", "\xa0a\x85"],
    [" \t ", ""],
    ["", ""],
  ])("%j is %j", (text, expected) => {
    expect(valueOf(text, 0, text.length)).toBe(expected);
  });
});

describe("tokensOf()", () => {
  it.each([
    ["", { close: false, keepAlive: false, upgrade: false, nominated: [] }],
    ["Close", { close: true }],
    ["keep-alive, Upgrade", { keepAlive: true, upgrade: true, nominated: [] }],
    ["close,,X-A, te", { close: true, nominated: ["x-a"] }],
  ])("%j", (list, expected) => {
    expect(tokensOf(list)).toMatchObject(expected);
  });
});

describe("without()", () => {
  it("takes out the lines of those names, in any spelling", () => {
    const text = "GET\r\nA: 1\r\nb: 2\r\nB: 3\r\nC: 4\r\n";
    expect(without(text, 5, ["b"])).toBe("GET\r\nA: 1\r\nC: 4\r\n");
  });
});

describe("readFields()", () => {
  it("marks the same lines whatever their order", () => {
    const lines = ["Host: a", "Connection: close", "X-Real-IP: 1", "X-Own: 2", "TE: trailers"];
    fc.assert(
      fc.property(fc.shuffledSubarray(lines, { minLength: 5 }), (order) => {
        const text = order.map((line) => `${line}\r\n`).join("");
        const fields = new Fields();
        expect(readFields(text, 0, requestSpellings, fields)).toBeUndefined();
        const dropped: string[] = [];
        for (let index = 0; index < fields.drops.length; index += 2) {
          dropped.push(text.slice(fields.drops[index], fields.drops[index + 1]).trim());
        }
        expect(dropped.sort()).toEqual(["Connection: close", "TE: trailers", "X-Real-IP: 1"]);
        expect(fields).toMatchObject({ host: "a", connection: "close", te: "trailers" });
      }),
    );
  });
});
