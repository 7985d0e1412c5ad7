import type * as TS from "typescript";
import { shown } from "./literals";
import { positionOf } from "./modules";
import { unsupported, type Field, type ObjectType, type Place, type Type } from "./types";
import { isPlainName } from "./value-types";
import { ts } from "./typescript";

/** Resolves the types of fields, and takes what is wrong with them. */
export interface TypeReader {
  type(node: TS.TypeNode, place: Place): Type;
  fault(place: Place, node: TS.Node, message: string): void;
}

/** The fields of an interface or an object type. */
export function readMembers(
  resolver: TypeReader,
  members: readonly TS.TypeElement[],
  place: Place,
): ObjectType {
  const fields: Field[] = [];
  let index: ObjectType["index"] = null;
  for (const member of members) {
    if (ts.isIndexSignatureDeclaration(member)) {
      const key = member.parameters[0]?.type;
      if (key !== undefined) {
        index = { key: resolver.type(key, place), value: resolver.type(member.type, place) };
      }
    } else if (ts.isPropertySignature(member) || ts.isMethodSignature(member)) {
      const name = nameOf(member.name);
      if (name === null) {
        const message = `field ${member.name.getText()} must be named by an identifier or a text`;
        resolver.fault(place, member.name, message);
        continue;
      }
      const optional = member.questionToken !== undefined;
      const type = memberType(resolver, member, place);
      fields.push({ name, optional, type, at: positionOf(place.module, member) });
    } else {
      const message = `an object type has fields only: ${shown(member)} does not travel`;
      resolver.fault(place, member, message);
    }
  }
  return { kind: "object", fields, index };
}

/** Null for a number and for a computed name other than a text. */
function nameOf(name: TS.PropertyName): string | null {
  if (isPlainName(name)) return name.text;
  if (!ts.isComputedPropertyName(name)) return null;
  const { expression } = name;
  return ts.isStringLiteral(expression) || ts.isIdentifier(expression) ? expression.text : null;
}

function memberType(
  resolver: TypeReader,
  member: TS.PropertySignature | TS.MethodSignature,
  place: Place,
): Type {
  const { name, type } = member;
  if (ts.isComputedPropertyName(name) && ts.isIdentifier(name.expression)) {
    // Encore takes the constant's name for the field's.
    return unsupported(`field [${name.expression.text}] must be written with its own name`);
  }
  if (ts.isMethodSignature(member)) {
    return unsupported(`method ${name.getText()} has no schema: functions do not travel`);
  }
  if (type !== undefined) return resolver.type(type, place);
  resolver.fault(place, member, `field ${name.getText()} must have a type`);
  return unsupported("");
}
