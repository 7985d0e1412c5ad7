import type { ValidationRule } from "../app-model";
import {
  basic,
  isBasic,
  membersOf,
  NEVER,
  unionOf,
  unsupported,
  type Field,
  type ObjectType,
  type Open,
  type Type,
} from "./types";

/**
 * The intersection of two types, by Encore's rules in Encore's order: a rule applies to the type as
 * it is written, so that one on a name never fits; a brand (`string & { … }`) is unsupported.
 */
export function intersect(a: Type, b: Type, open: Open): Type {
  if (isBasic(a, "unknown")) return b;
  if (isBasic(b, "unknown")) return a;
  if (isBasic(a, "any") || isBasic(b, "any")) return basic("any");
  if (isBasic(a, "never") || isBasic(b, "never")) return NEVER;
  if (a.kind === "basic" && b.kind === "basic") return a.name === b.name ? a : NEVER;
  if (a.kind === "union" && b.kind === "union") {
    return withoutNever(a.members.flatMap((x) => b.members.map((y) => intersect(x, y, open))));
  }
  if (a.kind === "union") return withEach(a, b, open);
  if (b.kind === "union") return withEach(b, a, open);
  return intersectPlain(a, b, open);
}

function withEach(union: Type, other: Type, open: Open): Type {
  return withoutNever(membersOf(union).map((member) => intersect(member, other, open)));
}

function withoutNever(types: readonly Type[]): Type {
  return unionOf(types.filter((type) => !isBasic(type, "never")));
}

function intersectPlain(a: Type, b: Type, open: Open): Type {
  const met = intersectLiteral(a, b) ?? intersectLiteral(b, a);
  if (met !== null) return met;
  if (a.kind === "array" && b.kind === "array") {
    return { kind: "array", element: intersect(a.element, b.element, open) };
  }
  if (a.kind === "optional") return withEach(a.of, b, open);
  if (b.kind === "optional") return withEach(b.of, a, open);
  const ruled = withRule(a, b);
  return ruled ?? intersectOpened(a, b, open);
}

function intersectOpened(a: Type, b: Type, open: Open): Type {
  if (a.kind === "unsupported") return a;
  if (b.kind === "unsupported") return b;
  if (a.kind === "named") return intersect(open(a), b, open);
  if (b.kind === "named") return intersect(a, open(b), open);
  if (a.kind === "object" && b.kind === "object") return mergeObjects(a, b, open);
  if (a.kind === "object" || b.kind === "object") return unsupportedIntersection(a, b);
  return NEVER;
}

/** Null unless a literal meets a literal or a basic type. */
function intersectLiteral(a: Type, b: Type): Type | null {
  if (a.kind !== "literal") return null;
  if (b.kind === "literal") return a.value === b.value ? a : NEVER;
  return b.kind === "basic" ? (typeof a.value === b.name ? a : NEVER) : null;
}

function unsupportedIntersection(a: Type, b: Type): Type {
  const kinds = [a, b].map((type) => (type.kind === "basic" ? type.name : type.kind));
  return unsupported(
    `an intersection of ${kinds.join(" and ")} has no schema, such as a branded string: ` +
      `write the plain type, and brand the value inside the service`,
  );
}

/** Null when neither is a rule. */
function withRule(a: Type, b: Type): Type | null {
  if (a.kind === "rule") {
    if (b.kind === "rule") return { kind: "rule", rule: both(a.rule, b.rule) };
    if (b.kind === "validated") return { ...b, rule: both(a.rule, b.rule) };
    return { kind: "validated", base: b, rule: a.rule };
  }
  if (b.kind !== "rule") return null;
  if (a.kind === "validated") return { ...a, rule: both(a.rule, b.rule) };
  return { kind: "validated", base: a, rule: b.rule };
}

function both(a: ValidationRule, b: ValidationRule): ValidationRule {
  const parts = (rule: ValidationRule) => (rule.rule === "and" ? rule.rules : [rule]);
  return { rule: "and", rules: [...parts(a), ...parts(b)] };
}

function mergeObjects(a: ObjectType, b: ObjectType, open: Open): Type {
  const fields: Field[] = a.fields.map((field) => {
    const other = b.fields.find(({ name }) => name === field.name);
    if (other === undefined) return field;
    const optional = field.optional && other.optional;
    return { ...field, optional, type: intersect(field.type, other.type, open) };
  });
  const known = new Set(fields.map(({ name }) => name));
  fields.push(...b.fields.filter(({ name }) => !known.has(name)));
  const index = a.index ?? b.index;
  if (index !== null && fields.length === 0) {
    return unsupported(
      "Encore drops an index signature that is extended or intersected: repeat it",
    );
  }
  return { kind: "object", fields, index };
}
