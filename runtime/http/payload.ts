import {
  isStream,
  type EndpointModel,
  type FieldSchema,
  type ObjectSchema,
  type Schema,
} from "../app-model";
import { serializeCookie } from "./cookies";
import { Failure, internalFailure, invalidArgument } from "./errors";
import { JsonError, parseBody } from "./json-body";
import { isDecimal, jsonText, numberText } from "../json-text";
import {
  decodeValue,
  DecodeError,
  missingText,
  setField,
  type DecodeContext,
} from "./payload-decode";
import { parsePathPattern, pathParams } from "./path-pattern";

/** A request's parts before they are decoded, from the network or from a call in the process. */
export interface WireRequest {
  readonly method: string;
  readonly pathParams: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, readonly string[]>;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly cookies: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A response's parts after they are encoded. */
export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly cookies: readonly string[];
  /** JSON, or null when the endpoint declares no response. */
  readonly body: string | null;
}

const BODY_METHODS = new Set(["POST", "PUT", "PATCH", "CONNECT"]);

interface Shape {
  readonly path: readonly FieldSchema[];
  readonly query: ObjectSchema;
  readonly header: readonly FieldSchema[];
  readonly cookie: readonly FieldSchema[];
  readonly body: ObjectSchema;
}

/** How requests of one schema travel: which field is where, by method. */
export class RequestCodec {
  readonly #withBody: Shape;
  readonly #withoutBody: Shape;
  readonly #json: DecodeContext;
  readonly #strings: DecodeContext;

  constructor(schema: ObjectSchema | null, path: string, context: CodecContext) {
    const names = namesInPath(path);
    this.#withBody = shapeOf(schema, names, "body");
    this.#withoutBody = shapeOf(schema, names, "query");
    this.#json = { ...context, fromStrings: false };
    this.#strings = { ...context, fromStrings: true };
  }

  /** Whether a request of this method must carry a JSON body. */
  readsBody(method: string): boolean {
    return this.#shape(method).body.fields.length > 0;
  }

  /** @throws Failure `invalid_argument` */
  decode(wire: WireRequest, method = wire.method): Record<string, unknown> {
    const shape = this.#shape(method);
    const path = this.#decodePath(shape, wire.pathParams);
    const query = this.#decodeQuery(shape, wire.query);
    const header = this.#decodeNamed(shape.header, "header", (field) =>
      headerValue(field, wire.headers[field.wireName.toLowerCase()], this.#strings),
    );
    const cookie = this.#decodeNamed(
      shape.cookie,
      "cookie",
      (field) => wire.cookies[field.wireName],
    );
    const body = this.#decodeBody(shape, wire.body);
    return { ...body, ...cookie, ...header, ...query, ...path };
  }

  /**
   * Whether any of the parameters is present: the auth handler is asked only then.
   */
  isPresent(wire: WireRequest): boolean {
    const { header, query, cookie } = this.#withoutBody;
    return (
      header.some(({ wireName }) => wire.headers[wireName.toLowerCase()] !== undefined) ||
      query.fields.some(({ wireName }) => wire.query.has(wireName)) ||
      cookie.some(({ wireName }) => wire.cookies[wireName] !== undefined)
    );
  }

  /** The parts that a caller's value becomes. */
  encode(method: string, payload: unknown): WireRequest {
    const shape = this.#shape(method);
    const value = (payload ?? {}) as Record<string, unknown>;
    const params = shape.path.map((field) => [field.name, wireText(value[field.name])] as const);
    const headers = shape.header
      .filter(({ name }) => isGiven(value[name]))
      .map(({ name, wireName }) => [wireName.toLowerCase(), wireText(value[name])] as const);
    const cookies = shape.cookie
      .filter(({ name }) => isGiven(value[name]))
      .map(({ name, wireName }) => [wireName, wireText(value[name])] as const);
    return {
      method,
      pathParams: Object.fromEntries(params),
      query: encodeQuery(shape.query, value),
      headers: Object.fromEntries(headers),
      cookies: Object.fromEntries(cookies),
      body: shape.body.fields.length === 0 ? "" : jsonText(pick(shape.body, value)),
    };
  }

  #shape(method: string): Shape {
    return BODY_METHODS.has(method) ? this.#withBody : this.#withoutBody;
  }

  #decodePath(shape: Shape, params: WireRequest["pathParams"]): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const { name, schema } of shape.path) {
      const text = params[name];
      // An empty wildcard leaves its field out.
      if (text === undefined || text === "") continue;
      setField(result, name, decodePathParam(schema, text, this.#strings));
    }
    return result;
  }

  #decodeQuery(shape: Shape, query: WireRequest["query"]): Record<string, unknown> {
    const { fields } = shape.query;
    if (fields.length === 0) return {};
    const byWireName = new Map(fields.map((field) => [field.wireName, field]));
    const result: Record<string, unknown> = {};
    return explain("query string", () => {
      for (const [key, values] of query) {
        const field = byWireName.get(key);
        if (field === undefined) continue;
        const isList = listElement(field.schema, this.#strings) !== null;
        if (!isList && values.length > 1) throw new DecodeError("", `duplicate field ${key}`);
        const value = isList ? values : values[0];
        setField(result, field.name, decodeValue(field.schema, value, key, this.#strings));
      }
      const missing = fields.filter(({ name, optional }) => !optional && !(name in result));
      if (missing.length > 0) {
        throw new DecodeError("", missingText(missing.map(({ wireName }) => wireName)));
      }
      return result;
    });
  }

  #decodeNamed(
    fields: readonly FieldSchema[],
    what: "header" | "cookie",
    read: (field: FieldSchema) => string | readonly string[] | undefined,
  ): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const field of fields) {
      const value = read(field);
      if (value !== undefined) {
        setField(result, field.name, decodeNamedValue(field, value, this.#strings));
      } else if (!field.optional) {
        throw invalidArgument(`missing required ${what}: ${field.wireName}`);
      }
    }
    return result;
  }

  #decodeBody(shape: Shape, body: string): Record<string, unknown> {
    if (shape.body.fields.length === 0) return {};
    return explain("request body", () => decodeJson(shape.body, body, this.#json));
  }
}

/** How responses of one endpoint travel. */
export class ResponseCodec {
  readonly #schema: ObjectSchema | null;
  readonly #header: readonly FieldSchema[];
  readonly #cookie: readonly FieldSchema[];
  readonly #status: FieldSchema | null;
  readonly #body: ObjectSchema;
  readonly #json: DecodeContext;
  readonly #strings: DecodeContext;

  constructor(schema: ObjectSchema | null, context: CodecContext) {
    const fields = schema?.fields ?? [];
    this.#schema = schema;
    this.#header = fields.filter(({ location }) => location === "header");
    this.#cookie = fields.filter(({ location }) => location === "cookie");
    this.#status = fields.find(({ location }) => location === "status") ?? null;
    const body = fields.filter(({ location }) => location === "auto" || location === "query");
    this.#body = { kind: "object", fields: body };
    this.#json = { ...context, fromStrings: false };
    this.#strings = { ...context, fromStrings: true };
  }

  /** @throws Failure `internal` when the value cannot leave the process */
  encode(payload: unknown, extra: ResponseExtras): WireResponse {
    try {
      const value = (payload ?? {}) as Record<string, unknown>;
      return {
        status: this.#statusOf(value, extra),
        headers: { ...this.#headersOf(value), ...extra.extraHeaders },
        cookies: this.#cookie
          .filter(({ name }) => isGiven(value[name]))
          .map(({ name, wireName }) => serializeCookie(wireName, value[name])),
        body: this.#schema === null ? null : jsonText(pick(this.#body, value)),
      };
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw internalFailure(`unable to serialize response: ${(error as Error).message}`);
    }
  }

  /** What the caller of the endpoint gets. */
  decode(wire: WireResponse): Record<string, unknown> | null {
    if (this.#schema === null || wire.body === null) return null;
    const text = wire.body;
    const result = explain("response body", () => decodeJson(this.#body, text, this.#json));
    for (const field of this.#header) {
      const given = wire.headers[field.wireName.toLowerCase()];
      const value = headerValue(field, given, this.#strings);
      if (value !== undefined) {
        setField(result, field.name, decodeNamedValue(field, value, this.#strings));
      }
    }
    return result;
  }

  #headersOf(value: Record<string, unknown>): Record<string, string | readonly string[]> {
    const headers: Record<string, string | readonly string[]> = {};
    for (const { name, wireName } of this.#header) {
      const given = value[name];
      if (!isGiven(given)) continue;
      headers[wireName.toLowerCase()] = Array.isArray(given)
        ? given.map(headerText)
        : headerText(given);
    }
    return headers;
  }

  #statusOf(value: Record<string, unknown>, { status }: ResponseExtras): number {
    const own = this.#status === null ? undefined : value[this.#status.name];
    const chosen = status ?? (typeof own === "number" ? own : 200);
    return chosen >= 100 && chosen <= 599 ? chosen : 200;
  }
}

/** What middlewares add to a response. */
export interface ResponseExtras {
  readonly extraHeaders?: Readonly<Record<string, string | string[]>> | undefined;
  readonly status?: number | undefined;
}

export type CodecContext = Omit<DecodeContext, "fromStrings">;

/** Both directions of one typed endpoint. */
export class EndpointCodec {
  readonly request: RequestCodec;
  readonly response: ResponseCodec;

  constructor(endpoint: EndpointModel, context: CodecContext) {
    // What a stream declares as its request are messages: they come after the handshake.
    const schema = isStream(endpoint) ? endpoint.handshake : endpoint.request;
    this.request = new RequestCodec(schema, endpoint.path, context);
    this.response = new ResponseCodec(endpoint.response, context);
  }
}

function namesInPath(path: string): ReadonlySet<string> {
  const segments = parsePathPattern(path);
  return new Set(typeof segments === "string" ? [] : pathParams(segments));
}

function shapeOf(
  schema: ObjectSchema | null,
  inPath: ReadonlySet<string>,
  autoIs: "body" | "query",
): Shape {
  const fields = schema?.fields ?? [];
  const rest = fields.filter(({ name }) => !inPath.has(name));
  const at = (where: string): FieldSchema[] =>
    rest.filter(({ location }) => (location === "auto" ? autoIs : location) === where);
  return {
    path: fields.filter(({ name }) => inPath.has(name)),
    query: { kind: "object", fields: at("query") },
    header: at("header"),
    cookie: at("cookie"),
    body: { kind: "object", fields: at("body") },
  };
}

function explain<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError || error instanceof JsonError) {
      throw invalidArgument(`unable to decode ${what}: ${error.message}`);
    }
    throw error;
  }
}

function decodeJson(
  schema: ObjectSchema,
  text: string,
  context: DecodeContext,
): Record<string, unknown> {
  return decodeValue(schema, parseBody(text), "", context) as Record<string, unknown>;
}

function decodePathParam(schema: Schema, text: string, context: DecodeContext): unknown {
  try {
    return decodeValue(schema, text, "", context);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const base = schema.kind === "validated" ? schema.base : schema;
    const isRule = schema.kind === "validated" && base.kind === "string";
    if (isRule) throw invalidArgument(`path parameter is invalid: ${error.message}`);
    throw invalidArgument(`path parameter is not a valid ${base.kind}`);
  }
}

function decodeNamedValue(
  field: FieldSchema,
  value: string | readonly string[],
  context: DecodeContext,
): unknown {
  try {
    return decodeValue(field.schema, value, "", context);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const base = field.schema.kind === "validated" ? field.schema.base.kind : field.schema.kind;
    const isScalar = base === "number" || base === "boolean";
    const fitsNot = error.message.startsWith("expected");
    throw invalidArgument(
      isScalar && fitsNot ? `invalid ${base} value: ${String(value)}` : error.message,
    );
  }
}

function listElement(schema: Schema, context: DecodeContext): Schema | null {
  if (schema.kind === "array") return schema.element;
  if (schema.kind === "validated") return listElement(schema.base, context);
  if (schema.kind === "named") {
    const opened = context.types[schema.type];
    return opened === undefined ? null : listElement(opened, context);
  }
  return null;
}

/** Of a header that came repeatedly, a field that is no list gets the first. */
function headerValue(
  { schema }: FieldSchema,
  value: string | readonly string[] | undefined,
  context: DecodeContext,
): string | readonly string[] | undefined {
  if (!Array.isArray(value)) return value;
  const isSingle = value.length === 1 || listElement(schema, context) === null;
  return isSingle ? (value[0] as string) : value;
}

function encodeQuery(
  schema: ObjectSchema,
  value: Record<string, unknown>,
): Map<string, readonly string[]> {
  const query = new Map<string, readonly string[]>();
  for (const { name, wireName } of schema.fields) {
    const given = value[name];
    if (given === undefined) continue;
    query.set(wireName, Array.isArray(given) ? given.map(wireText) : [wireText(given)]);
  }
  return query;
}

/** The declared fields of a value that are set. */
export function pick(
  schema: ObjectSchema,
  value: Record<string, unknown>,
): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const { name } of schema.fields) {
    if (value[name] !== undefined) setField(picked, name, value[name]);
  }
  return picked;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A scalar as text, for the path, the query and headers. */
function wireText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "number") return numberText(value);
  if (typeof value === "string" || isDecimal(value)) return String(value);
  return value === undefined ? "" : String(value);
}

/** Node writes header values as Latin-1; Encore sends UTF-8. */
function headerText(value: unknown): string {
  return Buffer.from(wireText(value), "utf8").toString("latin1");
}
