import type { SourcePosition, ValidationRule } from "../app-model";
import type { Module } from "./modules";

export type BasicName =
  | "any"
  | "unknown"
  | "string"
  | "boolean"
  | "number"
  | "bigint"
  | "date"
  | "decimal"
  | "null"
  | "undefined"
  | "void"
  | "object"
  | "symbol"
  | "never";

export type WireLocation = "header" | "query" | "cookie" | "status" | "attribute";

/** A type as the source wrote it, resolved as far as a schema needs. */
export type Type =
  | { readonly kind: "basic"; readonly name: BasicName }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "array"; readonly element: Type }
  | { readonly kind: "union"; readonly members: readonly Type[] }
  | ObjectType
  | { readonly kind: "enum"; readonly members: readonly EnumMember[] }
  | NamedType
  | { readonly kind: "promise"; readonly of: Type }
  | WireType
  | { readonly kind: "rule"; readonly rule: ValidationRule }
  | { readonly kind: "validated"; readonly base: Type; readonly rule: ValidationRule }
  /** Understood, but not allowed in a schema; the message is for the schema that uses it. */
  | { readonly kind: "unsupported"; readonly message: string };

export interface ObjectType {
  readonly kind: "object";
  readonly fields: readonly Field[];
  readonly index: { readonly key: Type; readonly value: Type } | null;
}

export interface Field {
  readonly name: string;
  readonly optional: boolean;
  readonly type: Type;
  /** Null for a field that a utility type made. */
  readonly at: SourcePosition | null;
}

export interface EnumMember {
  readonly name: string;
  readonly value: string | number;
}

/** A reference to a declaration. It is opened only when asked for, so that types may recur. */
export interface NamedType {
  readonly kind: "named";
  readonly name: string;
  /** Null for one of TypeScript's own utility types. */
  readonly module: Module | null;
  readonly args: readonly Type[];
}

export interface WireType {
  readonly kind: "wire";
  readonly location: WireLocation;
  readonly name: string | null;
  readonly base: Type;
}

export function basic(name: BasicName): Type {
  return { kind: "basic", name };
}

export const NEVER = basic("never");

/** Flattens nested unions and drops duplicates; a union of rules is an "or" of them. */
export function unionOf(types: readonly Type[]): Type {
  const flat = types.flatMap((type) => (type.kind === "union" ? type.members : [type]));
  const members: Type[] = [];
  for (const type of flat) {
    if (isBasic(type, "never")) continue;
    if (!members.some((member) => sameType(member, type))) members.push(type);
  }
  if (members.length === 0) return NEVER;
  if (members.length === 1) return members[0] as Type;
  const rules = members.flatMap((member) => (member.kind === "rule" ? [member.rule] : []));
  if (rules.length === members.length) return { kind: "rule", rule: { rule: "or", rules } };
  return { kind: "union", members };
}

export function isBasic(type: Type, name: BasicName): boolean {
  return type.kind === "basic" && type.name === name;
}

/** Only as exact as dropping duplicates from unions asks. */
export function sameType(a: Type, b: Type): boolean {
  if (a === b) return true;
  if (a.kind === "basic" && b.kind === "basic") return a.name === b.name;
  if (a.kind === "literal" && b.kind === "literal") return a.value === b.value;
  if (a.kind === "named" && b.kind === "named") {
    return a.name === b.name && a.module === b.module && a.args.length + b.args.length === 0;
  }
  return false;
}

/** A text that is the same for the same arguments of a generic type. */
export function typeKey(type: Type): string {
  switch (type.kind) {
    case "basic":
      return type.name;
    case "literal":
      return JSON.stringify(type.value);
    case "array":
      return `${typeKey(type.element)}[]`;
    case "union":
      return `(${type.members.map(typeKey).join("|")})`;
    case "object":
      return `{${type.fields.map((f) => `${f.name}${f.optional ? "?" : ""}:${typeKey(f.type)}`)}}`;
    case "enum":
      return `enum(${type.members.map((member) => member.value)})`;
    case "named":
      return namedKey(type);
    case "promise":
      return `Promise<${typeKey(type.of)}>`;
    case "wire":
      return `${type.location}(${type.name ?? ""}:${typeKey(type.base)})`;
    case "rule":
      return JSON.stringify(type.rule);
    case "validated":
      return `${typeKey(type.base)}&${JSON.stringify(type.rule)}`;
    case "unsupported":
      return `!${type.message}`;
  }
}

export function namedKey(type: NamedType): string {
  const args = type.args.length === 0 ? "" : `<${type.args.map(typeKey).join(",")}>`;
  return `${type.module?.path ?? ""}#${type.name}${args}`;
}
