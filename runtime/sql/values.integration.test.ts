import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Decimal } from "../decimal";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { Databases, type SQLDatabase } from "./databases";
import { ensureDatabase } from "./migrate";
import { QueryArgs } from "./statements";

/** Stands for the SDK's Decimal, which is known by this property. */
class SdkDecimal extends Decimal {
  readonly __encore_decimal = true;
}

let server: TestPostgres;
let databases: Databases;
let db: SQLDatabase;

beforeAll(async () => {
  server = await startTestPostgres();
  await ensureDatabase(server.config("alpha"), "postgres");
  databases = new Databases({} as never, server.infra(["alpha"]), (text) => new SdkDecimal(text));
  db = databases.sqlDatabase("alpha");
  await db.query("create type mood as enum ('calm', 'cross', 'a \"b\" \\, c')", new QueryArgs([]));
});
afterAll(async () => {
  await databases.close();
  await server.stop();
});

/** A value goes to the server as a parameter of a type, and comes back as a column of it. */
async function roundTrip(value: unknown, type: string): Promise<unknown> {
  const row = await db.queryRow(`select $1::${type} as v`, new QueryArgs([value]));
  return shown(row?.values()["v"]);
}

/** Comparable: a decimal by its digits, bytes as hexadecimal. */
function shown(value: unknown): unknown {
  if (value instanceof SdkDecimal) return `decimal ${value.toString()}`;
  if (value instanceof ArrayBuffer) return `bytes ${Buffer.from(value).toString("hex")}`;
  return Array.isArray(value) ? value.map(shown) : value;
}

interface Kind {
  readonly type: string;
  readonly values: fc.Arbitrary<unknown>;
  /** What comes back; the value itself unless it says otherwise. */
  readonly back?: (value: never) => unknown;
  /** Cannot be read as an array: cast it. */
  readonly arrays?: false;
}

const RUNS = 60;

// -0 is 0 on its way through Encore, and a text cannot hold a zero byte.
const noMinusZero = (value: unknown): boolean => !Object.is(value, -0);
const text = fc
  .string({ unit: "binary", maxLength: 50 })
  .map((value) => value.replaceAll("\0", ""));
const finite = { noNaN: true, noDefaultInfinity: true };
const safeOrBig = (value: number | bigint): unknown =>
  Number.isSafeInteger(Number(value)) ? Number(value) : value;
const date = fc.date({
  noInvalidDate: true,
  min: new Date("-004000-01-01T00:00:00Z"),
  max: new Date("+200000-01-01T00:00:00Z"),
});
const recentDay = fc
  .date({
    noInvalidDate: true,
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T00:00:00Z"),
  })
  .map((value) => value.toISOString().slice(0, 10));
const two = (max: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, "0"));
const digits = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength })
    .map((list) => list.join(""));
const numerics = fc
  .tuple(fc.constantFrom("", "-"), digits(30), digits(30))
  .map(([sign, whole, fraction]) => `${sign}${whole}.${fraction}`);

/** A numeric's digits without leading and trailing zeros, as Encore's fractions have them. */
function numericShown(value: unknown): string {
  const [, sign = "", whole = "", fraction = ""] =
    /^(-?)0*(\d*?)\.?(?:(?<=\.)(\d*?)0*)?$/.exec(String(value)) ?? [];
  const rest = fraction === "" ? "" : `.${fraction}`;
  const plain = `${whole === "" ? "0" : whole}${rest}`;
  return `decimal ${plain === "0" ? "0" : sign + plain}`;
}

/** JSON as jsonb keeps it: numbers that both sides hold exactly, and no zero bytes. */
const json = fc
  .jsonValue({ maxDepth: 4, stringUnit: "binary" })
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll("\\u0000", "")) as unknown)
  .filter((value) => !/e[+-]?\d|-0|\d{16}|__proto__/.test(JSON.stringify(value)));

const KINDS: readonly Kind[] = [
  { type: "bool", values: fc.boolean() },
  { type: "int2", values: fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }) },
  { type: "int4", values: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) },
  { type: "oid", values: fc.integer({ min: 0, max: 2 ** 32 - 1 }) },
  {
    type: "int8",
    values: fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    back: safeOrBig,
  },
  { type: "float4", values: fc.float(finite).filter(noMinusZero) },
  { type: "float8", values: fc.double(finite).filter(noMinusZero) },
  { type: "numeric", values: numerics, back: numericShown },
  {
    type: "numeric",
    values: fc.oneof(
      fc.maxSafeInteger(),
      fc.bigInt(),
      numerics.map((digits) => new SdkDecimal(digits)),
    ),
    back: numericShown,
  },
  { type: "text", values: text },
  { type: "varchar", values: text },
  { type: "name", values: fc.string({ unit: "grapheme-ascii", maxLength: 63 }) },
  {
    type: "bytea",
    values: fc.uint8Array({ maxLength: 100 }),
    back: (value: Uint8Array) => `bytes ${Buffer.from(value).toString("hex")}`,
    arrays: false,
  },
  { type: "json", values: json },
  { type: "jsonb", values: json },
  { type: "timestamptz", values: date },
  { type: "timestamp", values: date },
  {
    type: "timestamptz",
    values: fc
      .tuple(recentDay, two(23), two(59), two(59), fc.constantFrom("Z", "+02:00", "-05:30"))
      .map(([day, h, m, s, zone]) => `${day}T${h}:${m}:${s}${zone}`),
    back: (value: string) => new Date(value),
  },
  { type: "date", values: recentDay },
  {
    type: "time",
    values: fc
      .tuple(two(23), two(59), two(59), fc.constantFrom("", ".5", ".123", ".123456", ".1234"))
      .map(([h, m, s, fraction]) => `${h}:${m}:${s}${fraction}`),
    back: (value: string) =>
      value.replace(
        /\.(\d+)$/,
        (_, part: string) => `.${part.padEnd(part.length > 3 ? 6 : 3, "0")}`,
      ),
    arrays: false,
  },
  { type: "uuid", values: fc.uuid(), arrays: false },
  { type: "inet", values: fc.ipV4(), arrays: false },
  { type: "cidr", values: fc.ipV4().map((address) => `${address}/32`), arrays: false },
  { type: "mood", values: fc.constantFrom("calm", "cross", 'a "b" \\, c') },
];

const backAs = (kind: Kind, value: unknown): unknown =>
  kind.back ? kind.back(value as never) : value;

describe("a value comes back as it went", () => {
  it.each(KINDS.map((kind, index) => [kind.type, index]))("%s (%i)", async (_, index) => {
    const kind = KINDS[index as number] as Kind;
    await fc.assert(
      fc.asyncProperty(kind.values, async (value) => {
        expect(await roundTrip(value, kind.type)).toEqual(backAs(kind, value));
      }),
      { numRuns: RUNS },
    );
    const isJson = kind.type.startsWith("json");
    expect(await roundTrip(null, kind.type)).toBe(null);
    const isNull = await db.queryRow(
      `select $1::${kind.type} is null as v`,
      new QueryArgs([undefined]),
    );
    // Encore writes JSON's null, not SQL's (contract 0.8).
    expect(isNull?.values()["v"]).toBe(!isJson);
  });

  const inArrays = KINDS.filter(({ arrays }) => arrays !== false);

  it.each(inArrays.map((kind, index) => [kind.type, index]))("%s[] (%i)", async (_, index) => {
    const kind = inArrays[index as number] as Kind;
    const lists = fc.array(fc.option(kind.values, { freq: 5 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(lists, async (list) => {
        const back = list.map((value) => (value === null ? null : backAs(kind, value)));
        expect(await roundTrip(list, `${kind.type}[]`)).toEqual(back);
      }),
      { numRuns: RUNS },
    );
  });

  it.each(["uuid", "bytea", "inet", "cidr", "time"])(
    "%s[] goes there, and is refused on its way back unless it is cast",
    async (type) => {
      const kind = KINDS.find((one) => one.type === type) as Kind;
      await fc.assert(
        fc.asyncProperty(fc.array(kind.values, { minLength: 1, maxLength: 4 }), async (list) => {
          await expect(roundTrip(list, `${type}[]`)).rejects.toThrow(/^unable to parse column v: /);
          const row = await db.queryRow(
            `select cardinality($1::${type}[]) as v`,
            new QueryArgs([list]),
          );
          expect(row?.values()["v"]).toBe(list.length);
        }),
        { numRuns: 10 },
      );
    },
  );
});

/** Values of JavaScript by their kind, and for each the types that take none of that kind (B.9). */
const REFUSED: Record<string, { values: fc.Arbitrary<unknown>; types: readonly string[] }> = {
  string: {
    values: fc.string({ unit: "grapheme-ascii", minLength: 1 }).map((value) => `x${value}`),
    types: (
      "bool int2 int4 int8 oid float4 float8 numeric uuid mood inet cidr date time timestamp timestamptz " +
      "text[] interval timetz macaddr bit(3) varbit xml money point char(3) int4range"
    ).split(" "),
  },
  boolean: {
    values: fc.boolean(),
    types: ["int2", "int4", "int8", "float8", "numeric", "uuid", "date", "timestamptz", "bytea"],
  },
  number: {
    values: fc.integer({ min: 0, max: 100 }),
    types: ["bool", "uuid", "inet", "date", "time", "timestamp", "timestamptz", "bytea", "mood"],
  },
  fraction: {
    values: fc.integer({ min: -99, max: 99 }).map((n) => n + 0.5),
    types: ["int2", "int4", "int8", "oid", "bool"],
  },
  "a number too large": {
    values: fc.bigInt({ min: 2n ** 63n, max: 2n ** 80n }),
    types: ["int2", "int4", "int8", "oid"],
  },
  object: {
    values: fc.dictionary(fc.string({ minLength: 1 }), fc.integer()),
    types: ["text", "int4", "float8", "numeric", "bool", "uuid", "date", "bytea", "mood", "text[]"],
  },
  array: {
    values: fc.array(fc.integer()),
    types: ["text", "int4", "float8", "numeric", "bool", "uuid", "date", "bytea", "mood"],
  },
  date: {
    values: date,
    types: ["int8", "float8", "numeric", "bool", "uuid", "time", "inet", "bytea", "mood"],
  },
  "not a finite number": {
    values: fc.constantFrom(NaN, Infinity, -Infinity),
    types: ["float4", "float8", "numeric", "int4", "text", "jsonb", "bool"],
  },
};

describe("a value that Encore refuses", () => {
  const pairs = Object.entries(REFUSED).flatMap(([kind, { types }]) =>
    types.map((type) => [kind, type] as const),
  );

  it.each(pairs)(
    "%s as %s is refused, and the connection is as good as before",
    async (kind, type) => {
      const { values } = REFUSED[kind] as { values: fc.Arbitrary<unknown> };
      await fc.assert(
        fc.asyncProperty(values, async (value) => {
          await expect(roundTrip(value, type)).rejects.toMatchObject({ code: "GenericFailure" });
          expect(await roundTrip(7, "int4")).toBe(7);
        }),
        { numRuns: 5 },
      );
    },
  );
});
