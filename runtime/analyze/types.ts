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
  | LiteralType
  | { readonly kind: "array"; readonly element: Type }
  | { readonly kind: "union"; readonly members: readonly Type[] }
  /** What `T["field"]` gives for an optional field; only a mapped type makes a field of it again. */
  | { readonly kind: "optional"; readonly of: Type }
  | ObjectType
  | { readonly kind: "enum"; readonly members: readonly EnumMember[] }
  | NamedType
  | { readonly kind: "promise"; readonly of: Type }
  | WireType
  | { readonly kind: "rule"; readonly rule: ValidationRule }
  | { readonly kind: "validated"; readonly base: Type; readonly rule: ValidationRule }
  /** The name that a pattern binds, `infer T`. */
  | { readonly kind: "infer"; readonly name: string }
  /** Understood, but not allowed in a schema; the message is for the schema that uses it. */
  | { readonly kind: "unsupported"; readonly message: string };

export interface LiteralType {
  readonly kind: "literal";
  readonly value: string | number | boolean;
}

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
  readonly module: Module;
  readonly args: readonly Type[];
}

export interface WireType {
  readonly kind: "wire";
  readonly location: WireLocation;
  readonly name: string | null;
  readonly base: Type;
}

/** Where a type is written, and what its type parameters stand for there. */
export interface Place {
  readonly module: Module;
  readonly bindings: ReadonlyMap<string, Type>;
}

/** Opens a name; what is not a name comes back as it is. */
export type Open = (type: Type) => Type;

export function basic(name: BasicName): Type {
  return { kind: "basic", name };
}

export function unsupported(message: string): Type {
  return { kind: "unsupported", message };
}

export const NEVER = basic("never");

/** What a fault leaves behind: a type that raises no second one. */
export const REPORTED: Type = { kind: "basic", name: "any" };

/** The union of types as Encore simplifies it: `"a" | string` is `string`; rules become an "or". */
export function unionOf(types: readonly Type[]): Type {
  const members: Type[] = [];
  for (const type of types) {
    if (isBasic(type, "never")) continue;
    const at = members.findIndex((member) => merge(member, type) !== null);
    const merged = at < 0 ? null : merge(members[at] as Type, type);
    if (merged === null) members.push(type);
    else members[at] = merged;
  }
  if (members.length === 0) return NEVER;
  return members.length === 1 ? (members[0] as Type) : { kind: "union", members };
}

/** One type for two members of a union; null when they stay two. */
function merge(a: Type, b: Type): Type | null {
  if (isBasic(a, "any") || isBasic(b, "any")) return basic("any");
  if (a.kind === b.kind && a.kind !== "rule") return typeKey(a) === typeKey(b) ? a : null;
  return absorb(a, b) ?? absorb(b, a);
}

/** A basic type takes its literals in, and what is validated another rule. */
function absorb(a: Type, b: Type): Type | null {
  if (a.kind === "basic" && b.kind === "literal") return typeof b.value === a.name ? a : null;
  const ruled = a.kind === "rule" || a.kind === "validated";
  return ruled && b.kind === "rule" ? { ...a, rule: either(a.rule, b.rule) } : null;
}

function either(a: ValidationRule, b: ValidationRule): ValidationRule {
  const parts = (rule: ValidationRule) => (rule.rule === "or" ? rule.rules : [rule]);
  return { rule: "or", rules: [...parts(a), ...parts(b)] };
}

/** The members of a union, of unions within it too. */
export function membersOf(type: Type): readonly Type[] {
  if (type.kind === "union") return type.members.flatMap(membersOf);
  if (type.kind === "optional") return [...membersOf(type.of), basic("undefined")];
  return type.kind === "validated" ? membersOf(type.base) : [type];
}

export function isBasic(type: Type, name: BasicName): boolean {
  return type.kind === "basic" && type.name === name;
}

/** The same text for the same type. */
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
    case "optional":
      return `${typeKey(type.of)}?`;
    case "object":
      return objectKey(type);
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
    case "infer":
      return `infer ${type.name}`;
    case "unsupported":
      return `!${type.message}`;
  }
}

function objectKey({ fields, index }: ObjectType): string {
  const shown = fields.map((f) => `${f.name}${f.optional ? "?" : ""}:${typeKey(f.type)}`);
  return `{${shown.join(",")}${index === null ? "" : `[${typeKey(index.key)}]:${typeKey(index.value)}`}}`;
}

export function namedKey(type: NamedType): string {
  const args = type.args.length === 0 ? "" : `<${type.args.map(typeKey).join(",")}>`;
  return `${type.module.path}#${type.name}${args}`;
}
