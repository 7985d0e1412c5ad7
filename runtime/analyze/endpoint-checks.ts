import type * as TS from "typescript";
import { pathParams, type PathSegment } from "../http/path-pattern";
import { ReadError, type Context } from "./context";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { wireOf } from "./schemas";
import { isBasic, type Field, type Type } from "./types";
import { dropUndefined } from "./utility-types";

const BODY_METHODS = new Set(["POST", "PUT", "PATCH", "CONNECT"]);

/** Where a request is declared, and how it arrives. */
export interface RequestSite {
  readonly context: Context;
  readonly reference: Reference;
  readonly methods: readonly string[];
  readonly segments: readonly PathSegment[];
}

/** Each parameter of the path must be a scalar field of the request. */
export function checkPathParams(site: RequestSite, request: TS.TypeNode | null): void {
  const { context, reference, segments } = site;
  const names = pathParams(segments);
  if (names.length === 0) return;
  if (request === null) {
    const message = "request schema must be defined when having path parameters";
    throw new ReadError(reference.node, message);
  }
  const fields = fieldsOf(context, reference, request);
  for (const name of names) {
    const field = fields.find((one) => one.name === name);
    if (field === undefined) {
      throw new ReadError(reference.node, `path parameter ${name} not found in request schema`);
    }
    if (isPathType(unwrap(context, field.type))) continue;
    context.faults.add(
      field.at ?? positionOf(reference.module, reference.node),
      `unsupported path parameter type of ${name}: expected string, number or boolean`,
    );
  }
}

/** What travels in the query must be scalars, or lists of them. */
export function checkQueryFields(site: RequestSite, request: TS.TypeNode | null): void {
  const { context, reference, methods, segments } = site;
  if (request === null) return;
  const inPath = new Set(pathParams(segments));
  const autoIsQuery = methods.some((method) => method === "*" || !BODY_METHODS.has(method));
  for (const field of fieldsOf(context, reference, request)) {
    if (inPath.has(field.name)) continue;
    const location = wireOf(field.type)?.location ?? (autoIsQuery ? "query" : "body");
    if (location === "body" || location === "attribute") continue;
    if (isQueryType(context, field.type)) continue;
    context.faults.add(
      field.at ?? positionOf(reference.module, request),
      `type not supported for ${location} parameters: field ${field.name} must be a scalar or a list of them`,
    );
  }
}

function fieldsOf(context: Context, { module }: Reference, node: TS.TypeNode): readonly Field[] {
  const open = context.resolver.underlying(context.resolver.resolve(module, node));
  return open.kind === "object" ? open.fields : [];
}

function unwrap(context: Context, type: Type): Type {
  const open = context.resolver.underlying(dropUndefined(type));
  if (open.kind === "validated") return unwrap(context, open.base);
  return open.kind === "wire" ? unwrap(context, open.base) : open;
}

function isPathType(type: Type): boolean {
  return (["string", "boolean", "number", "bigint"] as const).some((name) => isBasic(type, name));
}

const QUERY_BASICS = [
  "string",
  "boolean",
  "number",
  "bigint",
  "date",
  "decimal",
  "any",
  "unknown",
  "null",
] as const;

function isQueryType(context: Context, type: Type): boolean {
  const open = unwrap(context, type);
  if (open.kind === "array") return isQueryScalar(context, unwrap(context, open.element));
  return isQueryScalar(context, open);
}

function isQueryScalar(context: Context, type: Type): boolean {
  if (type.kind === "literal" || type.kind === "enum") return true;
  if (type.kind === "union") {
    return type.members.every((member) => isQueryScalar(context, unwrap(context, member)));
  }
  return QUERY_BASICS.some((name) => isBasic(type, name));
}
