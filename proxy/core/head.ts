/**
 * Heads of HTTP/1.1 requests (RFC 9112), read strictly: what has more than one reading is refused.
 * A head comes as a latin1 string that ends with the CRLF of its last line, without the empty line.
 */
import {
  type ConnectionTokens,
  dropTrailer,
  Fields,
  FORBIDDEN,
  PROTECTED,
  readFields,
  type Refusal,
  requestSpellings,
  TOKEN,
  tokensOf,
  valueOf,
  without,
} from "./head-fields";
import { LIMITS } from "./limits";

/** A request, as far as a proxy must understand it. Field lines stay in `text`, untouched. */
export interface RequestHead {
  readonly text: string;
  readonly method: string;
  /** Origin form, or `*`. */
  readonly target: string;
  /** The start line can be sent on as it came. */
  readonly verbatim: boolean;
  readonly minor: 0 | 1;
  /** As the visitor sent it; empty only on HTTP/1.0. */
  readonly host: string;
  /** -1: none. */
  readonly contentLength: number;
  readonly chunked: boolean;
  /** The visitor's connection ends after this exchange. */
  readonly close: boolean;
  /** A well-formed WebSocket upgrade. */
  readonly upgrade: boolean;
  readonly expectContinue: boolean;
  readonly trailers: boolean;
  /** Accepts text/html. */
  readonly html: boolean;
  readonly hop: string;
  readonly traceparent: string;
  readonly tracestate: string;
  /** Ranges of `text` that are not sent on: start, end, start, end, … */
  readonly drops: readonly number[];
}

const AUTHORITY = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:,|;|$)/i;
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

interface StartLine {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly minor: 0 | 1;
  readonly verbatim: boolean;
}

/** Controls are refused for the whole head; the rest passes as browsers send it. */
const BAD_TARGET = /[ \t#]/;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

function readStartLine(text: string, lineEnd: number): StartLine | Refusal {
  const methodEnd = text.indexOf(" ");
  const targetEnd = text.lastIndexOf(" ", lineEnd);
  if (methodEnd <= 0 || targetEnd <= methodEnd + 1 || targetEnd >= lineEnd) return "bad_request";
  const version = text.slice(targetEnd + 1, lineEnd);
  const method = text.slice(0, methodEnd);
  const target = text.slice(methodEnd + 1, targetEnd);
  if (!isMethod(method) || BAD_TARGET.test(target)) return "bad_request";
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0" && !/^HTTP\/1\.[2-9]$/.test(version)) {
    return /^HTTP\/[0-9]\.[0-9]$/.test(version) ? "version_not_supported" : "bad_request";
  }
  if (target.length > LIMITS.targetBytes) return "uri_too_long";
  if (method === "CONNECT" || method === "TRACE") return "method_not_allowed";
  const minor = version === "HTTP/1.0" ? 0 : 1;
  const origin = target.charCodeAt(0) === 47 || (target === "*" && method === "OPTIONS");
  if (!origin) return readAbsoluteForm(method, target, minor);
  return { method, target, authority: "", minor, verbatim: version === "HTTP/1.1" };
}

function isMethod(text: string): boolean {
  return METHODS.has(text) || (text.length <= LIMITS.methodBytes && TOKEN.test(text));
}

/** `http://authority/path` (RFC 9112 section 3.2.2). */
function readAbsoluteForm(method: string, target: string, minor: 0 | 1): StartLine | Refusal {
  const match = /^https?:\/\/([^/?]+)(\/[^]*|\?[^]*)?$/i.exec(target);
  const authority = match?.[1];
  if (authority === undefined) return "bad_request";
  const path = match?.[2] ?? "/";
  const origin = path.charCodeAt(0) === 63 ? `/${path}` : path;
  return { method, target: origin, authority, minor, verbatim: false };
}

/**
 * Reads the head of a request. Total: any string gives a head or a refusal.
 * Source: RFC 9112 sections 2 to 6, refusing wherever it permits leniency.
 */
export function parseRequestHead(text: string): RequestHead | Refusal {
  if (text.length > LIMITS.headBytes) return oversized(text);
  if (FORBIDDEN.test(text)) return "bad_request";
  return readRequest(text, true);
}

/** Which refusal an over-long head, complete or not, deserves: the first line is to blame or not. */
export function oversized(text: string): Refusal {
  const lineEnd = text.indexOf("\r\n");
  const longLine = lineEnd < 0 || lineEnd > LIMITS.targetBytes + LIMITS.methodBytes + 10;
  return longLine ? "uri_too_long" : "head_too_large";
}

function readRequest(text: string, nominations: boolean): RequestHead | Refusal {
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0 || !text.endsWith("\r\n")) return "bad_request";
  const line = readStartLine(text, lineEnd);
  if (typeof line === "string") return line;
  const fields = new Fields();
  const refusal =
    readFields(text, lineEnd + 2, requestSpellings, fields) ??
    judgeFraming(fields, line.minor) ??
    judgeHost(fields, line) ??
    (fields.hops > 1 ? "bad_request" : undefined);
  if (refusal !== undefined) return refusal;
  const connection = tokensOf(fields.connection);
  if (connection.nominated.length > 0 && nominations) {
    if (connection.nominated.some((name) => PROTECTED.test(name.replace(/[_.]/g, "-")))) {
      return "bad_request";
    }
    return readRequest(without(text, lineEnd + 2, connection.nominated), false);
  }
  return requestHead(text, line, fields, connection);
}

function requestHead(
  text: string,
  line: StartLine,
  fields: Fields,
  connection: ConnectionTokens,
): RequestHead | Refusal {
  const chunked = fields.transferEncoding !== "";
  const expect = line.minor === 1 ? fields.expect.toLowerCase() : "";
  if (expect !== "" && expect !== "100-continue") return "expectation_failed";
  if (!chunked && fields.trailerTo > 0) dropTrailer(fields);
  const traced = fields.traceparent !== "" && TRACEPARENT.test(fields.traceparent);
  return {
    text,
    method: line.method,
    target: line.target,
    verbatim: line.verbatim,
    minor: line.minor,
    host: fields.host,
    contentLength: chunked ? -1 : fields.contentLength,
    chunked,
    close: connection.close || (line.minor === 0 && !connection.keepAlive),
    upgrade: connection.upgrade && isWebSocket(line, fields),
    expectContinue: expect !== "",
    trailers: fields.te !== "" && TRAILERS.test(fields.te),
    html: fields.accept !== "" && fields.accept.toLowerCase().includes("text/html"),
    hop: fields.hop,
    traceparent: traced ? fields.traceparent : "",
    tracestate: traced ? fields.tracestate : "",
    drops: fields.drops,
  };
}

/** RFC 6455 section 4.1. Any other upgrade is dropped, h2c above all. */
function isWebSocket({ method, minor }: StartLine, fields: Fields): boolean {
  const bodiless = fields.transferEncoding === "" && fields.contentLength <= 0;
  return (
    method === "GET" && minor === 1 && bodiless && fields.upgrade.toLowerCase() === "websocket"
  );
}

function judgeFraming(fields: Fields, minor: 0 | 1): Refusal | undefined {
  if (fields.badLength || fields.lengths > 0) return "bad_request";
  if (fields.transferEncoding === "") return undefined;
  if (fields.contentLength >= 0 || minor === 0) return "bad_request";
  const coding = fields.transferEncoding.toLowerCase();
  if (coding === "chunked") return undefined;
  return coding.split(",").every((part) => TOKEN.test(valueOf(part, 0, part.length)))
    ? "not_implemented"
    : "bad_request";
}

function judgeHost(fields: Fields, line: StartLine): Refusal | undefined {
  if (fields.hosts > 1) return "bad_request";
  if (fields.hosts === 0)
    return line.minor === 0 && line.authority === "" ? undefined : "bad_request";
  if (!AUTHORITY.test(fields.host)) return "bad_request";
  if (line.authority === "") return undefined;
  const same = withoutDefaultPort(line.authority) === withoutDefaultPort(fields.host);
  return same ? undefined : "bad_request";
}

function withoutDefaultPort(authority: string): string {
  return authority.toLowerCase().replace(/:80$/, "");
}
