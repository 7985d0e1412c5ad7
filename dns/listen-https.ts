/** DNS over HTTPS (RFC 8484), over HTTP/2 and HTTP/1.1. */
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { isIPv6, type Socket } from "node:net";

import { type ConnectionCounter, Connections } from "./connections";
import { MAX_TCP_OCTETS } from "./core/respond";
import type { Certificate, TlsListener } from "./listen-tcp";
import type { ListenAddress } from "./protocol";

const PATH = "/dns-query";
const MEDIA_TYPE = "application/dns-message";
/** No query is nearly as long. */
const MAX_QUERY_OCTETS = 4_096;
/** Queries of one connection that wait for the end of their bodies at once. */
const MAX_STREAMS = 100;

/** Writes the answer to `query` into `out`; of length 0 when there is none. */
export type AnswerHttps = (
  query: Uint8Array,
  out: Uint8Array,
  address: string,
) => { readonly length: number; readonly ttlSeconds: number };

export interface HttpsEvents {
  readonly answerHttps: AnswerHttps;
  readonly counter: ConnectionCounter;
}

const scratch = new Uint8Array(MAX_TCP_OCTETS);

export async function listenHttps(
  { host, port }: ListenAddress,
  certificate: Certificate,
  { answerHttps, counter }: HttpsEvents,
): Promise<TlsListener> {
  const open = new Connections(counter);
  const server = createSecureServer({
    ...certificate,
    minVersion: "TLSv1.2",
    allowHTTP1: true,
    settings: { maxConcurrentStreams: MAX_STREAMS },
  });
  const sessions = new Set<ServerHttp2Session>();
  server.on("connection", (socket: Socket) => open.admit(socket));
  server.on("secureConnection", (socket) => {
    // A session of HTTP/2 reads past its socket, and has a timer of its own.
    if (socket.alpnProtocol !== "h2") socket.setTimeout(open.idleMs, () => socket.destroy());
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.setTimeout(open.idleMs, () => session.close());
  });
  server.on("sessionError", () => undefined);
  server.on("request", (request, response) => {
    response.on("error", () => undefined);
    void reply(request, response, answerHttps);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: isIPv6(host) }, () => resolve());
  });
  const address = server.address();
  return {
    address: { host, port: typeof address === "object" ? (address?.port ?? port) : port },
    renew: (renewed) => server.setSecureContext(renewed),
    close: async (graceMs) => {
      const done = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      const timer = setTimeout(() => open.destroy(), graceMs);
      await done;
      clearTimeout(timer);
    },
  };
}

async function reply(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  answerTo: AnswerHttps,
): Promise<void> {
  const query = await readQuery(request).catch(() => 400);
  if (typeof query === "number") return refuse(response, query);
  const { length, ttlSeconds } = answerTo(query, scratch, request.socket.remoteAddress ?? "");
  // What is no query has no answer: over HTTP one must say so.
  if (length === 0) return refuse(response, 400);
  response.writeHead(200, {
    "content-type": MEDIA_TYPE,
    "content-length": length,
    "cache-control": `max-age=${ttlSeconds}`,
  });
  response.end(Buffer.from(scratch.subarray(0, length)));
}

function refuse(response: Http2ServerResponse, status: number): void {
  response.writeHead(status, { "content-length": 0 });
  response.end();
}

/** The query, or the status that says why it is none (RFC 8484 section 4.1). */
async function readQuery(request: Http2ServerRequest): Promise<Uint8Array | number> {
  const url = new URL(request.url, "https://name.server");
  if (url.pathname !== PATH) return 404;
  if (request.method === "GET") return queryOfParameter(url.searchParams.get("dns"));
  if (request.method !== "POST") return 405;
  if (request.headers["content-type"] !== MEDIA_TYPE) return 415;
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    octets += chunk.length;
    if (octets > MAX_QUERY_OCTETS) return 413;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function queryOfParameter(text: string | null): Uint8Array | number {
  if (text === null || !/^[\w-]+$/.test(text)) return 400;
  const query = Buffer.from(text, "base64url");
  return query.length <= MAX_QUERY_OCTETS ? query : 414;
}
