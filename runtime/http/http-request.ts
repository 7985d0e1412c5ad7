import type { IncomingMessage } from "node:http";
import { parseCookies } from "./cookies";
import type { WireRequest } from "./payload";

type HeaderValues = Record<string, string | readonly string[]>;

/** A request as the gateway passes it on: its target taken apart, its headers rewritten. */
export class HttpRequest {
  readonly message: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly pathAndQuery: string;
  readonly #queryText: string;
  #headers: HeaderValues | null = null;

  constructor(message: IncomingMessage) {
    this.message = message;
    this.method = message.method ?? "GET";
    this.pathAndQuery = originForm(message.url ?? "/");
    const mark = this.pathAndQuery.indexOf("?");
    this.path = mark < 0 ? this.pathAndQuery : this.pathAndQuery.slice(0, mark);
    this.#queryText = mark < 0 ? "" : this.pathAndQuery.slice(mark + 1);
  }

  /** Lower-case names; what came repeatedly is a list. */
  get headers(): HeaderValues {
    this.#headers ??= gatewayHeaders(this.message);
    return this.#headers;
  }

  header(name: string): string | undefined {
    const value = this.message.headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  wire(pathParams: Readonly<Record<string, string>>, body: string): WireRequest {
    return {
      method: this.method,
      pathParams,
      query: parseQuery(this.#queryText),
      headers: this.headers,
      cookies: parseCookies(this.header("cookie")),
      body,
    };
  }
}

/** The target of a request to a proxy names the host too; only path and query count. */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const match = /^[a-z]+:\/\/[^/?]*(.*)$/i.exec(target);
  const rest = match?.[1] ?? "";
  return rest.startsWith("/") ? rest : `/${rest}`;
}

const EMPTY_QUERY: ReadonlyMap<string, readonly string[]> = new Map();

function parseQuery(text: string): ReadonlyMap<string, readonly string[]> {
  if (text === "") return EMPTY_QUERY;
  const query = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(text)) {
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  return query;
}

const CALLER_HEADERS = "x-encore-meta-";

/** The headers that an application sees behind Encore's gateway. */
function gatewayHeaders(message: IncomingMessage): HeaderValues {
  const headers: HeaderValues = Object.create(null);
  const { rawHeaders } = message;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    // Callers inside the application are known by these: a stranger must not set them.
    if (name.startsWith(CALLER_HEADERS)) continue;
    const value = rawHeaders[index + 1] as string;
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else headers[name] = typeof known === "string" ? [known, value] : [...known, value];
  }
  const client = message.socket.remoteAddress ?? "";
  const prior = headers["x-forwarded-for"];
  const chain = prior === undefined ? [] : [prior].flat();
  headers["x-forwarded-for"] = [...chain, client].join(", ");
  if (headers["host"] !== undefined) headers["x-forwarded-host"] = headers["host"];
  headers["x-forwarded-proto"] = "http";
  return headers;
}

/** The body is longer than its endpoint allows. */
export class BodyTooLong extends Error {}

/** @throws BodyTooLong, or the stream's error when the client goes away */
export async function readBody(message: IncomingMessage, limit: number | null): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (limit !== null && length > limit) throw new BodyTooLong();
    chunks.push(chunk);
  }
  return (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString("utf8");
}
