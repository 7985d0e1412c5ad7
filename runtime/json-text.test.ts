import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { jsonText, numberText, parseJson } from "./json-text";

describe("numberText()", () => {
  it.each([
    [0, "0"],
    [-7, "-7"],
    [4294967295, "4294967295"],
    [4294967296, "4294967296.0"],
    [-2147483648, "-2147483648"],
    [-2147483649, "-2147483649.0"],
    [1700000000000, "1700000000000.0"],
    [9007199254740991, "9007199254740991.0"],
    [1e16, "1e16"],
    [1.5e300, "1.5e300"],
    [1.5, "1.5"],
    [-0.001, "-0.001"],
    [0.00001, "0.00001"],
    [0.000001, "1e-6"],
    [123456.789, "123456.789"],
  ])("%d is %s", (value, text) => {
    expect(numberText(value)).toBe(text);
  });

  it("loses nothing", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(numberText(value)) + 0).toBe(value + 0);
      }),
    );
  });

  it("refuses what is no number", () => {
    expect(() => numberText(NaN)).toThrow("Failed to convert js number to serde_json::Number");
  });
});

describe("jsonText()", () => {
  it("writes what JSON.stringify writes, but for numbers beyond 32 bits", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(jsonText(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it("writes dates, bigints and leaves undefined members out", () => {
    expect(
      jsonText({ at: new Date(0), late: new Date(5), big: 9007199254740993n, none: undefined }),
    ).toBe(
      '{"at":"1970-01-01T00:00:00Z","late":"1970-01-01T00:00:00.005Z","big":"9007199254740993"}',
    );
  });

  it.each([[[undefined]], [() => 1], [Symbol("x")]])("refuses %s", (value) => {
    expect(() => jsonText(value)).toThrow(/has no JSON/);
  });

  it("refuses what is nested too deep", () => {
    let value: unknown = 1;
    for (let n = 0; n < 130; n++) value = [value];
    expect(() => jsonText(value)).toThrow(/deeper than 128/);
  });
});

describe("parseJson()", () => {
  it.each<[string, unknown]>([
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ["-9007199254740993", -9007199254740993n],
    ["1700000000000000000.5", Number("1700000000000000000.5")],
    ["12345678901234567890123", Number("12345678901234567890123")],
    ['{"12345678901234567":[12345678901234567]}', { "12345678901234567": [12345678901234567n] }],
    ['"12345678901234567"', "12345678901234567"],
  ])("%s", (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  it("leaves fractions with many digits alone", () => {
    expect(parseJson("[0.9370000000000001,1e-7,123456789012345.5]")).toEqual([
      0.9370000000000001, 1e-7, 123456789012345.5,
    ]);
  });

  it("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        // Longer whole numbers come back as bigints, on purpose.
        fc.pre(!/(?<![\d.eE+-])-?\d{16}/.test(text));
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });
});
