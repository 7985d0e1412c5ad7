import { describe, expect, test } from "vitest";
import type { FieldSchema, ObjectSchema, Schema } from "../app-model";
import { Failure } from "./errors";
import { RequestCodec, ResponseCodec, type WireRequest } from "./payload";

class TextDecimal {
  readonly __encore_decimal = true;
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

const context = { types: {}, decimal: (text: string) => new TextDecimal(text) };

type Extra = Partial<Pick<FieldSchema, "optional" | "location" | "wireName">>;

function field(name: string, schema: Schema, extra: Extra = {}): FieldSchema {
  return { name, optional: false, schema, location: "auto", wireName: name, ...extra };
}

function object(...fields: FieldSchema[]): ObjectSchema {
  return { kind: "object", fields };
}

const string: Schema = { kind: "string" };
const number: Schema = { kind: "number" };
const boolean: Schema = { kind: "boolean" };

interface Given {
  path?: string;
  method?: string;
  params?: Record<string, string>;
  query?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

function decode(schema: ObjectSchema, given: Given): unknown {
  const query = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(given.query)) {
    query.set(key, [...(query.get(key) ?? []), value]);
  }
  const { body } = given;
  const wire: WireRequest = {
    method: given.method ?? "POST",
    pathParams: given.params ?? {},
    query,
    headers: given.headers ?? {},
    cookies: {},
    body: typeof body === "string" ? body : JSON.stringify(body ?? {}),
  };
  return new RequestCodec(schema, given.path ?? "/", context).decode(wire);
}

function refusal(schema: ObjectSchema, given: Given): string {
  try {
    decode(schema, given);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).code).toBe("invalid_argument");
    return (error as Failure).message;
  }
  throw new Error("it was accepted");
}

describe("where a field is read", () => {
  const schema = object(
    field("id", string),
    field("n", number, { optional: true }),
    field("key", string, { location: "header", wireName: "X-Key", optional: true }),
  );
  const about = { path: "/things/:id", params: { id: "a b" }, headers: { "x-key": "k" } };

  test("in a GET the query", () => {
    const got = decode(schema, { ...about, method: "GET", query: "n=3&other=1" });
    expect(got).toEqual({ id: "a b", n: 3, key: "k" });
  });

  test("in a POST the body, over which the path wins", () => {
    const got = decode(schema, { ...about, body: { n: 4, id: "other", key: "other" } });
    expect(got).toEqual({ id: "a b", n: 4, key: "k" });
  });

  test("a repeated key is a list, or a fault", () => {
    const lists = object(field("l", { kind: "array", element: number }, { optional: true }));
    expect(decode(lists, { method: "GET", query: "l=1&l=2" })).toEqual({ l: [1, 2] });
    expect(decode(lists, { method: "GET", query: "l=1" })).toEqual({ l: [1] });
    expect(refusal(schema, { ...about, method: "GET", query: "n=1&n=2" })).toBe(
      "unable to decode query string: duplicate field n",
    );
  });
});

describe("a body that does not fit", () => {
  const schema = object(
    field("s", string),
    field("b", boolean, { optional: true }),
    field("u", { kind: "union", members: [string, number] }, { optional: true }),
    field("list", { kind: "array", element: object(field("x", number)) }, { optional: true }),
  );

  test.each([
    [{}, "missing field s"],
    [{ s: 5 }, "s: invalid type: integer `5`, expected a string"],
    [{ s: null }, "s: invalid type: Option value, expected a string"],
    [{ s: "", b: null }, "b: invalid type: Option value, expected a boolean"],
    [{ s: "", u: true }, "u: invalid type: boolean `true`, expected a string or a number"],
    [
      { s: "", list: [{ x: 1 }, { x: "2" }] },
      'list[1].x: invalid type: string "2", expected a number',
    ],
    [{ s: "", list: [{}] }, "list[0]: missing field x"],
    ['{"s":"a","s":"b"}', "duplicate field s"],
    ["[]", "invalid type: sequence, expected a JSON object"],
    ["", "EOF while parsing a value"],
  ])("%j is told apart", (body, message) => {
    expect(refusal(schema, { body })).toBe(`unable to decode request body: ${message}`);
  });

  test("unknown fields are left out", () => {
    expect(decode(schema, { body: { s: "a", nope: 1 } })).toEqual({ s: "a" });
  });
});

describe("values that are more than their JSON", () => {
  test("a date", () => {
    const schema = object(field("d", { kind: "date" }));
    const got = decode(schema, { body: { d: "2026-01-02T03:04:05+02:00" } });
    expect(got).toEqual({ d: new Date(Date.UTC(2026, 0, 2, 1, 4, 5)) });
    expect(refusal(schema, { body: { d: "2026-01-02" } })).toMatch(/d: invalid datetime/);
  });

  test("a decimal", () => {
    const schema = object(field("d", { kind: "decimal" }));
    expect(decode(schema, { body: { d: "12.3400" } })).toEqual({ d: new TextDecimal("12.3400") });
    expect(refusal(schema, { body: { d: 5 } })).toMatch(/expected a decimal/);
  });

  test("a recursive type", () => {
    const types = {
      Tree: object(field("kids", { kind: "array", element: { kind: "named", type: "Tree" } })),
    };
    const codec = new RequestCodec(object(field("t", { kind: "named", type: "Tree" })), "/", {
      ...context,
      types: types as never,
    });
    const t = { kids: [{ kids: [] }] };
    const wire = codec.encode("POST", { t });
    expect(codec.decode(wire)).toEqual({ t });
  });
});

describe("validation", () => {
  const name: Schema = {
    kind: "validated",
    base: string,
    rule: {
      rule: "and",
      rules: [
        { rule: "minLen", value: 2 },
        { rule: "maxLen", value: 5 },
        { rule: "matchesRegexp", value: "^[a-zé]+$" },
      ],
    },
  };

  test.each([
    ["a", "name: length too short (got 1, expected at least 2)"],
    ["ééé", "name: length too long (got 6, expected at most 5)"],
    ["ABC", 'name: value does not match the regexp "^[a-zé]+$"'],
  ])("%s breaks it", (value, message) => {
    const schema = object(field("name", name));
    expect(refusal(schema, { body: { name: value } })).toBe(
      `unable to decode request body: ${message}`,
    );
  });

  test("the first of several alternatives gives the reason", () => {
    const rules = [{ rule: "startsWith", value: "x" }, { rule: "isEmail" }] as const;
    const schema = object(
      field("v", { kind: "validated", base: string, rule: { rule: "or", rules } }),
    );
    expect(decode(schema, { body: { v: "a@b.example" } })).toEqual({ v: "a@b.example" });
    expect(refusal(schema, { body: { v: "no" } })).toMatch(/does not start with "x"/);
  });
});

describe("a response", () => {
  const schema = object(
    field("out", string, { location: "header", wireName: "X-Out" }),
    field("status", number, { location: "status" }),
    field("v", { kind: "any" }, { optional: true }),
  );
  const codec = new ResponseCodec(schema, context);

  test("spreads over status, headers and body; what is not declared stays", () => {
    const wire = codec.encode({ out: "o", status: 202, v: [1], more: true }, {});
    expect(wire).toEqual({
      status: 202,
      headers: { "x-out": "o" },
      cookies: [],
      body: '{"v":[1]}',
    });
    expect(codec.decode(wire)).toEqual({ out: "o", v: [1] });
  });

  test("middlewares have the last word", () => {
    const extras = { status: 418, extraHeaders: { "x-out": "theirs" } };
    const wire = codec.encode({ out: "o", status: 202 }, extras);
    expect(wire).toMatchObject({ status: 418, headers: { "x-out": "theirs" } });
  });

  test("of an endpoint without one is empty", () => {
    expect(new ResponseCodec(null, context).encode({ a: 1 }, {}).body).toBeNull();
  });

  test("that has no JSON is an internal failure", () => {
    const failing = (): unknown => codec.encode({ v: [undefined] }, {});
    expect(failing).toThrow("an internal error occurred");
  });
});
