/**
 * The heads that we write. Runs of untouched lines are taken over as they came, order and spelling
 * included; what is between them was dropped by the parser; our own lines follow.
 */
import type { RequestHead } from "./head";
import type { ResponseHead } from "./response-head";

/** What an app is told about a request, beside what its visitor said. */
export interface RequestContext {
  readonly clientIp: string;
  readonly proto: "http" | "https";
  readonly requestId: string;
  /** A valid W3C traceparent. */
  readonly traceparent: string;
  /** The Stele-Hop field's value, on the way to a peer. */
  readonly hop: string;
}

/** The text without its dropped ranges, from `from`. */
export function keep(text: string, from: number, drops: readonly number[]): string {
  if (drops.length === 0) return from === 0 ? text : text.slice(from);
  let kept = "";
  let at = from;
  for (let index = 0; index < drops.length; index += 2) {
    const start = drops[index] as number;
    if (start > at) kept += text.slice(at, start);
    at = drops[index + 1] as number;
  }
  return at < text.length ? kept + text.slice(at) : kept;
}

/** The head to send upstream, with its empty line. */
export function requestText(head: RequestHead, context: RequestContext): string {
  const fieldsAt = head.text.indexOf("\r\n") + 2;
  let text = head.verbatim
    ? keep(head.text, 0, head.drops)
    : `${head.method} ${head.target} HTTP/1.1\r\n${keep(head.text, fieldsAt, head.drops)}`;
  if (head.chunked) text += "Transfer-Encoding: chunked\r\n";
  else if (head.contentLength >= 0) text += `Content-Length: ${head.contentLength}\r\n`;
  text +=
    `${clientFields(context.clientIp, context.proto)}X-Forwarded-Host: ${head.host}\r\n` +
    `X-Forwarded-Port: ${portOf(head.host, context.proto)}\r\n` +
    `Forwarded: for=${quotedIp(context.clientIp)};proto=${context.proto}${forwardedHost(head.host)}\r\n` +
    `X-Request-Id: ${context.requestId}\r\ntraceparent: ${context.traceparent}\r\n`;
  if (head.tracestate !== "") text += `tracestate: ${head.tracestate}\r\n`;
  if (context.hop !== "") text += `Via: 1.1 stele\r\nStele-Hop: ${context.hop}\r\n`;
  if (head.expectContinue) text += "Expect: 100-continue\r\n";
  return text + connection(head);
}

function connection(head: RequestHead): string {
  if (head.upgrade) return "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  return head.trailers ? "TE: trailers\r\nConnection: TE\r\n\r\n" : "\r\n";
}

function clientFields(clientIp: string, proto: string): string {
  return `X-Forwarded-For: ${clientIp}\r\nX-Forwarded-Proto: ${proto}\r\n`;
}

function quotedIp(clientIp: string): string {
  return clientIp.includes(":") ? `"[${clientIp}]"` : clientIp;
}

/** RFC 7239 section 4: a value that is no token is quoted. A valid Host holds no quote. */
function forwardedHost(host: string): string {
  if (host === "") return "";
  return host.includes(":") ? `;host="${host}"` : `;host=${host}`;
}

function portOf(host: string, proto: "http" | "https"): string {
  const port = /:([0-9]+)$/.exec(host)?.[1];
  return port ?? (proto === "https" ? "443" : "80");
}

/** How a response's body leaves for the visitor. */
export type BodyForm = "none" | "length" | "chunked" | "close";

export interface ResponseContext {
  readonly form: BodyForm;
  /** With HEAD and 304 a length may stand without a body. */
  readonly length: number;
  readonly close: boolean;
  /** An HTTP/1.0 visitor that asked for keep-alive. */
  readonly keepAlive: boolean;
  readonly requestId: string;
  readonly date: string;
  /** 101: the two fields that open the tunnel. */
  readonly upgrade: boolean;
  /** Milliseconds that the request was held; 0: it was not. */
  readonly heldMs: number;
}

/** The head to send to the visitor, with its empty line. */
export function responseText(head: ResponseHead, context: ResponseContext): string {
  const kept =
    head.minor === 1 ? keep(head.text, 0, head.drops) : `HTTP/1.1${keep(head.text, 8, head.drops)}`;
  let text = kept;
  if (context.form === "chunked") text += "Transfer-Encoding: chunked\r\n";
  else if (context.length >= 0) text += `Content-Length: ${context.length}\r\n`;
  if (!head.date) text += `Date: ${context.date}\r\n`;
  if (context.heldMs > 0) text += `Server-Timing: hold;dur=${context.heldMs}\r\n`;
  text += `X-Request-Id: ${context.requestId}\r\n`;
  if (context.upgrade) return `${text}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  if (context.close) return `${text}Connection: close\r\n\r\n`;
  return context.keepAlive ? `${text}Connection: keep-alive\r\n\r\n` : `${text}\r\n`;
}

/** An interim response (1xx), as it passes to the visitor. */
export function interimText(head: ResponseHead): string {
  return `${keep(head.text, 0, head.drops)}\r\n`;
}
