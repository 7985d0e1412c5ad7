import { isIP } from "node:net";

import { isDecimal, jsonText, numberText } from "../json-text";
import type { SqlType } from "./sql-types";

/**
 * A JavaScript value as the text that Postgres reads for a parameter of type `type`, or null for
 * SQL's NULL. Accepts what Encore accepts for the type and refuses the rest, with Encore's words, so
 * that what fails in production fails here (contract B.9).
 */
export function parameterText(value: unknown, type: SqlType, index: number): string | null {
  try {
    return encode(value, type);
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof ServerRefusal) {
      throw failure(`db error: ERROR: ${message.replace("{n}", String(index + 1))}`);
    }
    const isNumberFault = message.startsWith("Failed to convert js number");
    throw failure(isNumberFault ? message : `error serializing parameter ${index}: ${message}`);
  }
}

/** What Postgres itself would answer, had the bytes been sent to it. */
class ServerRefusal extends Error {}

function failure(message: string): Error {
  return Object.assign(new Error(message), { code: "GenericFailure" });
}

const READABLE_SCALARS = new Set([
  "bool",
  "bytea",
  "cidr",
  "date",
  "float4",
  "float8",
  "inet",
  "int2",
  "int4",
  "int8",
  "json",
  "jsonb",
  "name",
  "numeric",
  "oid",
  "text",
  "time",
  "timestamp",
  "timestamptz",
  "uuid",
  "varchar",
  "vector",
]);

function encode(value: unknown, type: SqlType): string | null {
  if (typeof value === "number" && !Number.isFinite(value)) numberText(value);
  if (type.kind === "array") return encodeArray(value, type);
  if (type.kind === "enum") return encodeEnum(value, type);
  if (!READABLE_SCALARS.has(type.name)) {
    throw new Error(
      "cannot convert between the Rust type `encore_runtime_core::sqldb::val::RowValue` " +
        `and the Postgres type \`${type.name}\``,
    );
  }
  if (type.name === "json" || type.name === "jsonb") {
    return value instanceof Uint8Array ? utf8(value) : jsonText(value ?? null);
  }
  if (value === null || value === undefined) return null;
  return encodeScalar(value, type.name);
}

type Encoder = (value: unknown, name: string) => string;

const ENCODERS: Readonly<Record<string, Encoder>> = {
  bool: encodeBool,
  bytea: encodeBytes,
  float4: encodeFloat,
  float8: encodeFloat,
  int2: encodeInteger,
  int4: encodeInteger,
  int8: encodeInteger,
  name: encodeText,
  numeric: encodeNumeric,
  oid: encodeInteger,
  text: encodeText,
  varchar: encodeText,
  vector: (value) => (typeof value === "string" ? value : jsonText(value)),
};

function encodeScalar(value: unknown, name: string): string {
  return (ENCODERS[name] ?? encodeWord)(value, name);
}

function encodeFloat(value: unknown, name: string): string {
  return typeof value === "number" || isDecimal(value) ? String(value) : refuse(value, name);
}

function encodeArray(value: unknown, type: SqlType & { kind: "array" }): string | null {
  if (value === null || value === undefined) return null;
  if (!Array.isArray(value)) return refuse(value, type.name);
  return arrayLiteral(value.map((item) => encode(item, type.element)));
}

/** An array as Postgres reads it. */
export function arrayLiteral(items: readonly (string | number | null)[]): string {
  const quoted = items.map((item) =>
    item === null ? "NULL" : `"${String(item).replace(/["\\]/g, "\\$&")}"`,
  );
  return `{${quoted.join(",")}}`;
}

function encodeEnum(value: unknown, type: SqlType): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : refuse(value, type.name);
}

function encodeText(value: unknown, name: string): string {
  if (typeof value === "string") {
    if (value.includes("\0")) {
      throw new ServerRefusal('invalid byte sequence for encoding "UTF8": 0x00');
    }
    return value;
  }
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (value instanceof Date) return value.toISOString().replace("Z", "+00:00");
  if (value instanceof Uint8Array) return utf8(value);
  if (isDecimal(value)) return value.toString();
  return refuse(value, name);
}

function encodeBool(value: unknown, name: string): string {
  if (typeof value === "boolean") return value ? "t" : "f";
  if (typeof value === "number") {
    throw new ServerRefusal("incorrect binary data format in bind parameter {n}");
  }
  return refuse(value, name);
}

const INTEGER_RANGES: Readonly<Record<string, readonly [bigint, bigint, string]>> = {
  int2: [-(2n ** 15n), 2n ** 15n - 1n, "i16"],
  int4: [-(2n ** 31n), 2n ** 31n - 1n, "i32"],
  int8: [-(2n ** 63n), 2n ** 63n - 1n, "i64"],
  oid: [0n, 2n ** 32n - 1n, "u32"],
};

function encodeInteger(value: unknown, name: string): string {
  const [min, max, rust] = INTEGER_RANGES[name] as readonly [bigint, bigint, string];
  if (typeof value === "number" && !Number.isInteger(value)) {
    throw new Error(`number ${numberText(value)} is not an ${rust}`);
  }
  const isWhole = typeof value === "number" || typeof value === "bigint";
  if (!isWhole && !isDecimal(value)) return refuse(value, name);
  const text = String(value);
  if (!/^-?\d+(e\+\d+)?$/.test(text)) throw new Error(`number ${text} is not an ${rust}`);
  const exact = typeof value === "number" ? BigInt(value) : BigInt(text);
  if (exact < min || exact > max) {
    throw new Error("out of range integral type conversion attempted");
  }
  return exact.toString();
}

function encodeNumeric(value: unknown, name: string): string {
  const isNumber = typeof value === "number" || typeof value === "bigint";
  const text = isNumber || typeof value === "string" || isDecimal(value) ? String(value) : null;
  if (text === null) return refuse(value, name);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new Error("invalid decimal");
  return text;
}

function encodeBytes(value: unknown, name: string): string {
  if (value instanceof Uint8Array) {
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
  }
  if (typeof value === "string") return `\\x${Buffer.from(value).toString("hex")}`;
  return refuse(value, name);
}

/** Types whose values are words of a fixed form: dates, times, uuids, addresses. */
function encodeWord(value: unknown, name: string): string {
  if (value instanceof Date && !Number.isNaN(value.getTime())) {
    const { day, time, era } = isoParts(value);
    if (name === "date") return day + era;
    if (name === "timestamptz") return `${day}T${time}Z${era}`;
    if (name === "timestamp") return `${day}T${time}${era}`;
  }
  if (typeof value !== "string") return refuse(value, name);
  if (!isWord(value, name)) {
    const isNamed = name === "uuid" || name === "inet" || name === "cidr";
    throw new Error(isNamed ? `unable to parse ${name}` : "premature end of input");
  }
  return value;
}

/** ISO 8601 has signed years beyond 0 to 9999; Postgres wants them plain, and the era in words. */
function isoParts(value: Date): { day: string; time: string; era: string } {
  const [date = "", time = ""] = value.toISOString().slice(0, -1).split("T");
  const [, year = "", rest = ""] = /^([+-]?\d+)(-\d\d-\d\d)$/.exec(date) ?? [];
  const isBefore = Number(year) <= 0;
  const plain = String(isBefore ? 1 - Number(year) : Number(year)).padStart(4, "0");
  return { day: plain + rest, time, era: isBefore ? " BC" : "" };
}

const WORDS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4,}-\d\d-\d\d$/,
  time: /^\d\d:\d\d:\d\d(\.\d+)?$/,
  timestamp: /^\d{4,}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?$/,
  timestamptz: /^\d{4,}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  uuid: /^(\{|urn:uuid:)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$/i,
};

function isWord(value: string, name: string): boolean {
  if (name === "inet" || name === "cidr") {
    const [address = "", bits, ...more] = value.split("/");
    const limit = isIP(address) === 4 ? 32 : 128;
    const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= limit);
    return isIP(address) !== 0 && fits && more.length === 0;
  }
  return WORDS[name]?.test(value) ?? false;
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const bad = Buffer.from(bytes).findIndex((byte) => byte >= 0x80);
    const shown = (bytes[bad] ?? 0).toString(16).padStart(2, "0");
    throw new ServerRefusal(`invalid byte sequence for encoding "UTF8": 0x${shown}`);
  }
}

function refuse(value: unknown, name: string): never {
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw new Error(`${kind} not supported for column of type ${name}`);
}
