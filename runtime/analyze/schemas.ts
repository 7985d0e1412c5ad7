import type { FieldSchema, ObjectSchema, Schema, ValidationRule } from "../app-model";
import type { TypeResolver } from "./type-resolver";
import {
  basic,
  isBasic,
  namedKey,
  REPORTED,
  unionOf,
  type BasicName,
  type Field,
  type NamedType,
  type ObjectType,
  type Type,
  type WireType,
} from "./types";

/** A type that cannot travel; the message says why, the caller knows where. */
export class SchemaError extends Error {}

type SimpleKind = "string" | "number" | "boolean" | "bigint" | "decimal" | "date" | "any" | "null";

const BASIC_SCHEMAS: Partial<Record<BasicName, SimpleKind>> = {
  any: "any",
  unknown: "any",
  string: "string",
  number: "number",
  boolean: "boolean",
  bigint: "bigint",
  decimal: "decimal",
  date: "date",
  null: "null",
};

/** Turns resolved types into the schemas of the wire; named types go into `types`. */
export class SchemaBuilder {
  readonly types: Record<string, Schema> = {};
  readonly #resolver: TypeResolver;
  /** Generic types whose schema is being built: one inside itself would have no end. */
  readonly #building = new Set<string>();

  constructor(resolver: TypeResolver) {
    this.#resolver = resolver;
  }

  /**
   * The schema of a request or response, which must be an interface. Null when it is void or has no
   * fields.
   *
   * @throws SchemaError when it is something else
   */
  root(type: Type, role: "request" | "response"): ObjectSchema | null {
    const unwrapped = role === "response" && type.kind === "promise" ? type.of : type;
    if (isBasic(unwrapped, "void")) return null;
    // The fault is known already.
    if (unwrapped === REPORTED) return null;
    const open = this.#resolver.underlying(unwrapped);
    if (open === REPORTED) return null;
    if (open.kind === "unsupported") throw new SchemaError(open.message);
    if (open.kind !== "object") {
      throw new SchemaError(
        `expected an interface or void, found ${nameOf(open)}: wrap it in a field`,
      );
    }
    if (open.index !== null) {
      throw new SchemaError("an index signature cannot stand at the top: wrap it in a field");
    }
    if (open.fields.length === 0) return null;
    const schema = this.#object(open);
    if (unwrapped.kind !== "named") return schema;
    // What an answer's generic type stands for has no name.
    const hasName = role === "request" || !this.#resolver.isGeneric(unwrapped);
    return hasName ? { ...schema, typeName: unwrapped.name } : schema;
  }

  schema(type: Type): Schema {
    switch (type.kind) {
      case "basic":
        return { kind: basicKind(type.name) };
      case "literal":
        return { kind: "literal", value: type.value };
      case "array":
        return { kind: "array", element: this.schema(type.element) };
      case "union":
        return { kind: "union", members: type.members.map((member) => this.schema(member)) };
      case "enum": {
        const members = type.members.map(({ value }) => ({ kind: "literal", value }) as const);
        return { kind: "union", members };
      }
      case "object":
        return this.#objectOrRecord(type);
      case "named":
        return this.#named(type);
      case "wire":
        return this.schema(type.base);
      case "validated":
        return this.#validated(type.base, simplifyRule(type.rule), type.rule);
      case "optional":
        throw new SchemaError(
          "the type of an optional field has no schema: add Exclude<…, undefined> or write it out",
        );
      case "promise":
        throw new SchemaError("a promise has no schema: write what it resolves to");
      case "rule":
        throw new SchemaError("a validation rule needs a type to apply to: write string & …");
      case "infer":
        throw new SchemaError(`infer ${type.name} is known only in a conditional type`);
      case "unsupported":
        throw new SchemaError(type.message);
    }
  }

  #named(type: NamedType): Schema {
    const key = namedKey(type);
    if (this.#resolver.isGeneric(type)) return this.#generic(type, key);
    if (!Object.hasOwn(this.types, key)) {
      // Known before it is complete, so that a recursive type ends here.
      this.types[key] = { kind: "any" };
      this.types[key] = this.schema(this.#resolver.declared(type));
    }
    return { kind: "named", type: key };
  }

  /** A generic type stands for its fields where it is used; only plain names are shared. */
  #generic(type: NamedType, key: string): Schema {
    if (this.#building.has(key)) {
      throw new SchemaError(
        `generic type ${type.name} contains itself, which Encore cannot read: write it without type parameters`,
      );
    }
    this.#building.add(key);
    try {
      return this.schema(this.#resolver.underlying(type));
    } finally {
      this.#building.delete(key);
    }
  }

  #objectOrRecord(type: ObjectType): Schema {
    if (type.index === null) return this.#object(type);
    if (type.fields.length > 0) {
      throw new SchemaError("an index signature cannot stand beside fields: put it in a field");
    }
    return { kind: "record", value: this.schema(type.index.value) };
  }

  #object(type: ObjectType): ObjectSchema {
    return { kind: "object", fields: type.fields.map((field) => this.#field(field)) };
  }

  #field(field: Field): FieldSchema {
    const { type, hadUndefined } = splitUndefined(field.type);
    const wire = wireOf(type);
    return {
      name: field.name,
      optional: field.optional || hadUndefined,
      schema:
        type.kind === "validated"
          ? this.#validated(type.base, type.rule, type.rule)
          : this.schema(type),
      location: wire === null || wire.location === "attribute" ? "auto" : wire.location,
      wireName: wire?.name ?? field.name,
    };
  }

  #validated(base: Type, rule: ValidationRule, written: ValidationRule): Schema {
    checkRule(written, base.kind === "wire" ? base.base : base);
    return { kind: "validated", base: this.schema(base), rule };
  }
}

function nameOf(type: Type): string {
  return type.kind === "basic" ? type.name : type.kind;
}

/** The wire location that a field's declared type asks for. */
export function wireOf(type: Type): WireType | null {
  if (type.kind === "wire") return type;
  if (type.kind === "validated") return wireOf(type.base);
  return null;
}

function basicKind(name: BasicName): SimpleKind {
  const kind = BASIC_SCHEMAS[name];
  if (kind === undefined) {
    throw new SchemaError(`type ${name} has no schema: expected a type that JSON can carry`);
  }
  return kind;
}

function splitUndefined(type: Type): { type: Type; hadUndefined: boolean } {
  if (type.kind !== "union") return { type, hadUndefined: false };
  const rest = type.members.filter((member) => !isBasic(member, "undefined"));
  if (rest.length === type.members.length) return { type, hadUndefined: false };
  return { type: rest.length === 0 ? basic("undefined") : unionOf(rest), hadUndefined: true };
}

const RULE_NAMES: Readonly<Record<string, string>> = {
  min: "Min",
  max: "Max",
  minLen: "MinLen",
  maxLen: "MaxLen",
  matchesRegexp: "MatchesRegexp",
  startsWith: "StartsWith",
  endsWith: "EndsWith",
  isEmail: "IsEmail",
  isURL: "IsURL",
};

function checkRule(rule: ValidationRule, type: Type): void {
  if (rule.rule === "and" || rule.rule === "or") {
    for (const part of rule.rules) checkRule(part, type);
    return;
  }
  if (ruleFits(rule.rule, type)) return;
  const name = RULE_NAMES[rule.rule] ?? rule.rule;
  const shown = "value" in rule ? `${name}<${JSON.stringify(rule.value)}>` : name;
  const kind = type.kind === "basic" || type.kind === "named" ? type.name : type.kind;
  throw new SchemaError(`${shown} cannot be applied to ${kind}: ${expectedBy(rule.rule)}`);
}

function expectedBy(rule: string): string {
  if (rule === "min" || rule === "max") return "expected number";
  const lists = rule === "minLen" || rule === "maxLen";
  return lists ? "expected string or an array, not a name for one" : "expected string";
}

function ruleFits(rule: string, type: Type): boolean {
  if (rule === "min" || rule === "max") return isBasic(type, "number") || isBasic(type, "decimal");
  if (isBasic(type, "string")) return true;
  return (rule === "minLen" || rule === "maxLen") && type.kind === "array";
}

/** Two bounds of one kind are one bound: the tighter under "and", the looser under "or". */
function simplifyRule(rule: ValidationRule): ValidationRule {
  if (rule.rule !== "and" && rule.rule !== "or") return rule;
  const kept: ValidationRule[] = [];
  for (const part of rule.rules) {
    const at = kept.findIndex((known) => isBound(known) && known.rule === part.rule);
    const known = kept[at];
    if (known === undefined || !isBound(known) || !isBound(part)) kept.push(part);
    else kept[at] = { rule: known.rule, value: mergeBounds(known, part, rule.rule === "and") };
  }
  return kept.length === 1 ? (kept[0] as ValidationRule) : { rule: rule.rule, rules: kept };
}

type Bound = Extract<ValidationRule, { value: number }>;

function isBound(rule: ValidationRule): rule is Bound {
  return "value" in rule && typeof rule.value === "number";
}

function mergeBounds(a: Bound, b: Bound, both: boolean): number {
  const isLower = a.rule === "min" || a.rule === "minLen";
  return isLower === both ? Math.max(a.value, b.value) : Math.min(a.value, b.value);
}
