import type { IncomingMessage } from "node:http";
import { parseCookies } from "./cookies";
import { isMetaHeader } from "../remote/call-meta";
import { type Failure, invalidArgument } from "./errors";
import { bodyText } from "./json-body";
import { LIMITS } from "./limits";
import type { WireRequest } from "./payload";

type HeaderValues = Record<string, string | readonly string[]>;

/** A request with its target and its headers taken apart. */
export class HttpRequest {
  readonly message: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly pathAndQuery: string;
  readonly #throughGateway: boolean;
  readonly #queryText: string;
  #received: HeaderValues | null = null;
  #headers: HeaderValues | null = null;
  #query: ReadonlyMap<string, readonly string[]> | null = null;
  #cookies: Readonly<Record<string, string>> | null = null;

  /** @param throughGateway whether this process is the first that the request comes to */
  constructor(message: IncomingMessage, throughGateway: boolean) {
    this.message = message;
    this.#throughGateway = throughGateway;
    this.method = message.method ?? "GET";
    const target = message.url ?? "/";
    const fragment = target.indexOf("#");
    this.pathAndQuery = fragment < 0 ? target : target.slice(0, fragment);
    const mark = this.pathAndQuery.indexOf("?");
    this.path = mark < 0 ? this.pathAndQuery : this.pathAndQuery.slice(0, mark);
    this.#queryText = mark < 0 ? "" : this.pathAndQuery.slice(mark + 1);
  }

  /** As they came. Lower-case names; what came repeatedly is a list. */
  get received(): HeaderValues {
    this.#received ??= receivedHeaders(this.message);
    return this.#received;
  }

  /** As the application sees them. */
  get headers(): HeaderValues {
    this.#headers ??= this.#applicationHeaders();
    return this.#headers;
  }

  #applicationHeaders(): HeaderValues {
    const headers: HeaderValues = Object.create(null);
    for (const [name, value] of Object.entries(this.received)) {
      if (!isMetaHeader(name)) headers[name] = value;
    }
    if (!this.#throughGateway) return headers;
    return Object.assign(headers, forwardedHeaders(this.message, this.received));
  }

  header(name: string): string | undefined {
    const value = this.message.headers[name];
    return typeof value === "string" ? value : value?.[0];
  }

  get query(): ReadonlyMap<string, readonly string[]> {
    this.#query ??= parseQuery(this.#queryText);
    return this.#query;
  }

  get cookies(): Readonly<Record<string, string>> {
    this.#cookies ??= parseCookies(this.header("cookie"));
    return this.#cookies;
  }

  wire(pathParams: Readonly<Record<string, string>>, body: string): WireRequest {
    return new HttpWire(this, pathParams, body);
  }
}

/** Takes apart only what is asked for: most endpoints declare no header and no cookie. */
class HttpWire implements WireRequest {
  readonly #request: HttpRequest;
  readonly pathParams: Readonly<Record<string, string>>;
  readonly body: string;

  constructor(request: HttpRequest, pathParams: Readonly<Record<string, string>>, body: string) {
    this.#request = request;
    this.pathParams = pathParams;
    this.body = body;
  }

  get method(): string {
    return this.#request.method;
  }

  get query(): WireRequest["query"] {
    return this.#request.query;
  }

  get headers(): WireRequest["headers"] {
    return this.#request.headers;
  }

  get cookies(): WireRequest["cookies"] {
    return this.#request.cookies;
  }
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

function receivedHeaders(message: IncomingMessage): HeaderValues {
  const headers: HeaderValues = Object.create(null);
  const { rawHeaders } = message;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const value = rawHeaders[index + 1] as string;
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else headers[name] = typeof known === "string" ? [known, value] : [...known, value];
  }
  return headers;
}

/** What the gateway tells the process behind it of the way that a request came. */
function forwardedHeaders(message: IncomingMessage, received: HeaderValues): HeaderValues {
  const prior = [received["x-forwarded-for"] ?? []].flat();
  const host = received["host"];
  return {
    "x-forwarded-for": [...prior, message.socket.remoteAddress ?? ""].join(", "),
    ...(host === undefined ? {} : { "x-forwarded-host": host }),
    "x-forwarded-proto": "http",
  };
}

/** The body is longer than its endpoint allows. */
export function bodyTooLong(): Failure {
  return unreadable("length limit exceeded");
}

/** Encore's words, cause and all. */
function unreadable(reason: string): Failure {
  return invalidArgument(`unable to read request body: ${reason}\n\nCaused by:\n    ${reason}`);
}

/** @throws Failure when it is longer than allowed, or the rest of it does not come */
export async function readBody(
  message: IncomingMessage,
  limit: number | null,
  idleMs = LIMITS.bodyIdleMs,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    message.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (limit !== null && length > limit) reject(bodyTooLong());
      else chunks.push(chunk);
    });
    message.once("end", resolve);
    message.once("error", (error) => reject(unreadable(error.message)));
    message.setTimeout(idleMs, () => reject(unreadable(`nothing came for ${idleMs} ms`)));
  }).finally(() => message.setTimeout(0).removeAllListeners("data"));
  return bodyText(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
}
