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

const SHOWN_MAX = 40;

/** As written, shortened. */
export function shown(node: TS.Node): string {
  const text = node.getText().replace(/\s+/g, " ");
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

export type LiteralObject = ReadonlyMap<string, TS.Expression>;

function unknown(node: TS.Node, expected: string): LiteralError {
  const message = `${shown(node)} is not known before the program runs: expected ${expected}`;
  return new LiteralError(node, message);
}

/**
 * The fields of an object that is written out.
 *
 * @param allowed the fields that there are
 * @throws LiteralError at what is no plain field
 */
export function objectLiteral(node: TS.Node, allowed: readonly string[]): LiteralObject {
  if (!ts.isObjectLiteralExpression(node)) throw unknown(node, "an object literal");
  const fields = new Map<string, TS.Expression>();
  for (const property of node.properties) {
    const { name } = property;
    if (!ts.isPropertyAssignment(property) || name === undefined) {
      throw new LiteralError(property, `${shown(property)} must be written as field: value`);
    }
    const field = ts.isIdentifier(name) || ts.isStringLiteral(name) ? name.text : null;
    if (field === null || !allowed.includes(field)) {
      const message = `option ${name.getText()} is not known: expected ${allowed.join(", ")}`;
      throw new LiteralError(property, message);
    }
    fields.set(field, property.initializer);
  }
  return fields;
}

export function stringLiteral(node: TS.Node): string {
  if (ts.isStringLiteral(node)) return node.text;
  throw unknown(node, "a text literal");
}

export function booleanLiteral(node: TS.Node): boolean {
  if (node.kind === ts.SyntaxKind.TrueKeyword) return true;
  if (node.kind === ts.SyntaxKind.FalseKeyword) return false;
  throw unknown(node, "true or false");
}

/** A whole number from 0, or plain arithmetic that gives one. */
export function countLiteral(node: TS.Node): number {
  const value = integer(node);
  if (value >= 0) return value;
  throw new LiteralError(node, `${shown(node)} is negative: expected a whole number from 0`);
}

function integer(node: TS.Node): number {
  if (ts.isBinaryExpression(node)) return arithmetic(node);
  if (ts.isPrefixUnaryExpression(node)) {
    if (node.operator === ts.SyntaxKind.MinusToken) return -integer(node.operand);
    if (node.operator === ts.SyntaxKind.PlusToken) return integer(node.operand);
  }
  const value = ts.isNumericLiteral(node) ? Number(node.text.replaceAll("_", "")) : Number.NaN;
  if (Number.isInteger(value)) return value;
  throw unknown(node, "a whole number, or + - * / % of them without parentheses");
}

const OPERATIONS: Partial<Record<TS.SyntaxKind, (left: number, right: number) => number>> = {
  [ts.SyntaxKind.PlusToken]: (left, right) => left + right,
  [ts.SyntaxKind.MinusToken]: (left, right) => left - right,
  [ts.SyntaxKind.AsteriskToken]: (left, right) => left * right,
  [ts.SyntaxKind.SlashToken]: (left, right) => left / right,
  [ts.SyntaxKind.PercentToken]: (left, right) => left % right,
};

function arithmetic(node: TS.BinaryExpression): number {
  const operation = OPERATIONS[node.operatorToken.kind];
  const value = operation?.(integer(node.left), integer(node.right)) ?? Number.NaN;
  if (Number.isInteger(value)) return value;
  throw unknown(node, "+ - * / % that give a whole number");
}

export function stringArrayLiteral(node: TS.Node): string[] {
  if (!ts.isArrayLiteralExpression(node)) throw unknown(node, "an array literal");
  return node.elements.map(stringLiteral);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_556_926_000,
};

/** A duration as Encore writes it, `1h30m`, in milliseconds. */
export function durationLiteral(node: TS.Node): number {
  const text = stringLiteral(node);
  const parts = [...text.matchAll(/(\d+)(ns|us|ms|[smhdwy])\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== text.length) {
    throw new LiteralError(node, `"${text}" is no duration: expected for example "30s" or "1h"`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? 0), 0);
}
