import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Databases, type SQLDatabase } from "./databases";
import { QueryArgs } from "./statements";
import { ensureDatabase } from "./migrate";
import { openClient } from "./sql-client";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";

/** Stands for the SDK's Decimal, which is known by this property. */
class Decimal {
  readonly __encore_decimal = true;
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

let server: TestPostgres;
let databases: Databases;
let db: SQLDatabase;

beforeAll(async () => {
  server = await startTestPostgres();
  const config = server.config("alpha");
  await ensureDatabase(config, "postgres");
  const sql = openClient(config, 1);
  await sql.unsafe(`
    create type mood as enum ('calm', 'cross');
    create table item (id text primary key, n int not null check (n >= 0), note text);
    insert into item (id, n) values ('one', 1), ('two', 2);`);
  await sql.end();
  databases = new Databases({} as never, server.infra(["alpha"]), (text) => new Decimal(text));
  db = databases.sqlDatabase("alpha");
});
afterAll(async () => {
  await databases.close();
  await server.stop();
});

async function rows(text: string, ...params: unknown[]): Promise<Record<string, unknown>[]> {
  const cursor = await db.query(text, new QueryArgs(params));
  const found = [];
  for (let row = await cursor.next(); row; row = await cursor.next()) found.push(row.values());
  return found;
}

const first = async (text: string, ...params: unknown[]): Promise<unknown> =>
  (await rows(text, ...params))[0]?.["v"];

describe("reading a column", () => {
  it.each<[string, unknown]>([
    ["1::int2", 1],
    ["1::int4", 1],
    ["1::oid", 1],
    ["count(*)", 1],
    ["9007199254740991::int8", 9007199254740991],
    ["9007199254740993::int8", 9007199254740993n],
    ["1.5::float4", 1.5],
    ["1.1::float8", 1.1],
    ["'NaN'::float8", null],
    ["'Infinity'::float8", null],
    ["12345678901234567890.1234567890::numeric", new Decimal("12345678901234567890.123456789")],
    ["'100.00'::numeric", new Decimal("100")],
    ["'100'::numeric", new Decimal("100")],
    ["true", true],
    ["null::int", null],
    ["'x'::text", "x"],
    ["''::text", ""],
    ["'x'::varchar(5)", "x"],
    ["'x'::name", "x"],
    ["'2026-01-02'::date", "2026-01-02"],
    ["'0044-03-15 BC'::date", "-0043-03-15"],
    ["'10000-01-01'::date", "+10000-01-01"],
    ["0.1::float4", 0.10000000149011612],
    ["'03:04:05'::time", "03:04:05"],
    ["'03:04:05.5'::time", "03:04:05.500"],
    ["'03:04:05.6789'::time", "03:04:05.678900"],
    ["'2026-01-02 03:04:05.678901'::timestamp", new Date("2026-01-02T03:04:05.678Z")],
    ["'2026-01-02 03:04:05.678901+02'::timestamptz", new Date("2026-01-02T01:04:05.678Z")],
    ["'0044-03-15 BC'::timestamp", new Date(Date.UTC(-43, 2, 15))],
    ["'7f0c1a2b-0000-4000-8000-000000000001'::uuid", "7f0c1a2b-0000-4000-8000-000000000001"],
    ["'192.0.2.0/24'::cidr", "192.0.2.0/24"],
    ["'192.0.2.1'::inet", "192.0.2.1"],
    [`'{"a":[1,null,1.5]}'::json`, { a: [1, null, 1.5] }],
    [`'{"b":1,"a":12345678901234567890}'::jsonb`, { b: 1, a: 12345678901234567890n }],
    [`'{"a":"\\"12345678901234567890"}'::jsonb`, { a: '"12345678901234567890' }],
    ["'null'::jsonb", null],
    [`'"s"'::jsonb`, "s"],
    ["'5'::jsonb", 5],
    ["array[1,2]::int[]", [1, 2]],
    ["array[1,9007199254740993]::int8[]", [1, 9007199254740993n]],
    ["array['a',null,'NULL','a,\"b\"\\c','']::text[]", ["a", null, "NULL", 'a,"b"\\c', ""]],
    ["'{}'::text[]", []],
    ["'[0:1]={1,2}'::int[]", [1, 2]],
    ["array[true,false]", [true, false]],
    [`array['{"a":1}']::jsonb[]`, [{ a: 1 }]],
    ["'calm'::mood", "calm"],
    ["array['calm']::mood[]", ["calm"]],
  ])("%s", async (expression, value) => {
    expect(await first(`select ${expression} as v`)).toEqual(value);
  });

  it("gives bytea as an ArrayBuffer", async () => {
    const value = await first("select '\\x0102ff'::bytea as v");
    expect(value).toBeInstanceOf(ArrayBuffer);
    expect([...new Uint8Array(value as ArrayBuffer)]).toEqual([1, 2, 255]);
  });

  it.each([
    "'x'::char(3)",
    `'x'::"char"`,
    "'infinity'::timestamptz",
    "'1 day'::interval",
    "array[['a'],['b']]::text[]",
    "array['7f0c1a2b-0000-4000-8000-000000000001']::uuid[]",
    "array['\\x01']::bytea[]",
    "row(1,'x')",
    "'08:00:2b:01:02:03'::macaddr",
    "'(1,2)'::point",
    "int4range(1,5)",
    "'$1.50'::money",
    "b'101'::bit(3)",
    "'<a/>'::xml",
    "'item'::regclass",
    "'a b'::tsvector",
    "null::interval",
  ])("refuses %s", async (expression) => {
    await expect(first(`select ${expression} as v`)).rejects.toThrow(/^unable to parse column v: /);
  });
});

const VALUES: Record<string, unknown> = {
  string: "héllo",
  int: 7,
  negative: -7,
  float: 1.5,
  large: 9007199254740991,
  uint32max: 4294967295,
  over32: 4294967296,
  now: 1700000000000,
  bigint: 12345678901234567n,
  true: true,
  null: null,
  date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
  buffer: Buffer.from("0102ff", "hex"),
  u8: new Uint8Array([1, 2, 255]),
  arrayBuffer: new Uint8Array([1, 2]).buffer,
  object: { a: [1, null, "x"], d: 1.5, u: undefined },
  strings: ["a", 'b"\\'],
  ints: [1, 2],
  empty: [],
  mixed: [1, "a", null],
  nan: NaN,
  decimal: new Decimal("12.3400"),
  uuid: "7f0c1a2b-0000-4000-8000-000000000001",
  rfc: "2026-01-02T03:04:05+02:00",
  day: "2026-01-02",
};

describe("a parameter", () => {
  it.each([
    ["string", "text", "héllo"],
    ["int", "int4", "7"],
    ["int", "int8", "7"],
    ["int", "int2", "7"],
    ["int", "float8", "7"],
    ["int", "numeric", "7"],
    ["int", "text", "7"],
    ["int", "jsonb", "7"],
    ["int", "oid", "7"],
    ["negative", "int8", "-7"],
    ["float", "float8", "1.5"],
    ["float", "text", "1.5"],
    ["large", "int8", "9007199254740991"],
    ["large", "text", "9007199254740991.0"],
    ["uint32max", "text", "4294967295"],
    ["over32", "int8", "4294967296"],
    ["over32", "text", "4294967296.0"],
    ["over32", "jsonb", "4294967296.0"],
    ["now", "text", "1700000000000.0"],
    ["bigint", "int8", "12345678901234567"],
    ["bigint", "numeric", "12345678901234567"],
    ["bigint", "jsonb", '"12345678901234567"'],
    ["true", "bool", "true"],
    ["true", "text", "true"],
    ["null", "int4", null],
    ["null", "text", null],
    ["null", "jsonb", "null"],
    ["null", "json", "null"],
    ["null", "text[]", null],
    ["date", "timestamptz", "2026-01-02 03:04:05.678+00"],
    ["date", "timestamp", "2026-01-02 03:04:05.678"],
    ["date", "date", "2026-01-02"],
    ["date", "text", "2026-01-02T03:04:05.678+00:00"],
    ["date", "jsonb", '"2026-01-02T03:04:05.678Z"'],
    ["string", "jsonb", '"héllo"'],
    ["string", "bytea", "\\x68c3a96c6c6f"],
    ["buffer", "bytea", "\\x0102ff"],
    ["u8", "bytea", "\\x0102ff"],
    ["object", "jsonb", '{"a": [1, null, "x"], "d": 1.5}'],
    ["object", "json", '{"a":[1,null,"x"],"d":1.5}'],
    ["strings", "text[]", '{a,"b\\"\\\\"}'],
    ["strings", "jsonb", '["a", "b\\"\\\\"]'],
    ["ints", "int8[]", "{1,2}"],
    ["ints", "text[]", "{1,2}"],
    ["empty", "text[]", "{}"],
    ["mixed", "jsonb", '[1, "a", null]'],
    ["mixed", "text[]", "{1,a,NULL}"],
    ["decimal", "numeric", "12.3400"],
    ["decimal", "jsonb", '"12.3400"'],
    ["uuid", "uuid", VALUES["uuid"]],
    ["rfc", "timestamptz", "2026-01-02 01:04:05+00"],
    ["day", "date", "2026-01-02"],
  ])("%s as %s", async (name, cast, expected) => {
    expect(await first(`select ($1::${cast})::text as v`, VALUES[name])).toBe(expected);
  });

  it("takes an array of uuids, though it cannot be read", async () => {
    expect(await first("select ($1::uuid[])::text[] as v", [VALUES["uuid"]])).toEqual([
      VALUES["uuid"],
    ]);
  });

  it.each([
    ["int", "bool", "db error: ERROR: incorrect binary data format in bind parameter 1"],
    ["float", "int4", "error serializing parameter 0: number 1.5 is not an i32"],
    ["uint32max", "int4", "error serializing parameter 0: out of range integral type conversion"],
    [
      "string",
      "int4",
      "error serializing parameter 0: string not supported for column of type int4",
    ],
    ["true", "int4", "error serializing parameter 0: bool not supported"],
    ["string", "timestamptz", "error serializing parameter 0: premature end of input"],
    ["string", "uuid", "error serializing parameter 0: unable to parse uuid"],
    ["strings", "uuid[]", "error serializing parameter 0: unable to parse uuid"],
    ["string", "inet", "error serializing parameter 0: unable to parse inet"],
    ["string", "mood", "db error: ERROR: invalid input value for enum mood"],
    ["string", "interval", "error serializing parameter 0: cannot convert between the Rust type"],
    ["buffer", "text", 'db error: ERROR: invalid byte sequence for encoding "UTF8": 0xff'],
    ["buffer", "jsonb", 'db error: ERROR: invalid byte sequence for encoding "UTF8": 0xff'],
    ["arrayBuffer", "bytea", "error serializing parameter 0: object not supported for column"],
    [
      "object",
      "text",
      "error serializing parameter 0: object not supported for column of type text",
    ],
    ["nan", "float8", "Failed to convert js number to serde_json::Number"],
    ["nan", "jsonb", "Failed to convert js number to serde_json::Number"],
  ])("%s as %s is refused", async (name, cast, message) => {
    const failing = first(`select ($1::${cast})::text as v`, VALUES[name]);
    await expect(failing).rejects.toThrow(message);
    // The connection is as good as before.
    expect(await first("select $1::int as v", 1)).toBe(1);
  });
});

const none = new QueryArgs([]);

describe("statements", () => {
  it.each<[string, RegExp]>([
    [
      "insert into item (id, n) values ('one', 1)",
      /duplicate key value[^]*E23505|E23505[^]*duplicate key value/,
    ],
    ["insert into item (id, n) values ('x', -1)", /violates check constraint/],
    ["insert into item (id) values ('x')", /violates not-null constraint/],
    ["selec 1", /^db error: ERROR: syntax error at or near "selec"/],
    ["select 1; select 2", /^db error: ERROR: cannot insert multiple commands into a prepared/],
    ["select * from nowhere", /^db error: ERROR: relation "nowhere" does not exist/],
  ])("%s fails as in Encore", async (text, message) => {
    await expect(rows(text)).rejects.toThrow(message);
    await expect(rows(text)).rejects.toMatchObject({ name: "Error", code: "GenericFailure" });
  });

  it("gives the last of columns with the same name, and names as they are", async () => {
    expect(await rows("select 1 as a, 2 as a")).toEqual([{ a: 2 }]);
    expect(await rows("select 1")).toEqual([{ "?column?": 1 }]);
    expect(await rows("select 1 as a where false")).toEqual([]);
  });

  it("is not disturbed by one that failed after some of its rows", async () => {
    for (let n = 0; n < 20; n++) {
      await expect(rows("select 1 / (5 - g) from generate_series(1, 9) g")).rejects.toThrow();
    }
    expect(await rows("select 1 as a")).toEqual([{ a: 1 }]);
  });

  it("runs more at once than there are connections", async () => {
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    const found = await Promise.all(numbers.map((n) => first("select $1::int as v", n)));
    expect(found).toEqual(numbers);
  });

  it("follows a table that changes under it", async () => {
    await rows("create table changing (v int)");
    await rows("insert into changing values ($1)", 1);
    await rows("alter table changing alter v type text using v::text");
    await expect(rows("insert into changing values ($1)", "a")).rejects.toThrow();
    await rows("insert into changing values ($1)", "a");
    expect(await rows("select * from changing")).toEqual([{ v: "1" }, { v: "a" }]);
    await rows("alter table changing add w int");
    expect((await rows("select * from changing where v = $1", "a"))[0]).toEqual({
      v: "a",
      w: null,
    });
  });

  it("fails only when it is used, where the process has no such database", async () => {
    const other = databases.sqlDatabase("other");
    expect(other.connString()).toMatch(/^postgresql:/);
    await expect(other.query("select 1", none)).rejects.toThrow(/not configured for use by this/);
  });
});

const countOf = async (id: string): Promise<unknown> =>
  first("select count(*) as v from item where id = $1", id);

describe("transactions", () => {
  it("commit, and roll back", async () => {
    const kept = await db.begin();
    await kept.query("insert into item (id, n) values ($1, 1)", new QueryArgs(["kept"]));
    expect(await countOf("kept")).toBe(0);
    await kept.commit();
    expect(await countOf("kept")).toBe(1);
    const dropped = await db.begin();
    await dropped.query("insert into item (id, n) values ($1, 1)", new QueryArgs(["dropped"]));
    await dropped.rollback();
    expect(await countOf("dropped")).toBe(0);
  });

  it("are closed after their end", async () => {
    const transaction = await db.begin();
    await transaction.commit();
    await expect(transaction.commit()).rejects.toThrow(/^transaction closed$/);
    await expect(transaction.query("select 1", none)).rejects.toThrow(/^transaction closed$/);
  });

  it("refuse everything after an error until they are rolled back", async () => {
    const transaction = await db.begin();
    await expect(transaction.query("select 1/0", none)).rejects.toThrow(/division by zero/);
    await expect(transaction.query("select 1", none)).rejects.toThrow(
      /^db error: ERROR: current transaction is aborted/,
    );
    await transaction.rollback();
  });

  it("fail when their connection is lost, and never run on another", async () => {
    const transaction = await db.begin();
    await transaction.query("insert into item (id, n) values ('lost', 1)", none);
    const row = await transaction.queryRow("select pg_backend_pid() as v", none);
    await rows("select pg_terminate_backend($1)::text as v", row?.values()["v"]);
    const insert = transaction.query("insert into item (id, n) values ('after', 1)", none);
    await expect(insert).rejects.toThrow(/terminat|communicating with the server/);
    await expect(transaction.commit()).rejects.toThrow();
    expect(await countOf("lost")).toBe(0);
    expect(await countOf("after")).toBe(0);
  });

  it("give their connection back: more than the pool has, one after the other", async () => {
    for (let n = 0; n < 25; n++) await (await db.begin()).rollback();
    const connection = await db.acquire();
    await connection.query("create temp table mine (n int)", none);
    await connection.query("select n from mine", none);
    await connection.close();
    await expect(connection.query("select 1", none)).rejects.toThrow(/connection closed/);
  });
});
