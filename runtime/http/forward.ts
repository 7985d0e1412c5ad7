import type {
  ClientRequest,
  IncomingMessage,
  OutgoingHttpHeaders,
  ServerResponse,
} from "node:http";
import { pipeline } from "node:stream";
import { metaHeaders, type CallMeta } from "../remote/call-meta";
import type { ServiceLocation } from "../remote/service-directory";
import type { Upstreams } from "../remote/upstream";
import { bodyTooLong, type HttpRequest } from "./http-request";

/** What concerns one connection and not the next (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  "connection",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

export interface Destination {
  readonly location: ServiceLocation;
  readonly meta: CallMeta;
  readonly upstreams: Upstreams;
  /** Bytes that the body may have; null when it is not for the gateway to say. */
  readonly bodyLimit: number | null;
}

/**
 * Passes a request on to the process that hosts its service, and the answer back, as they come: what
 * one side does not take, the other does not send.
 *
 * @param decorate adds the gateway's own headers to the answer
 * @throws Failure `unavailable` when there is no answer
 */
export async function forward(
  request: HttpRequest,
  response: ServerResponse,
  to: Destination,
  decorate: () => void,
): Promise<void> {
  const { location, meta, upstreams, bodyLimit } = to;
  const { message } = request;
  if (bodyLimit !== null && declaredLength(message) > bodyLimit) throw bodyTooLong();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const isEmpty = !hasBody(message);
  const answer = await upstreams.request(location, {
    method: request.method,
    pathAndQuery: request.pathAndQuery,
    headers: {
      ...requestHeaders(request),
      host: location.baseUrl.host,
      ...metaHeaders(meta, location.auth, Date.now()),
    },
    isEmpty,
    send: (upstream) => (isEmpty ? upstream.end() : sendBody(message, upstream, bodyLimit)),
    signal: gone.signal,
  });
  for (const [name, value] of Object.entries(answerHeaders(answer))) {
    if (value !== undefined) response.setHeader(name, value);
  }
  decorate();
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage);
  response.flushHeaders();
  // An answer that is cut off there is cut off here.
  await new Promise<void>((resolve) => pipeline(answer, response, () => resolve()));
}

/** No pipeline: when the other process is gone, our visitor's connection is still there to say so. */
function sendBody(message: IncomingMessage, upstream: ClientRequest, limit: number | null): void {
  let length = 0;
  if (limit !== null) {
    message.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) return;
      message.unpipe(upstream);
      upstream.destroy(bodyTooLong());
    });
  }
  message.pipe(upstream);
}

function hasBody(message: IncomingMessage): boolean {
  return message.headers["transfer-encoding"] !== undefined || declaredLength(message) > 0;
}

function declaredLength({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

/** What goes on to the process that hosts the service. */
export function requestHeaders(request: HttpRequest): OutgoingHttpHeaders {
  const dropped = hopByHop(request.message);
  const kept = Object.entries(request.headers).filter(([name]) => !dropped.has(name));
  return Object.fromEntries(kept) as OutgoingHttpHeaders;
}

function answerHeaders(answer: IncomingMessage): OutgoingHttpHeaders {
  const dropped = hopByHop(answer);
  const headers: OutgoingHttpHeaders = {};
  const { rawHeaders } = answer;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (dropped.has(name)) continue;
    const known = headers[name];
    const value = rawHeaders[index + 1] as string;
    headers[name] = known === undefined ? value : [known, value].flat().map(String);
  }
  return headers;
}

/** Those that the connection header names go no further either. */
function hopByHop({ headers }: IncomingMessage): ReadonlySet<string> {
  const named = (headers.connection ?? "").toLowerCase().split(",");
  return new Set([...HOP_BY_HOP, ...named.map((name) => name.trim())]);
}
