import type * as TS from "typescript";
import { positionOf, type Module } from "./modules";
import { basic, unionOf, type BasicName, type Field, type Type } from "./types";
import { ts } from "./typescript";

/** The type of a constant's initializer, for `typeof CONSTANT`; null when it is not plain enough. */
export function valueType(module: Module, node: TS.Expression): Type | null {
  if (ts.isStringLiteral(node)) return { kind: "literal", value: node.text };
  if (ts.isNumericLiteral(node)) return { kind: "literal", value: Number(node.text) };
  if (ts.isBigIntLiteral(node)) return { kind: "literal", value: node.text.replace(/n$/, "") };
  if (node.kind === ts.SyntaxKind.TrueKeyword) return { kind: "literal", value: true };
  if (node.kind === ts.SyntaxKind.FalseKeyword) return { kind: "literal", value: false };
  if (ts.isPrefixUnaryExpression(node) && ts.isNumericLiteral(node.operand)) {
    return { kind: "literal", value: -Number(node.operand.text) };
  }
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
    return valueType(module, node.expression);
  }
  if (ts.isParenthesizedExpression(node)) return valueType(module, node.expression);
  if (ts.isArrayLiteralExpression(node)) {
    const members = node.elements.map((element) => valueType(module, element));
    return members.includes(null) ? null : { kind: "array", element: unionOf(members as Type[]) };
  }
  return ts.isObjectLiteralExpression(node) ? objectValue(module, node) : null;
}

function objectValue(module: Module, node: TS.ObjectLiteralExpression): Type | null {
  const fields: Field[] = [];
  for (const property of node.properties) {
    if (!ts.isPropertyAssignment(property) || !isPlainName(property.name)) continue;
    const type = valueType(module, property.initializer);
    if (type === null) return null;
    const at = positionOf(module, property);
    fields.push({ name: property.name.text, optional: false, type, at });
  }
  return { kind: "object", fields, index: null };
}

export function isPlainName(name: TS.PropertyName): name is TS.Identifier | TS.StringLiteral {
  return ts.isIdentifier(name) || ts.isStringLiteral(name);
}

/** The members of an enum with their values; one without a value continues the count. */
export function enumType(node: TS.EnumDeclaration): Type {
  let next = 0;
  const members = node.members.flatMap(({ name, initializer }) => {
    if (!isPlainName(name)) return [];
    let value: string | number = next;
    if (initializer !== undefined && ts.isStringLiteral(initializer)) value = initializer.text;
    else if (initializer !== undefined) value = Number(initializer.getText());
    if (typeof value === "number") next = value + 1;
    return [{ name: name.text, value }];
  });
  return { kind: "enum", members };
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
