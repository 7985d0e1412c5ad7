import type * as TS from "typescript";
import { positionOf, type Module } from "./modules";
import {
  basic,
  unionOf,
  unsupported,
  type BasicName,
  type EnumMember,
  type Field,
  type Type,
} from "./types";
import { ts } from "./typescript";

/** Gives the types that a value's expression names: of `x as T`, and of another constant. */
export interface ValueContext {
  readonly module: Module;
  readonly annotated: (node: TS.TypeNode) => Type;
  readonly named: (name: string) => Type | null;
}

/** The type of a constant's initializer, for `typeof CONSTANT`; null when it is not plain enough. */
export function valueType(context: ValueContext, node: TS.Expression): Type | null {
  const literal = literalType(node);
  if (literal !== null) return literal;
  if (ts.isIdentifier(node)) return context.named(node.text);
  if (ts.isPrefixUnaryExpression(node)) return negated(context, node);
  if (ts.isAsExpression(node) || ts.isTypeAssertionExpression(node)) {
    const isConst = ts.isConstTypeReference(node.type);
    return isConst ? valueType(context, node.expression) : context.annotated(node.type);
  }
  if (ts.isSatisfiesExpression(node) || ts.isParenthesizedExpression(node)) {
    return valueType(context, node.expression);
  }
  if (ts.isConditionalExpression(node)) {
    const branches = [valueType(context, node.whenTrue), valueType(context, node.whenFalse)];
    return branches.includes(null) ? null : unionOf(branches as Type[]);
  }
  if (ts.isArrayLiteralExpression(node)) {
    return unsupported(
      "Encore does not know the type of an array constant: write its type out, and check the constant with satisfies",
    );
  }
  return ts.isObjectLiteralExpression(node) ? objectValue(context, node) : null;
}

function literalType(node: TS.Expression): Type | null {
  if (ts.isStringLiteral(node)) return { kind: "literal", value: node.text };
  if (ts.isNumericLiteral(node)) return { kind: "literal", value: Number(node.text) };
  if (ts.isBigIntLiteral(node)) return basic("bigint");
  if (ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)) {
    return basic("string");
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) return { kind: "literal", value: true };
  if (node.kind === ts.SyntaxKind.FalseKeyword) return { kind: "literal", value: false };
  return node.kind === ts.SyntaxKind.NullKeyword ? basic("null") : null;
}

function negated(context: ValueContext, node: TS.PrefixUnaryExpression): Type | null {
  if (node.operator !== ts.SyntaxKind.MinusToken) return null;
  const of = valueType(context, node.operand);
  return of?.kind === "literal" && typeof of.value === "number" ? { ...of, value: -of.value } : of;
}

function objectValue(context: ValueContext, node: TS.ObjectLiteralExpression): Type | null {
  const fields: Field[] = [];
  for (const property of node.properties) {
    const type = propertyType(context, property);
    if (type === null || property.name === undefined || !isPlainName(property.name)) return null;
    const at = positionOf(context.module, property);
    fields.push({ name: property.name.text, optional: false, type, at });
  }
  return { kind: "object", fields, index: null };
}

function propertyType(context: ValueContext, property: TS.ObjectLiteralElementLike): Type | null {
  if (ts.isPropertyAssignment(property)) return valueType(context, property.initializer);
  if (ts.isShorthandPropertyAssignment(property)) return context.named(property.name.text);
  return ts.isSpreadAssignment(property) ? null : basic("unknown");
}

export function isPlainName(name: TS.PropertyName): name is TS.Identifier | TS.StringLiteral {
  return ts.isIdentifier(name) || ts.isStringLiteral(name);
}

/** A literal as a type: `"a"`, `-1`, `10n`. */
export function literalTypeOf(node: TS.LiteralTypeNode["literal"]): Type | null {
  if (ts.isBigIntLiteral(node)) return { kind: "literal", value: node.text.replace(/n$/, "") };
  if (ts.isPrefixUnaryExpression(node) && ts.isNumericLiteral(node.operand)) {
    return { kind: "literal", value: -Number(node.operand.text) };
  }
  return ts.isNoSubstitutionTemplateLiteral(node) ? null : literalType(node as TS.Expression);
}

/**
 * The members of an enum with their values; one without a value continues the count.
 *
 * @param fault notes what Encore does not know the value of
 */
export function enumType(
  context: ValueContext,
  node: TS.EnumDeclaration,
  fault: (member: TS.Node, message: string) => void,
): Type {
  const members: EnumMember[] = [];
  let next: number | null = 0;
  for (const member of node.members) {
    const { name, initializer } = member;
    if (!isPlainName(name)) continue;
    const value: unknown = initializer === undefined ? next : enumValue(context, initializer);
    if (typeof value !== "string" && !Number.isInteger(value)) {
      fault(member, enumProblem(name.text, initializer));
      continue;
    }
    next = typeof value === "number" ? value + 1 : null;
    members.push({ name: name.text, value: value as string | number });
  }
  return { kind: "enum", members };
}

function enumValue(context: ValueContext, initializer: TS.Expression): unknown {
  const type = valueType(context, initializer);
  return type?.kind === "literal" ? type.value : null;
}

function enumProblem(name: string, initializer: TS.Expression | undefined): string {
  return initializer === undefined
    ? `enum member ${name} follows a text and has no value: give it one`
    : `the value of enum member ${name} must be a string or a whole number, written out`;
}

const KEYWORDS: Partial<Record<TS.SyntaxKind, BasicName>> = {
  [ts.SyntaxKind.AnyKeyword]: "any",
  [ts.SyntaxKind.UnknownKeyword]: "unknown",
  [ts.SyntaxKind.StringKeyword]: "string",
  [ts.SyntaxKind.BooleanKeyword]: "boolean",
  [ts.SyntaxKind.NumberKeyword]: "number",
  [ts.SyntaxKind.BigIntKeyword]: "bigint",
  [ts.SyntaxKind.UndefinedKeyword]: "undefined",
  [ts.SyntaxKind.VoidKeyword]: "void",
  [ts.SyntaxKind.ObjectKeyword]: "object",
  [ts.SyntaxKind.SymbolKeyword]: "symbol",
  [ts.SyntaxKind.NeverKeyword]: "never",
};

/** `string`, `number` and the other types that have a keyword. */
export function keywordType(node: TS.TypeNode): Type | null {
  const name = KEYWORDS[node.kind];
  return name === undefined ? null : basic(name);
}
