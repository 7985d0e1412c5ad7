import type * as TS from "typescript";
import type { EndpointKind } from "../app-model";
import { ReadError } from "./context";
import type { Reference } from "./references";
import { ts } from "./typescript";

/** The type annotations that give an endpoint its schemas. */
export interface Signature {
  readonly request: TS.TypeNode | null;
  readonly response: TS.TypeNode | null;
  readonly handshake: TS.TypeNode | null;
}

type Handler = TS.ArrowFunction | TS.FunctionExpression;

/**
 * Reads a handler's annotations. Encore takes nothing from a function's body, and nothing at all
 * from a handler that it cannot see; what it would leave silently without a schema is refused.
 */
export function handlerSignature(
  reference: Reference,
  handler: TS.Expression,
  kind: EndpointKind,
): Signature {
  const typeArguments = reference.node.typeArguments ?? [];
  const fn = inlineHandler(handler);
  if (kind !== "typed") return streamSignature(reference, typeArguments, fn, kind);
  const [requestArgument = null, responseArgument = null] = typeArguments;
  if (fn === null) {
    if (typeArguments.length === 2) {
      return { request: requestArgument, response: responseArgument, handshake: null };
    }
    throw new ReadError(
      handler,
      "handler must be a function written here: Encore sees no schema in a name or a wrapped one",
    );
  }
  if (fn.typeParameters !== undefined) {
    throw new ReadError(handler, "endpoint handler cannot have type parameters");
  }
  const param = fn.parameters[0];
  if (param?.initializer !== undefined) {
    throw new ReadError(param, "parameter must have no default value: Encore then sees no schema");
  }
  if (fn.type === undefined && responseArgument === null) {
    throw new ReadError(handler, "handler must have a return type: Encore takes none for void");
  }
  return {
    request: param?.type ?? requestArgument,
    response: fn.type ?? responseArgument,
    handshake: null,
  };
}

function streamSignature(
  { node }: Reference,
  args: readonly TS.TypeNode[],
  fn: Handler | null,
  kind: EndpointKind,
): Signature {
  const hasHandshake = fn?.parameters.length === 2;
  const types = hasHandshake ? args.slice(1) : args;
  const handshake = hasHandshake ? (args[0] ?? null) : null;
  const expected = { streamIn: [1, 2], streamOut: [1], streamInOut: [2] }[kind as "streamIn"];
  if (!expected.includes(types.length)) {
    throw new ReadError(node, `wrong number of type parameters in call to ${kind}`);
  }
  const [first = null, second = null] = types;
  if (kind === "streamOut") return { request: null, response: first, handshake };
  return { request: first, response: second ?? fn?.type ?? null, handshake };
}

/** Encore reads annotations only from a function written in place. */
function inlineHandler(node: TS.Expression): Handler | null {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node) ? node : null;
}
