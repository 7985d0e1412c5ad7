import type { ObjectSchema, Schema } from "../app-model";
import { isDuplicate } from "./json-body";
import { numberText } from "../json-text";
import { ruleFault } from "./payload-validate";

/** How values of a request are read. */
export interface DecodeContext {
  readonly types: Readonly<Record<string, Schema>>;
  /** Makes the SDK's own Decimal. */
  readonly decimal: (text: string) => unknown;
  /** Strings stand for numbers, booleans and lists: the query, headers, cookies and path. */
  readonly fromStrings: boolean;
}

/** A value that does not fit its schema. The path is what leads to it, `list[1].x`. */
export class DecodeError extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    // A union tries one form after the other: stacks that nobody sees would cost more than the decoding.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(path === "" ? reason : `${path}: ${reason}`);
    Error.stackTraceLimit = stackTraceLimit;
    this.path = path;
  }
}

/** @throws DecodeError in the words of Encore's decoder */
export function decodeValue(
  schema: Schema,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  switch (schema.kind) {
    case "array":
      return decodeArray(schema, value, path, context);
    case "record":
      return decodeRecord(schema, value, path, context);
    case "union":
      return decodeUnion(schema, value, path, context);
    case "named":
      return decodeValue(named(schema.type, context), value, path, context);
    case "object":
      if (!isObject(value)) return mismatch(schema, value, path, context);
      return decodeObject(schema, value, path, context);
    case "validated": {
      const decoded = decodeValue(schema.base, value, path, context);
      const fault = ruleFault(schema.rule, decoded);
      if (fault !== null) throw new DecodeError(path, fault);
      return decoded;
    }
    default:
      return decodeScalar(schema, value, path, context);
  }
}

type Scalar = Exclude<
  Schema,
  { kind: "array" | "record" | "union" | "named" | "object" | "validated" }
>;

function decodeScalar(
  schema: Scalar,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  switch (schema.kind) {
    case "any":
      return value;
    case "string":
      return typeof value === "string" ? value : mismatch(schema, value, path, context);
    case "number":
      return decodeNumber(schema, value, path, context);
    case "boolean":
      return decodeBoolean(schema, value, path, context);
    case "null":
      return decodeNull(schema, value, path, context);
    case "date":
      return decodeDate(schema, value, path, context);
    case "decimal":
    case "bigint":
      return decodeDecimal(schema, value, path, context);
    case "literal":
      return decodeLiteral(schema, value, path, context);
  }
}

/** Decodes the fields that the schema names; others are left out. */
function decodeObject(
  schema: ObjectSchema,
  value: Readonly<Record<string, unknown>>,
  path: string,
  context: DecodeContext,
): Record<string, unknown> {
  const byName = fieldsOf(schema);
  const result: Record<string, unknown> = {};
  // In the order of the input: the first field that fails gives the message.
  for (const name of Object.keys(value)) {
    const field = byName.get(name);
    if (field === undefined || value[name] === undefined) continue;
    if (isDuplicate(value, name)) throw new DecodeError(path, `duplicate field ${name}`);
    const inner = path === "" ? name : `${path}.${name}`;
    setField(result, field.name, decodeValue(field.schema, value[name], inner, context));
  }
  const missing = schema.fields
    .filter((field) => !field.optional && value[field.name] === undefined)
    .map((field) => field.name);
  if (missing.length > 0) throw new DecodeError(path, missingText(missing));
  return result;
}

type FieldsByName = ReadonlyMap<string, ObjectSchema["fields"][number]>;
const fieldMaps = new WeakMap<ObjectSchema, FieldsByName>();

function fieldsOf(schema: ObjectSchema): FieldsByName {
  let map = fieldMaps.get(schema);
  if (map === undefined) {
    map = new Map(schema.fields.map((field) => [field.name, field]));
    fieldMaps.set(schema, map);
  }
  return map;
}

/** Assignment to `__proto__` would change the object instead of giving it a field. */
export function setField(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true });
  } else target[name] = value;
}

/** `missing field n`, or, of several, their sorted list. */
export function missingText(names: readonly string[]): string {
  const sorted = [...names].sort().map((name) => `\`${name}\``);
  if (sorted.length === 1) return `missing field ${names[0]}`;
  const last = sorted.pop();
  const comma = sorted.length > 1 ? "," : "";
  return `missing fields ${sorted.join(", ")}${comma} and ${last}`;
}

type Of<K extends Schema["kind"]> = Extract<Schema, { kind: K }>;

const NUMBER_TEXT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function decodeNumber(schema: Schema, value: unknown, path: string, context: DecodeContext) {
  if (typeof value === "number" || typeof value === "bigint") {
    if (value === Infinity || value === -Infinity)
      throw new DecodeError(path, "number out of range");
    return value;
  }
  if (!context.fromStrings || typeof value !== "string") {
    return mismatch(schema, value, path, context);
  }
  if (NUMBER_TEXT.test(value) && Number.isFinite(Number(value))) return Number(value);
  throw new DecodeError(path, `expected a number, got ${value}`);
}

function decodeBoolean(schema: Schema, value: unknown, path: string, context: DecodeContext) {
  if (typeof value === "boolean") return value;
  if (!context.fromStrings || typeof value !== "string") {
    return mismatch(schema, value, path, context);
  }
  if (value === "true" || value === "false") return value === "true";
  throw new DecodeError(path, `expected a boolean, got ${value}`);
}

function decodeNull(schema: Schema, value: unknown, path: string, context: DecodeContext): null {
  if (value === null) return null;
  if (!context.fromStrings || typeof value !== "string") {
    return mismatch(schema, value, path, context);
  }
  if (value === "null") return null;
  throw new DecodeError(path, `expected null, got ${value}`);
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

function decodeDate(schema: Schema, value: unknown, path: string, context: DecodeContext): Date {
  if (typeof value !== "string") return mismatch(schema, value, path, context);
  const date = RFC3339.test(value) ? new Date(value.replace(" ", "T")) : null;
  if (date !== null && !Number.isNaN(date.getTime())) return date;
  const reason = date === null ? "premature end of input" : "input is out of range";
  throw new DecodeError(path, `invalid datetime: ${reason}`);
}

const DECIMAL_TEXT = /^[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function decodeDecimal(schema: Schema, value: unknown, path: string, context: DecodeContext) {
  if (typeof value !== "string") return mismatch(schema, value, path, context);
  if (!DECIMAL_TEXT.test(value)) throw new DecodeError(path, "invalid decimal: invalid digit");
  return context.decimal(value);
}

function decodeLiteral(
  schema: Of<"literal">,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  if (value === schema.value) return value;
  if (typeof value !== "string") return mismatch(schema, value, path, context);
  if (context.fromStrings && String(schema.value) === value) return schema.value;
  throw new DecodeError(path, `expected ${JSON.stringify(schema.value)}, got ${value}`);
}

function decodeArray(
  schema: Of<"array">,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  const items = context.fromStrings && typeof value === "string" ? [value] : value;
  if (!Array.isArray(items)) return mismatch(schema, value, path, context);
  // In the query an element's position is not part of the message.
  const at = (index: number): string => (context.fromStrings ? path : `${path}[${index}]`);
  return items.map((item, index) => decodeValue(schema.element, item, at(index), context));
}

function decodeRecord(
  schema: Of<"record">,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  if (!isObject(value)) return mismatch(schema, value, path, context);
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const inner = path === "" ? key : `${path}.${key}`;
    setField(result, key, decodeValue(schema.value, member, inner, context));
  }
  return result;
}

function decodeUnion(
  schema: Of<"union">,
  value: unknown,
  path: string,
  context: DecodeContext,
): unknown {
  for (const member of schema.members) {
    try {
      return decodeValue(member, value, path, context);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }
  return mismatch(schema, value, path, context);
}

function mismatch(schema: Schema, value: unknown, path: string, context: DecodeContext): never {
  const expected = expecting(schema, context);
  throw new DecodeError(path, `invalid type: ${describe(value)}, expected ${expected}`);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "Option value";
  if (Array.isArray(value)) return "sequence";
  switch (typeof value) {
    case "string":
      return `string ${JSON.stringify(value)}`;
    case "boolean":
      return `boolean \`${value}\``;
    case "bigint":
      return `integer \`${value}\``;
    case "number":
      return Number.isInteger(value)
        ? `integer \`${BigInt(value)}\``
        : `floating point \`${numberText(value)}\``;
    default:
      return "map";
  }
}

const EXPECTED: Partial<Record<Schema["kind"], string>> = {
  any: "any valid JSON value",
  null: "null",
  boolean: "a boolean",
  number: "a number",
  string: "a string",
  date: "a datetime string",
  decimal: "a decimal",
  bigint: "a decimal",
  array: "a JSON array",
  record: "a JSON object",
  object: "a JSON object",
};

function expecting(schema: Schema, context: DecodeContext): string {
  switch (schema.kind) {
    case "literal":
      return JSON.stringify(schema.value);
    case "validated":
      return expecting(schema.base, context);
    case "named":
      return expecting(named(schema.type, context), context);
    case "union": {
      const parts = schema.members.map((member) => expecting(member, context));
      const last = parts.pop();
      return `${parts.join(", ")}${parts.length > 1 ? "," : ""} or ${last}`;
    }
    default:
      return EXPECTED[schema.kind] ?? schema.kind;
  }
}

function named(type: string, context: DecodeContext): Schema {
  const schema = context.types[type];
  if (schema === undefined) throw new Error(`The model has no type "${type}"`);
  return schema;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
