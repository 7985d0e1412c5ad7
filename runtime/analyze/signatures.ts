import type * as TS from "typescript";
import type { EndpointKind } from "../app-model";
import { ReadError, type Context } from "./context";
import { shown } from "./literals";
import type { Reference } from "./references";
import { ts } from "./typescript";

/** The type annotations that give an endpoint its schemas. */
export interface Signature {
  readonly request: TS.TypeNode | null;
  readonly response: TS.TypeNode | null;
  readonly handshake: TS.TypeNode | null;
}

type InlineHandler = TS.ArrowFunction | TS.FunctionExpression;
type Handler = InlineHandler | TS.FunctionDeclaration;

/**
 * Reads a handler's annotations. Encore takes nothing from a function's body, and nothing at all
 * from a handler that it cannot see; what it would leave silently without a schema is refused.
 */
export function handlerSignature(
  context: Context,
  reference: Reference,
  handler: TS.Expression,
  kind: EndpointKind,
): Signature {
  const typeArguments = reference.node.typeArguments ?? [];
  const fn = inlineHandler(handler);
  if (kind !== "typed") return streamSignature(reference, typeArguments, fn, kind);
  if (fn === null) return unseenSignature(context, reference, handler);
  const [requestArgument = null, responseArgument = null] = typeArguments;
  checkHandler(fn, responseArgument !== null);
  return {
    request: fn.parameters[0]?.type ?? requestArgument,
    response: fn.type ?? responseArgument,
    handshake: null,
  };
}

/** A handler that is not written in place has the types that `api<Request, Response>` says, or none. */
function unseenSignature(
  context: Context,
  reference: Reference,
  handler: TS.Expression,
): Signature {
  const [request, response] = reference.node.typeArguments ?? [];
  if (request !== undefined && response !== undefined) {
    return { request, response, handshake: null };
  }
  const named = ts.isIdentifier(handler) ? functionNamed(context, reference, handler) : null;
  if (named !== null && named.parameters.length === 0 && givesNothing(named)) {
    return { request: null, response: null, handshake: null };
  }
  throw new ReadError(
    handler,
    `handler ${shown(handler)} must be a function written here: Encore sees no types in a name or a wrapper`,
  );
}

function checkHandler(fn: InlineHandler, hasResponse: boolean): void {
  checkTypeParameters(fn);
  const param = fn.parameters[0];
  if (param?.initializer !== undefined) {
    throw new ReadError(
      param,
      `parameter ${param.name.getText()} must have no default value, Encore then sees no request type: make its fields optional`,
    );
  }
  if (fn.type === undefined && !hasResponse && !givesNothing(fn)) {
    const message = "handler must have a return type: without one Encore answers an empty body";
    throw new ReadError(fn, message);
  }
}

function checkTypeParameters(fn: InlineHandler | null): void {
  const parameter = fn?.typeParameters?.[0];
  if (parameter === undefined) return;
  const message = "an endpoint's handler cannot have type parameters: write its types out";
  throw new ReadError(parameter, message);
}

function streamSignature(
  { node }: Reference,
  args: readonly TS.TypeNode[],
  fn: InlineHandler | null,
  kind: EndpointKind,
): Signature {
  checkTypeParameters(fn);
  const hasHandshake = fn?.parameters.length === 2;
  const types = hasHandshake ? args.slice(1) : args;
  const handshake = hasHandshake ? (args[0] ?? null) : null;
  const expected = { streamIn: [1, 2], streamOut: [1], streamInOut: [2] }[kind as "streamIn"];
  if (!expected.includes(types.length)) {
    const wanted = expected.map((count) => count + (hasHandshake ? 1 : 0)).join(" or ");
    throw new ReadError(node, `api.${kind} has ${args.length} type arguments: expected ${wanted}`);
  }
  const [first = null, second = null] = types;
  if (kind === "streamOut") return { request: null, response: first, handshake };
  return { request: first, response: second ?? fn?.type ?? null, handshake };
}

/** Encore reads annotations only from a function written in place. */
function inlineHandler(node: TS.Expression): InlineHandler | null {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node) ? node : null;
}

/** The function that a name stands for, a declaration or a constant. */
function functionNamed(
  context: Context,
  { module }: Reference,
  { text }: TS.Identifier,
): Handler | null {
  const meaning = context.graph.lookUp(module, text);
  if (meaning?.kind !== "declared") return null;
  const declaration = meaning.module.declarations.get(meaning.name)?.[0];
  if (declaration === undefined) return null;
  if (ts.isFunctionDeclaration(declaration)) return declaration;
  const isConstant = ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined;
  return isConstant ? inlineHandler(declaration.initializer) : null;
}

/** Whether the function is declared to give nothing, or, undeclared, has no value to return. */
function givesNothing(fn: Handler): boolean {
  if (fn.type !== undefined) return /^(Promise<void>|void)$/.test(fn.type.getText());
  if (fn.body === undefined || !ts.isBlock(fn.body)) return false;
  const returnsValue = (node: TS.Node): boolean => {
    if (ts.isReturnStatement(node)) return node.expression !== undefined;
    return !ts.isFunctionLike(node) && (ts.forEachChild(node, returnsValue) ?? false);
  };
  return !returnsValue(fn.body);
}
