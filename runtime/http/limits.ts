import {
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";

import { failureJson, invalidArgument } from "./errors";

/** What one process takes from strangers, whoever they are and however many. */
export interface Limits {
  /** Connections beyond are closed at once: each costs a file descriptor and some 20 KiB. */
  readonly connections: number;
  /**
   * Headers of a request beyond are answered 431. Encore's server reads a hundred, of which its
   * gateway adds eight.
   */
  readonly headers: number;
  /** Headers together, and the target: 431 beyond. Encore's own limit is six times this. */
  readonly headBytes: number;
  /** A head that takes longer is answered 408. Also how long a connection may stay silent at first. */
  readonly headMs: number;
  /** How often is looked for those. */
  readonly sweepMs: number;
  /** A typed endpoint does not wait longer for the next part of a body. */
  readonly bodyIdleMs: number;
  /** Of a body that nobody wants, so much is read so that the answer can be; then the connection ends. */
  readonly unreadBytes: number;
}

export const LIMITS: Limits = {
  connections: 10_000,
  headers: 92,
  headBytes: 64 * 1024,
  headMs: 20_000,
  sweepMs: 2_000,
  bodyIdleMs: 30_000,
  unreadBytes: 16 * 1024 * 1024,
};

/**
 * How long an idle connection is kept. Longer than other processes keep theirs to us, so that it is
 * the caller who closes first: a request that meets a closing connection would fail.
 */
const KEEP_ALIVE_MS = 75_000;

/** As in Encore, an upload may take as long as it takes. */
const NO_REQUEST_TIMEOUT = 0;

export function serverOptions(limits: Limits): ServerOptions {
  return {
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.sweepMs,
    requestTimeout: NO_REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Encore takes a request without a Host, and so does this.
    requireHostHeader: false,
  };
}

/** The latest response of each connection. They leave in order, so it is also the last one to leave. */
const latest = new WeakMap<Duplex, ServerResponse>();

/** Has the server answer what is no proper request, and hand on the rest. */
export function guard(server: Server, limits: Limits, answer: RequestListener): void {
  server.maxConnections = limits.connections;
  // One more than may be, so that too many are seen: Node drops the rest without a word.
  server.maxHeadersCount = limits.headers + 1;
  const receive = (message: IncomingMessage, response: ServerResponse): void => {
    latest.set(message.socket, response);
    if (message.httpVersionMajor < 1) refuse(message.socket, 400);
    else if (message.rawHeaders.length <= limits.headers * 2) answer(message, response);
    else {
      response.writeHead(431, { "content-length": 0 }).end();
      discardRest(message, limits);
    }
  };
  server.on("request", receive);
  // What a request expects changes nothing, but for 100-continue, which Node answers.
  server.on("checkExpectation", receive);
  server.on("connect", (_message, socket: Duplex) => refuse(socket, 405));
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const response = latest.get(socket);
    // The fault is in the request of which the answer is on its way, or has been.
    const isTooLate = response?.headersSent === true && !response.req.complete;
    if (error.code === "ECONNRESET" || !socket.writable || isTooLate) socket.destroy();
    else if (response === undefined || !isPending(response)) {
      refuse(socket, REFUSALS[error.code ?? ""] ?? 400, bodyOf(error));
    } else finishFirst(response, socket);
  });
}

/** A body that nobody reads would keep the connection from its next request. */
export function discardRest(message: IncomingMessage, limits: Limits): void {
  // Node lets go of what has come.
  if (message.complete) return;
  const cut = (): void => void message.socket.destroy();
  let left = limits.unreadBytes;
  const timer = setTimeout(cut, limits.headMs).unref();
  message.once("close", () => clearTimeout(timer));
  message.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) cut();
  });
}

const REFUSALS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Whether a whole request has still to be answered. */
function isPending({ req, writableFinished }: ServerResponse): boolean {
  return req.complete && !writableFinished;
}

/** What was asked before the fault is still answered; then the connection ends. */
function finishFirst(response: ServerResponse, socket: Duplex): void {
  socket.pause();
  response.shouldKeepAlive = false;
  response.once("finish", () => socket.end(() => socket.destroy()));
}

/** A method that Node does not know is one that Encore does not know either. */
function bodyOf({ code }: NodeJS.ErrnoException): string {
  if (code !== "HPE_INVALID_METHOD") return "";
  return failureJson(invalidArgument("invalid method"));
}

/** Answers on the bare connection, for which there is no response yet, and ends it. */
function refuse(socket: Duplex, status: number, json = ""): void {
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "connection: close",
    ...(json === "" ? [] : ["content-type: application/json"]),
    `content-length: ${json.length}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${json}`, () => socket.destroy());
}
