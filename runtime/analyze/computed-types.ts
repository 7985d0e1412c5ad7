import {
  basic,
  isBasic,
  membersOf,
  NEVER,
  type Field,
  type ObjectType,
  type Open,
  type Type,
} from "./types";

const EMPTY_UNION: Type = { kind: "union", members: [] };

/** `keyof T`. */
export function keysOf(type: Type, open: Open): Type {
  const of = open(type);
  switch (of.kind) {
    case "object":
    case "enum":
      return namesOf(of.kind === "object" ? of.fields : of.members);
    case "union":
      return { kind: "union", members: of.members.map((member) => keysOf(member, open)) };
    case "optional":
      return keysOf(of.of, open);
    case "validated":
    case "wire":
      return keysOf(of.base, open);
    case "array":
    case "literal":
      return EMPTY_UNION;
    default:
      return isBasic(of, "any")
        ? { kind: "union", members: [basic("string"), basic("number"), basic("symbol")] }
        : NEVER;
  }
}

function namesOf(parts: readonly { readonly name: string }[]): Type {
  const members = parts.map(({ name }) => ({ kind: "literal", value: name }) as const);
  return { kind: "union", members };
}

/** `T[K]`; a text says why Encore does not know it. */
export function indexedType(object: Type, index: Type, open: Open): Type | string {
  const of = open(object);
  const key = open(index);
  if (of.kind === "validated") {
    const base = indexedType(of.base, key, open);
    return typeof base === "string" ? base : { ...of, base };
  }
  if (of.kind !== "object") return `cannot index ${describe(of)}: Encore indexes object types only`;
  if (key.kind === "union") return pickedTypes(of, key.members);
  if (key.kind === "literal" && typeof key.value === "string") {
    const field = of.fields.find(({ name }) => name === key.value);
    if (field === undefined) return NEVER;
    return field.optional ? { kind: "optional", of: field.type } : field.type;
  }
  if (isBasic(key, "string") || isBasic(key, "number")) return of.index?.value ?? NEVER;
  return `cannot index by ${describe(key)}: Encore knows names of fields, string and number`;
}

function pickedTypes({ fields }: ObjectType, keys: readonly Type[]): Type | string {
  const members: Type[] = [];
  for (const key of keys) {
    if (key.kind !== "literal" || typeof key.value !== "string") {
      return `cannot index by a union with ${describe(key)}: Encore knows only names of fields there`;
    }
    const field = fields.find(({ name }) => name === key.value);
    if (field !== undefined) members.push(field.type);
  }
  return { kind: "union", members };
}

function describe(type: Type): string {
  return type.kind === "basic" ? type.name : `${type.kind === "object" ? "an" : "a"} ${type.kind}`;
}

/** The parts of `{ [K in keys as name]: value }`. */
export interface Mapping {
  readonly keys: Type;
  readonly value: (key: Type) => Type;
  /** The `as` clause. */
  readonly name: (key: Type) => Type;
  /** What `?` or `-?` makes of every field; null when neither is written. */
  readonly optional: boolean | null;
}

/** A mapped type; a text says which key Encore does not know. */
export function mappedType(mapping: Mapping, open: Open): Type | string {
  const { keys, value, name, optional } = mapping;
  const fields: Field[] = [];
  let index: ObjectType["index"] = null;
  for (const key of membersOf(open(keys))) {
    const type = value(key);
    const named = open(name(key));
    if (isBasic(type, "never") || isBasic(named, "never")) continue;
    if (named.kind === "unsupported") return named.message;
    if (named.kind === "basic" && ["string", "number", "symbol"].includes(named.name)) {
      index = { key: named, value: type };
    } else if (named.kind === "literal" && typeof named.value === "string") {
      const of = type.kind === "optional" ? type.of : type;
      const isOptional = optional ?? type.kind === "optional";
      fields.push({ name: named.value, type: of, optional: isOptional, at: null });
    } else return `cannot map over ${describe(named)}: Encore maps over names and string only`;
  }
  return { kind: "object", fields, index: withOptional(index, optional) };
}

function withOptional(index: ObjectType["index"], optional: boolean | null): ObjectType["index"] {
  if (index === null || optional === null) return index;
  const { key, value } = index;
  const of = value.kind === "optional" ? value.of : value;
  return { key, value: optional ? { kind: "optional", of } : of };
}
