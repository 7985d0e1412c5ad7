import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bodyText, isDuplicate, parseBody } from "./json-body";

/** Whole numbers beyond a double come out exact: here they are compared as doubles. */
function asNumber(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

test("reads what JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 2 }), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(JSON.stringify(parseBody(text), asNumber)).toEqual(JSON.stringify(JSON.parse(text)));
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("never throws anything but its own error", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'{}[]",:0-1e.\\untfa '.split("")) }),
      (text) => {
        try {
          parseBody(text);
        } catch (error) {
          expect((error as Error).constructor.name).toBe("JsonError");
        }
      },
    ),
    { seed: 2, numRuns: 500 },
  );
});

describe("what JSON.parse would not tell", () => {
  test("a name that occurs twice", () => {
    const value = parseBody('{"a":1,"b":{"a":2},"a":3}') as Record<string, object>;
    expect(value).toEqual({ a: 3, b: { a: 2 } });
    expect(isDuplicate(value, "a")).toBe(true);
    expect(isDuplicate(value["b"] as object, "a")).toBe(false);
  });

  test("whole numbers beyond a double are exact, up to 64 bits", () => {
    expect(parseBody("9007199254740993")).toBe(9007199254740993n);
    expect(parseBody("18446744073709551616")).toBe(18446744073709551616);
    expect(parseBody("12")).toBe(12);
  });

  test("what follows the value is not looked at", () => {
    expect(parseBody('{"a":1} x')).toEqual({ a: 1 });
  });

  test("__proto__ is a name like others", () => {
    const value = parseBody('{"__proto__":{"x":1}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(["__proto__"]);
  });
});

test.each([
  ["", "EOF while parsing a value"],
  ["{nope", "key must be a string"],
  ['{"a":1', "EOF while parsing an object"],
  ['{"a":[1,2', "a: EOF while parsing a list"],
  ['{"a":[1,x]}', "a[1]: expected value"],
  ['{"a":1e400}', "a: number out of range"],
  ['{"s":"\\ud800"}', "s: unexpected end of hex escape"],
  ["\ufeff{}", "expected value"],
  ["[1,]", "trailing comma"],
  ["01", "invalid number"],
  ["[".repeat(200), /recursion limit exceeded$/],
])("%s is refused", (text, message) => {
  expect(() => parseBody(text)).toThrow(message);
});

describe("bytes that are no UTF-8", () => {
  const parse = (...parts: (string | number[])[]): unknown =>
    parseBody(bodyText(Buffer.concat(parts.map((part) => Buffer.from(part as string)))));

  test.each([
    ["a byte that begins nothing", [0xff]],
    ["too long a form", [0xc0, 0x80]],
    ["half a surrogate pair", [0xed, 0xa0, 0x80]],
    ["a sequence cut short", [0xe2, 0x82]],
  ])("%s is refused where it stands", (_what, bytes) => {
    expect(() => parse('{"a":["', bytes, '"]}')).toThrow("a[0]: invalid unicode code point");
    expect(() => parse('{"', bytes, '":1}')).toThrow("invalid unicode code point");
    expect(() => parse("[", bytes, "]")).toThrow("expected value");
  });

  test("leave the rest alone", () => {
    expect(() => parse('["\u{1f480}","', [0xff], '"]')).toThrow("[1]: invalid");
    expect(parse('["\u{1f480}"]', [0xff])).toEqual(["\u{1f480}"]);
  });
});
