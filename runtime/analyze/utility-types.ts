import { assignable, type Open } from "./assignable";
import { isBasic, NEVER, unionOf, type ObjectType, type Type } from "./types";

const OBJECT_UTILITIES = new Set(["Partial", "Required", "Readonly", "Pick", "Omit"]);
const OTHER_UTILITIES = new Set(["Record", "Exclude", "Extract", "NonNullable"]);

/** Whether the name is one of TypeScript's own types that Encore knows. */
export function isUtilityType(name: string): boolean {
  return OBJECT_UTILITIES.has(name) || OTHER_UTILITIES.has(name);
}

/** What TypeScript's own `Pick<…>`, `Partial<…>` and the like stand for. */
export function utilityType(name: string, args: readonly Type[], open: Open): Type {
  const [first = NEVER, second = NEVER] = args;
  switch (name) {
    case "Record":
      return recordOf(open(first), second);
    case "Exclude":
    case "Extract": {
      const keep = name === "Extract";
      return unionOf(membersOf(open(first)).filter((m) => assignable(m, second, open) === keep));
    }
    case "NonNullable":
      return dropNull(dropUndefined(open(first)));
  }
  const of = open(first);
  return of.kind === "object" ? objectUtility(name, of, open(second)) : of;
}

function objectUtility(name: string, of: ObjectType, keys: Type): Type {
  switch (name) {
    case "Partial":
      return { ...of, fields: of.fields.map((field) => ({ ...field, optional: true })) };
    case "Required": {
      const required = { optional: false };
      const fields = of.fields.map((f) => ({ ...f, ...required, type: dropUndefined(f.type) }));
      return { ...of, fields };
    }
    case "Pick":
    case "Omit": {
      const named = new Set(literalKeys(keys));
      const fields = of.fields.filter((field) => named.has(field.name) === (name === "Pick"));
      return { ...of, fields };
    }
    default:
      return of;
  }
}

function recordOf(key: Type, value: Type): Type {
  const literals = literalKeys(key);
  if (literals.length < membersOf(key).length || literals.length === 0) {
    return { kind: "object", fields: [], index: { key, value } };
  }
  const fields = literals.map((name) => ({ name, optional: false, type: value, at: null }));
  return { kind: "object", fields, index: null };
}

export function membersOf(type: Type): readonly Type[] {
  return type.kind === "union" ? type.members : [type];
}

function literalKeys(type: Type): string[] {
  return membersOf(type).flatMap((key) => (key.kind === "literal" ? [String(key.value)] : []));
}

export function dropUndefined(type: Type): Type {
  if (type.kind !== "union") return type;
  return unionOf(type.members.filter((member) => !isBasic(member, "undefined")));
}

function dropNull(type: Type): Type {
  if (type.kind !== "union") return type;
  return unionOf(type.members.filter((member) => !isBasic(member, "null")));
}
