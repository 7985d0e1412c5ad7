import { describe, expect, it } from "vitest";

import { isMetaType, TYPE, typeCode, typeName } from "./codes";

describe("types", () => {
  it.each([
    ["A", 1],
    ["aaaa", 28],
    ["TYPE65", 65],
    ["type1", 1],
    ["TYPE65535", 65535],
    ["TYPE65536", undefined],
    ["NOPE", undefined],
    ["", undefined],
  ])("%s is %s", (text, code) => {
    expect(typeCode(text)).toBe(code);
  });

  it("are named, or TYPEnnn", () => {
    expect(typeName(TYPE.CAA)).toBe("CAA");
    expect(typeName(66)).toBe("TYPE66");
  });

  it("of messages are no data", () => {
    expect([0, 41, 250, 252, 255].every(isMetaType)).toBe(true);
    expect([1, 43, 65, 257].some(isMetaType)).toBe(false);
  });
});
