import { isBasic, type BasicName, type Type } from "./types";

/** Opens a name; what is not a name comes back as it is. */
export type Open = (type: Type) => Type;

/** Whether a value of `type` is one of `to`, as far as conditional and utility types ask. */
export function assignable(type: Type, to: Type, open: Open): boolean {
  const a = open(type);
  const b = open(to);
  if (b.kind === "union") return b.members.some((member) => assignable(a, member, open));
  if (a.kind === "union") return a.members.every((member) => assignable(member, b, open));
  if (isBasic(b, "any") || isBasic(b, "unknown") || isBasic(a, "any")) return true;
  if (a.kind === "literal") {
    return b.kind === "literal" ? a.value === b.value : isBasic(b, typeof a.value as BasicName);
  }
  if (a.kind === "basic") return isBasic(b, a.name);
  if (a.kind === "array") return b.kind === "array" && assignable(a.element, b.element, open);
  if (a.kind === "object" && b.kind === "object") {
    return b.fields.every((want) => {
      const has = a.fields.find(({ name }) => name === want.name);
      return has === undefined ? want.optional : assignable(has.type, want.type, open);
    });
  }
  return a.kind === "object" && isBasic(b, "object");
}
