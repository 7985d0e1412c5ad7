import { basic, isBasic, NEVER, unionOf, type Field, type ObjectType, type Type } from "./types";

/**
 * The intersection of two types that have been opened. Brands (`string & { … }`) come out as
 * unsupported, as in Encore.
 */
export function intersect(a: Type, b: Type): Type {
  if (isBasic(a, "unknown")) return b;
  if (isBasic(b, "unknown")) return a;
  if (isBasic(a, "never") || isBasic(b, "never")) return NEVER;
  if (a.kind === "rule" || b.kind === "rule") return withRule(a, b);
  if (isBasic(a, "any") || isBasic(b, "any")) return basic("any");
  if (a.kind === "union") return unionOf(a.members.map((member) => intersect(member, b)));
  if (b.kind === "union") return unionOf(b.members.map((member) => intersect(a, member)));
  return intersectParts(a, b) ?? intersectParts(b, a) ?? unsupportedIntersection(a, b);
}

/** Null when the kinds, in this order, have no common ground. */
function intersectParts(a: Type, b: Type): Type | null {
  switch (a.kind) {
    case "object":
      return b.kind === "object" ? mergeObjects(a, b) : null;
    case "basic":
      return b.kind === "basic" ? (a.name === b.name ? a : NEVER) : null;
    case "literal":
      if (b.kind === "literal") return a.value === b.value ? a : NEVER;
      return b.kind === "basic" ? (typeof a.value === b.name ? a : NEVER) : null;
    case "array":
      if (b.kind !== "array") return null;
      return { kind: "array", element: intersect(a.element, b.element) };
    case "validated": {
      const base = intersect(a.base, b);
      return base.kind === "unsupported" ? base : { kind: "validated", base, rule: a.rule };
    }
    default:
      return null;
  }
}

function unsupportedIntersection(a: Type, b: Type): Type {
  const kinds = `${a.kind} and ${b.kind}`;
  const message = `unresolved generic types are not supported in schemas, got an intersection of ${kinds}`;
  return { kind: "unsupported", message };
}

function withRule(a: Type, b: Type): Type {
  if (a.kind === "rule" && b.kind === "rule") {
    return { kind: "rule", rule: { rule: "and", rules: [...conjuncts(a), ...conjuncts(b)] } };
  }
  const [base, rule] = a.kind === "rule" ? [b, a] : [a, b];
  if (rule.kind !== "rule") return NEVER;
  if (base.kind !== "validated") return { kind: "validated", base, rule: rule.rule };
  const rules = [...conjuncts({ rule: base.rule }), ...conjuncts(rule)];
  return { kind: "validated", base: base.base, rule: { rule: "and", rules } };
}

function conjuncts({ rule }: Pick<Extract<Type, { kind: "rule" }>, "rule">) {
  return rule.rule === "and" ? rule.rules : [rule];
}

function mergeObjects(a: ObjectType, b: ObjectType): Type {
  const fields: Field[] = [...a.fields];
  for (const field of b.fields) {
    const at = fields.findIndex((known) => known.name === field.name);
    const known = fields[at];
    if (known === undefined) fields.push(field);
    else {
      const type = intersect(known.type, field.type);
      fields[at] = { ...known, type, optional: known.optional && field.optional };
    }
  }
  return { kind: "object", fields, index: a.index ?? b.index };
}
