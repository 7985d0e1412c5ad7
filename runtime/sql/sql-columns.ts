import { parseJson } from "../json-text";
import type { SqlType } from "./sql-types";

/** Makes the SDK's own Decimal, so that `instanceof` holds in the program. */
export type MakeDecimal = (text: string) => unknown;

/**
 * A column's text as the JavaScript value that Encore gives for its type (contract B.9). Throws for
 * types that Encore cannot read, such as uuid[] or interval: cast them in SQL.
 */
export function columnValue(
  text: string | null,
  type: SqlType,
  column: string,
  makeDecimal: MakeDecimal,
): unknown {
  try {
    if (type.kind === "array") return readArray(text, type, makeDecimal);
    return readScalar(text, type, makeDecimal);
  } catch (error) {
    const message = `unable to parse column ${column}: Error { kind: FromSql, cause: ${(error as Error).message} }`;
    throw Object.assign(new Error(message), { code: "GenericFailure" });
  }
}

const UNREADABLE_ELEMENTS = new Set(["uuid", "bytea", "inet", "cidr", "time"]);

function readScalar(text: string | null, type: SqlType, makeDecimal: MakeDecimal): unknown {
  if (type.kind === "enum") return text;
  const read = READERS[type.name];
  if (!read) throw new Error(`the type ${type.name} cannot be read: cast it, as in ::text`);
  return text === null ? null : read(text, makeDecimal);
}

type Reader = (text: string, makeDecimal: MakeDecimal) => unknown;

const asText: Reader = (text) => text;

const READERS: Readonly<Record<string, Reader>> = {
  bool: (text) => text === "t",
  bytea: readBytes,
  cidr: asText,
  date: readDate,
  // Read into 32 bits and widened, so that 0.1 is 0.10000000149011612.
  float4: (text) => readFloat(String(Math.fround(Number(text)))),
  float8: readFloat,
  inet: asText,
  int2: Number,
  int4: Number,
  int8: readInt8,
  json: parseJson,
  jsonb: parseJson,
  name: asText,
  numeric: readNumeric,
  oid: Number,
  text: asText,
  time: readTime,
  timestamp: (text) => readTimestamp(text, "+00"),
  timestamptz: (text) => readTimestamp(text, ""),
  uuid: asText,
  varchar: asText,
};

function readBytes(text: string): ArrayBuffer {
  if (!text.startsWith("\\x")) throw new Error("bytea_output must be hex");
  const bytes = Buffer.from(text.slice(2), "hex");
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return copy;
}

/** ISO 8601, with a sign before years that have not four digits. */
function readDate(text: string): string {
  const [, digits = "", rest = "", isBefore] = /^(\d+)(-\d\d-\d\d)( BC)?$/.exec(text) ?? [];
  if (rest === "") throw new Error("an infinite date has no value");
  const year = isBefore ? 1 - Number(digits) : Number(digits);
  const sign = year < 0 ? "-" : year > 9_999 ? "+" : "";
  return sign + String(Math.abs(year)).padStart(4, "0") + rest;
}

/** Encore prints fractions of a second in groups of three digits. */
function readTime(text: string): string {
  const [seconds = "", fraction] = text.split(".");
  if (fraction === undefined) return text;
  return `${seconds}.${fraction.padEnd(fraction.length > 3 ? 6 : 3, "0")}`;
}

function readFloat(text: string): number | null {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

/** Encore holds a numeric as a fraction, which has no trailing zeros. */
function readNumeric(text: string, makeDecimal: MakeDecimal): unknown {
  return makeDecimal(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}

function readInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** Postgres's ISO form: `2026-01-02 03:04:05.678901+05:30`; microseconds are cut to milliseconds. */
const TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-]\d\d(?::\d\d){0,2})?( BC)?$/;

function readTimestamp(text: string, zone: string): Date {
  const match = TIMESTAMP.exec(text.replace(/( BC)?$/, `${zone}$1`));
  if (!match) throw new Error(`"${text}" is no time that a Date can hold`);
  const [, year, month, day, hour, minute, second, fraction = "", offset = "+00", bc] = match;
  const date = new Date(0);
  date.setUTCFullYear(bc ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
  const millis = Number(fraction.padEnd(3, "0").slice(0, 3));
  date.setUTCHours(Number(hour), Number(minute), Number(second), millis);
  return new Date(date.getTime() - offsetMs(offset));
}

function offsetMs(offset: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(":").map(Number);
  const total = ((hours * 60 + minutes) * 60 + seconds) * 1000;
  return offset.startsWith("-") ? -total : total;
}

function readArray(
  text: string | null,
  type: SqlType & { kind: "array" },
  makeDecimal: MakeDecimal,
): unknown {
  const { element } = type;
  if (element.kind === "array" || UNREADABLE_ELEMENTS.has(element.name)) {
    throw new Error(`the type ${type.name} cannot be read: cast it, as in ::text[]`);
  }
  if (text === null) return null;
  return splitArray(text).map((item) => readScalar(item, element, makeDecimal));
}

/** The elements of a one-dimensional array literal; null for an unquoted NULL. */
export function splitArray(text: string): (string | null)[] {
  const body = text.replace(/^\[[^\]]*\]=/, "");
  const items: (string | null)[] = [];
  let at = 1;
  while (at < body.length && body[at] !== "}") {
    if (body[at] === "{") throw new Error("an array of several dimensions cannot be read");
    const item = body[at] === '"' ? quotedItem(body, at) : plainItem(body, at);
    items.push(item.value);
    at = item.end + (body[item.end] === "," ? 1 : 0);
  }
  return items;
}

function quotedItem(body: string, start: number): { value: string; end: number } {
  let value = "";
  let at = start + 1;
  for (; body[at] !== '"'; at++) {
    if (body[at] === "\\") at++;
    value += body[at];
  }
  return { value, end: at + 1 };
}

function plainItem(body: string, start: number): { value: string | null; end: number } {
  let end = start;
  while (body[end] !== "," && body[end] !== "}") end++;
  const value = body.slice(start, end);
  return { value: value === "NULL" ? null : value, end };
}
