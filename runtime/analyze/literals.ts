import type * as TS from "typescript";
import { ts } from "./typescript";

/** A value that should have been a literal and is not; the caller reports it at `node`. */
export class LiteralError extends Error {
  readonly node: TS.Node;

  constructor(node: TS.Node, message: string) {
    super(message);
    this.node = node;
  }
}

export type LiteralObject = ReadonlyMap<string, TS.Expression>;

/** @throws LiteralError unless the node is a plain object literal */
export function objectLiteral(node: TS.Node): LiteralObject {
  if (!ts.isObjectLiteralExpression(node)) {
    throw new LiteralError(node, "expected object literal");
  }
  const fields = new Map<string, TS.Expression>();
  for (const property of node.properties) {
    if (ts.isSpreadAssignment(property)) {
      throw new LiteralError(node, "spread operator unsupported");
    }
    const { name } = property;
    if (name === undefined || (!ts.isIdentifier(name) && !ts.isStringLiteral(name))) continue;
    if (ts.isPropertyAssignment(property)) fields.set(name.text, property.initializer);
    else if (ts.isShorthandPropertyAssignment(property)) fields.set(name.text, property.name);
    else if (ts.isMethodDeclaration(property)) {
      fields.set(name.text, property as unknown as TS.Expression);
    }
  }
  return fields;
}

export function stringLiteral(node: TS.Node): string {
  if (ts.isStringLiteral(node)) return node.text;
  throw new LiteralError(node, "expected string literal");
}

export function booleanLiteral(node: TS.Node): boolean {
  if (node.kind === ts.SyntaxKind.TrueKeyword) return true;
  if (node.kind === ts.SyntaxKind.FalseKeyword) return false;
  throw new LiteralError(node, "expected boolean literal");
}

/** A number, or arithmetic on numbers. */
export function numberLiteral(node: TS.Node): number {
  if (ts.isNumericLiteral(node)) return Number(node.text.replaceAll("_", ""));
  if (ts.isParenthesizedExpression(node)) return numberLiteral(node.expression);
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken) {
    return -numberLiteral(node.operand);
  }
  if (ts.isBinaryExpression(node)) return arithmetic(node);
  throw new LiteralError(node, "expected number literal");
}

function arithmetic(node: TS.BinaryExpression): number {
  const left = numberLiteral(node.left);
  const right = numberLiteral(node.right);
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.PlusToken:
      return left + right;
    case ts.SyntaxKind.MinusToken:
      return left - right;
    case ts.SyntaxKind.AsteriskToken:
      return left * right;
    case ts.SyntaxKind.SlashToken:
      return left / right;
    case ts.SyntaxKind.PercentToken:
      return left % right;
    case ts.SyntaxKind.LessThanLessThanToken:
      return left * 2 ** right;
    default:
      throw new LiteralError(node, "expected number literal");
  }
}

export function stringArrayLiteral(node: TS.Node): string[] {
  if (!ts.isArrayLiteralExpression(node)) throw new LiteralError(node, "expected array literal");
  return node.elements.map(stringLiteral);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A duration as Encore writes it, `1h30m`, in milliseconds. */
export function durationLiteral(node: TS.Node): number {
  const text = stringLiteral(node);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== text.length) {
    throw new LiteralError(node, `invalid duration "${text}": expected for example "30s" or "1h"`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? 0), 0);
}
