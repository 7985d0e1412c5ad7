import { isBasic, membersOf, typeKey, type EnumMember, type Open, type Type } from "./types";

/** What the names of `infer` stand for; null when the type does not fit the pattern. */
export type Inferred = ReadonlyMap<string, Type>;

const NOTHING: Inferred = new Map();

/** Whether `type` fits the pattern of a conditional type, as far as Encore compares. */
export function extendsType(type: Type, pattern: Type, open: Open): Inferred | null {
  if (pattern.kind === "infer") return new Map([[pattern.name, type]]);
  if (isBasic(pattern, "any")) return NOTHING;
  if (isBasic(pattern, "never")) return null;
  if (type.kind === "named") return extendsType(open(type), pattern, open);
  if (pattern.kind === "named") return extendsType(type, open(pattern), open);
  if (type.kind === "validated") return extendsType(type.base, pattern, open);
  if (pattern.kind === "optional") {
    return isBasic(type, "undefined") ? NOTHING : extendsType(type, pattern.of, open);
  }
  if (type.kind === "literal" && pattern.kind === "basic") {
    return when(typeof type.value === pattern.name);
  }
  if (type.kind === "object") {
    return pattern.kind === "object" ? fieldsExtend(type.fields, pattern.fields, open) : null;
  }
  if (type.kind === "enum") return enumExtends(type.members, pattern, open);
  if (pattern.kind === "union") return unionExtends(type, pattern.members, open);
  return when(typeKey(type) === typeKey(pattern));
}

function when(fits: boolean): Inferred | null {
  return fits ? NOTHING : null;
}

interface Part {
  readonly name: string;
  readonly type: Type;
}

function fieldsExtend(has: readonly Part[], wants: readonly Part[], open: Open): Inferred | null {
  const inferred = new Map<string, Type>();
  for (const want of wants) {
    const field = has.find(({ name }) => name === want.name);
    const found = field === undefined ? null : extendsType(field.type, want.type, open);
    if (found === null) return null;
    for (const [name, type] of found) inferred.set(name, type);
  }
  return inferred;
}

function enumExtends(members: readonly EnumMember[], pattern: Type, open: Open): Inferred | null {
  const parts = members.map(({ name, value }) => ({
    name,
    type: { kind: "literal", value } as const,
  }));
  if (pattern.kind === "object") return fieldsExtend(parts, pattern.fields, open);
  if (pattern.kind !== "enum") return null;
  return when(
    pattern.members.every(({ name, value }) =>
      members.some((member) => member.name === name && member.value === value),
    ),
  );
}

/** Encore is content when one member of the type fits one of the pattern. */
function unionExtends(type: Type, patterns: readonly Type[], open: Open): Inferred | null {
  const found = membersOf(type).flatMap((member) =>
    patterns.map((pattern) => extendsType(member, pattern, open)),
  );
  const fits = found.filter((one) => one !== null);
  return fits.length === 0 ? null : new Map(fits.flatMap((one) => [...one]));
}
