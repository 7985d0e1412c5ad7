import type * as TS from "typescript";
import type { ObjectSchema } from "../app-model";
import { pathParams, type PathSegment } from "../http/path-pattern";
import { ReadError, type Context } from "./context";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { wireOf } from "./schemas";
import { isBasic, type Field, type Type } from "./types";

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
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new ReadError(
      reference.node,
      `path has the parameter ${twice} twice: give one another name`,
    );
  }
  if (request === null) {
    const message = `path has the parameter ${names[0]} and the handler takes none: expected { ${names[0]}: string }`;
    throw new ReadError(reference.node, message);
  }
  const fields = fieldsOf(context, reference, request);
  for (const name of names) {
    const field = fields.find((one) => one.name === name);
    if (field === undefined) {
      throw new ReadError(
        reference.node,
        `path parameter ${name} is no field of the request: add ${name}: string to its type`,
      );
    }
    if (isPathType(field.type)) continue;
    context.faults.add(
      field.at ?? positionOf(reference.module, reference.node),
      `path parameter ${name} must be string, number, boolean or bigint, written so: no alias, union or null`,
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
      `field ${field.name} travels in the ${location} and cannot have this type: expected a scalar or a list of them`,
    );
  }
}

function fieldsOf(context: Context, { module }: Reference, node: TS.TypeNode): readonly Field[] {
  const open = context.resolver.underlying(context.resolver.resolve(module, node));
  return open.kind === "object" ? open.fields : [];
}

function isPathType(type: Type): boolean {
  const written = type.kind === "validated" ? type.base : type;
  return (["string", "boolean", "number", "bigint"] as const).some((name) =>
    isBasic(written, name),
  );
}

/** As in a query: a scalar, or a list of them. */
function isQueryType(context: Context, type: Type): boolean {
  const open = context.resolver.underlying(type);
  const of = open.kind === "wire" ? context.resolver.underlying(open.base) : open;
  if (of.kind === "validated") return isQueryType(context, of.base);
  return of.kind === "array" ? isQueryScalar(context, of.element) : isQueryScalar(context, of);
}

function isQueryScalar(context: Context, type: Type): boolean {
  const open = context.resolver.underlying(type);
  if (open.kind === "validated") return isQueryScalar(context, open.base);
  if (open.kind === "wire") return open.location === "query" && isQueryScalar(context, open.base);
  if (open.kind === "union") return open.members.every((member) => isQueryScalar(context, member));
  return open.kind === "basic" || open.kind === "literal" || open.kind === "enum";
}

/** A response has one status. */
export function checkStatusFields(
  { context, reference }: RequestSite,
  response: ObjectSchema | null,
): void {
  const names = (response?.fields ?? [])
    .filter(({ location }) => location === "status")
    .map(({ name }) => name);
  if (names.length < 2) return;
  const message = `fields ${names.join(" and ")} are both the status of the answer: expected one HttpStatus`;
  context.faults.add(positionOf(reference.module, reference.node), message);
}
