import { statSync } from "node:fs";
import { join, posix } from "node:path";
import type * as TS from "typescript";
import type { EndpointKind, EndpointModel, ObjectSchema, StaticAssets } from "../app-model";
import { parsePathPattern } from "../http/path-pattern";
import { ReadError, type Context } from "./context";
import {
  booleanLiteral,
  LiteralError,
  countLiteral,
  objectLiteral,
  stringArrayLiteral,
  stringLiteral,
  type LiteralObject,
} from "./literals";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { SchemaError } from "./schemas";
import {
  checkPathParams,
  checkQueryFields,
  checkStatusFields,
  type RequestSite,
} from "./endpoint-checks";
import { handlerSignature, type Signature } from "./signatures";
import { ts } from "./typescript";

const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

const OPTIONS = [
  "method",
  "path",
  "expose",
  "auth",
  "bodyLimit",
  "tags",
  "sensitive",
  "dir",
  "notFound",
  "notFoundStatus",
  "headers",
];

/** Encore's own, for endpoints that do not say. */
const DEFAULT_BODY_LIMIT = 2 * 1024 * 1024;

const KINDS: Readonly<Record<string, EndpointKind>> = {
  raw: "raw",
  static: "static",
  streamIn: "streamIn",
  streamOut: "streamOut",
  streamInOut: "streamInOut",
};

/** Reads one `api(…)`, `api.raw(…)`, `api.static(…)` or `api.stream…(…)`. */
export function readEndpoint(context: Context, reference: Reference): EndpointModel {
  const { node, module, binding } = reference;
  if (binding.kind !== "variable" || !binding.isValue || binding.name === null) {
    throw new ReadError(
      node,
      "an endpoint must be an exported variable: write export const name = api(…)",
    );
  }
  const options = node.arguments?.[0];
  if (options === undefined) {
    throw new ReadError(
      node,
      "an endpoint needs its options: write api({ method, path }, handler)",
    );
  }
  if (!binding.exported) {
    const message = `endpoint ${binding.name} is not exported: Encore would answer 500; write export const`;
    throw new ReadError(node, message);
  }
  const config = objectLiteral(options, OPTIONS);
  const kind = KINDS[reference.member ?? ""] ?? "typed";
  const at = positionOf(module, node);
  const service = context.services.owner(at, "endpoint", context.faults);
  const path = stringField(config, "path") ?? `/${service.name}.${binding.name}`;
  const segments = parsePathPattern(path);
  if (typeof segments === "string")
    throw new ReadError(config.get("path") ?? node, `path "${path}" is not valid: ${segments}`);
  const methods = readMethods(config, kind);
  const site: EndpointSite = { context, reference, config, kind, methods, segments };
  return {
    service: service.name,
    name: binding.name,
    kind,
    at,
    expose: booleanField(config, "expose"),
    auth: booleanField(config, "auth"),
    sensitive: booleanField(config, "sensitive"),
    tags: config.has("tags") ? stringArrayLiteral(config.get("tags") as TS.Expression) : [],
    methods,
    path,
    bodyLimit: readBodyLimit(config),
    ...readShapes(site),
    assets: kind === "static" ? readAssets(site) : null,
  };
}

/** An endpoint's declaration while it is read. */
interface EndpointSite extends RequestSite {
  readonly config: LiteralObject;
  readonly kind: EndpointKind;
}

function stringField(config: LiteralObject, name: string): string | null {
  const node = config.get(name);
  return node === undefined ? null : stringLiteral(node);
}

function booleanField(config: LiteralObject, name: string): boolean {
  const node = config.get(name);
  return node === undefined ? false : booleanLiteral(node);
}

function readBodyLimit(config: LiteralObject): number | null {
  const node = config.get("bodyLimit");
  if (node === undefined) return DEFAULT_BODY_LIMIT;
  return node.kind === ts.SyntaxKind.NullKeyword ? null : countLiteral(node);
}

function readMethods(config: LiteralObject, kind: EndpointKind): string[] {
  if (kind === "static") return ["GET", "HEAD"];
  if (kind.startsWith("stream")) return ["GET"];
  const node = config.get("method");
  if (node === undefined) return ["POST"];
  if (ts.isStringLiteral(node)) return [checkMethod(node.text, node)];
  if (!ts.isArrayLiteralExpression(node)) {
    throw new LiteralError(
      node,
      "method must be written here: expected a text or an array of texts",
    );
  }
  if (node.elements.length === 0) {
    throw new LiteralError(node, "the list of methods is empty: expected at least one");
  }
  const methods = new Set(stringArrayLiteral(node).map((method) => checkMethod(method, node)));
  if (methods.has("*") && methods.size > 1) {
    throw new LiteralError(node, 'method "*" stands for all: expected no other beside it');
  }
  return [...METHODS.filter((method) => methods.has(method)), ...(methods.has("*") ? ["*"] : [])];
}

function checkMethod(method: string, node: TS.Node): string {
  if (method === "*" || METHODS.includes(method)) return method;
  throw new LiteralError(
    node,
    `method "${method}" is not known: expected * or one of ${METHODS.join(", ")}`,
  );
}

interface Shapes {
  readonly request: ObjectSchema | null;
  readonly response: ObjectSchema | null;
  readonly handshake: ObjectSchema | null;
}

const NO_SHAPES: Shapes = { request: null, response: null, handshake: null };

function readShapes(site: EndpointSite): Shapes {
  const { context, reference, kind } = site;
  if (kind === "static") return NO_SHAPES;
  const handler = reference.node.arguments?.[1];
  if (handler === undefined) {
    throw new ReadError(reference.node, "an endpoint needs a handler as its second argument");
  }
  if (kind === "raw") return NO_SHAPES;
  const signature = handlerSignature(context, reference, handler, kind);
  const request = shapeOf(context, reference, signature.request, "request");
  const response = shapeOf(context, reference, signature.response, "response");
  const handshake = shapeOf(context, reference, signature.handshake, "request");
  const carrier = kind === "typed" || signature.handshake === null ? signature.request : null;
  const first = signature.handshake ?? carrier;
  checkPathParams(site, first);
  checkQueryFields(site, kind === "typed" ? signature.request : signature.handshake);
  checkStatusFields(site, response);
  return { request, response, handshake };
}

function shapeOf(
  context: Context,
  { module }: Reference,
  node: Signature["request"],
  role: "request" | "response",
): ObjectSchema | null {
  if (node === null) return null;
  if (ts.isTypeReferenceNode(node) && isUtility(context, module, node)) {
    // Encore looks for the declaration of a named request type, and these have none.
    throw new ReadError(
      node,
      `${node.getText()} must have a name before it is a request or response: write interface X extends ${node.getText()} {}`,
    );
  }
  try {
    return context.schemas.root(context.resolver.resolve(module, node), role);
  } catch (error) {
    if (error instanceof SchemaError) throw new ReadError(node, error.message);
    throw error;
  }
}

function isUtility(context: Context, module: Reference["module"], node: TS.TypeReferenceNode) {
  return context.resolver.isUtility(context.resolver.resolve(module, node));
}

function readAssets({ context, reference, config, segments }: EndpointSite): StaticAssets {
  const { module, node } = reference;
  const dynamic = segments.findIndex(({ kind }) => kind !== "literal");
  if (dynamic >= 0 && dynamic !== segments.length - 1) {
    const message =
      "the path of static files has one parameter, at its end: expected for example /files/*path";
    throw new ReadError(config.get("path") ?? node, message);
  }
  const dirNode = config.get("dir");
  if (dirNode === undefined) {
    throw new ReadError(node, "api.static needs dir, the folder of its files");
  }
  const home = posix.dirname(module.path);
  const dir = posix.join(home, localPath(dirNode));
  if (!statSync(join(context.root, dir), { throwIfNoEntry: false })?.isDirectory()) {
    throw new ReadError(
      dirNode,
      `folder "${dir}" cannot be read: expected a folder below this file's`,
    );
  }
  const notFoundNode = config.get("notFound");
  const notFound = notFoundNode === undefined ? null : posix.join(home, localPath(notFoundNode));
  if (
    notFound !== null &&
    !statSync(join(context.root, notFound), { throwIfNoEntry: false })?.isFile()
  ) {
    throw new ReadError(
      notFoundNode ?? node,
      `file "${notFound}" does not exist: expected a file below this file's folder`,
    );
  }
  const statusNode = config.get("notFoundStatus");
  const headersNode = config.get("headers");
  return {
    dir,
    notFound,
    notFoundStatus: statusNode === undefined ? null : countLiteral(statusNode),
    headers: headersNode === undefined ? {} : readHeaders(headersNode),
  };
}

function readHeaders(node: TS.Expression): Record<string, readonly string[]> {
  if (!ts.isObjectLiteralExpression(node))
    throw new LiteralError(node, "headers must be written here: expected an object literal");
  const names = node.properties.flatMap(({ name }) =>
    name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? [name.text] : [],
  );
  const entries = [...objectLiteral(node, names)].map(([name, value]) => {
    const values = ts.isStringLiteral(value) ? [value.text] : stringArrayLiteral(value);
    return [name, values] as const;
  });
  return Object.fromEntries(entries);
}

/** A path below the declaring file's folder: Encore allows neither `..` nor an absolute path. */
export function localPath(node: TS.Node): string {
  const path = stringLiteral(node);
  if (path.startsWith("/") || path.split("/").includes("..")) {
    throw new LiteralError(
      node,
      `path "${path}" must be below this file's folder: expected no ".." and no "/" in front`,
    );
  }
  return path;
}
