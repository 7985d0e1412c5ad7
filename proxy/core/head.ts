/**
 * Heads of HTTP/1.1 messages (RFC 9112), read strictly: what has more than one reading is refused.
 * A head comes as a latin1 string that ends with the CRLF of its last line, without the empty line.
 */
import { LIMITS } from "./limits";

/** Why a head was refused: a key of the error table. */
export type Refusal =
  | "bad_request"
  | "uri_too_long"
  | "head_too_large"
  | "method_not_allowed"
  | "expectation_failed"
  | "not_implemented"
  | "version_not_supported";

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

/** A response, as far as a proxy must understand it. */
export interface ResponseHead {
  readonly text: string;
  readonly status: number;
  readonly minor: 0 | 1;
  readonly contentLength: number;
  readonly chunked: boolean;
  readonly close: boolean;
  /** Confirms a WebSocket upgrade. */
  readonly upgrade: boolean;
  readonly date: boolean;
  readonly eventStream: boolean;
  readonly drops: readonly number[];
}

const Kind = {
  Pass: 0,
  Drop: 1,
  Refuse: 2,
  Host: 3,
  ContentLength: 4,
  TransferEncoding: 5,
  Connection: 6,
  Upgrade: 7,
  Expect: 8,
  Te: 9,
  Trailer: 10,
  Hop: 11,
  Traceparent: 12,
  Tracestate: 13,
  Accept: 14,
  Date: 15,
  ContentType: 16,
} as const;
type Kind = (typeof Kind)[keyof typeof Kind];

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Controls but HTAB, CR and LF; CR or LF alone (RFC 9112 section 2.2, RFC 9110 section 5.5). */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|[^\r]\n/;
const LENGTH = /^[0-9]{1,15}$/;
const AUTHORITY = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const REQUEST_KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["host", Kind.Host],
  ["content-length", Kind.ContentLength],
  ["transfer-encoding", Kind.TransferEncoding],
  ["connection", Kind.Connection],
  ["upgrade", Kind.Upgrade],
  ["expect", Kind.Expect],
  ["te", Kind.Te],
  ["trailer", Kind.Trailer],
  ["stele-hop", Kind.Hop],
  ["traceparent", Kind.Traceparent],
  ["tracestate", Kind.Tracestate],
  ["accept", Kind.Accept],
  ["keep-alive", Kind.Drop],
  ["proxy-connection", Kind.Drop],
  ["proxy-authorization", Kind.Drop],
  ["http2-settings", Kind.Drop],
  ["forwarded", Kind.Drop],
  ["x-real-ip", Kind.Drop],
  ["x-request-id", Kind.Drop],
]);

const RESPONSE_KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["content-length", Kind.ContentLength],
  ["transfer-encoding", Kind.TransferEncoding],
  ["connection", Kind.Connection],
  ["upgrade", Kind.Upgrade],
  ["trailer", Kind.Trailer],
  ["date", Kind.Date],
  ["content-type", Kind.ContentType],
  ["keep-alive", Kind.Drop],
  ["proxy-connection", Kind.Drop],
  ["proxy-authenticate", Kind.Drop],
  ["te", Kind.Drop],
  ["x-request-id", Kind.Drop],
  // It would send other visitors to an address that the app chose.
  ["alt-svc", Kind.Drop],
]);

/** Fields that only the platform may speak. */
const PLATFORM = /^(?:x-forwarded|stele|x-stele|x-encore)(?:-|$)/;
/** What `Connection` may not take away (RFC 9110 section 7.6.1 lets it name anything). */
const PROTECTED =
  /^(?:host|content-length|transfer-encoding|trailer|forwarded|x-real-ip|x-request-id|traceparent|tracestate|cookie|authorization|(?:x-forwarded|stele|x-stele|x-encore)(?:-.*)?)$/;

/**
 * Kinds by the spelling seen, so that lower-casing and token checks happen once a spelling.
 * Capped: a visitor who invents names pays for the check each time and fills nothing.
 */
class Spellings {
  private readonly kinds = new Map<string, Kind>();
  private readonly classify: (name: string) => Kind;

  constructor(classify: (name: string) => Kind) {
    this.classify = classify;
  }

  kindOf(name: string): Kind {
    const known = this.kinds.get(name);
    if (known !== undefined) return known;
    const kind = this.classify(name);
    // Joined anew: a slice would keep the whole head that it was cut from.
    if (this.kinds.size < 512) this.kinds.set([...name].join(""), kind);
    return kind;
  }
}

function classifyRequestField(name: string): Kind {
  if (!TOKEN.test(name)) return Kind.Refuse;
  const lower = name.toLowerCase();
  const known = REQUEST_KINDS.get(lower);
  if (known !== undefined) return known;
  // CGI-like apps read `_` and `.` as `-`, so these spellings mean the same to them.
  const folded = lower.replace(/[_.]/g, "-");
  if (PLATFORM.test(folded)) return Kind.Drop;
  const alias = REQUEST_KINDS.get(folded);
  if (alias === undefined || folded === lower) return Kind.Pass;
  return alias === Kind.Drop || alias >= Kind.Expect ? Kind.Drop : Kind.Refuse;
}

function classifyResponseField(name: string): Kind {
  if (!TOKEN.test(name)) return Kind.Refuse;
  const lower = name.toLowerCase();
  return RESPONSE_KINDS.get(lower) ?? (PLATFORM.test(lower) ? Kind.Drop : Kind.Pass);
}

const requestSpellings = new Spellings(classifyRequestField);
const responseSpellings = new Spellings(classifyResponseField);

/** What the fields of one head said. Filled line by line, judged once at the end. */
class Fields {
  host = "";
  hosts = 0;
  contentLength = -1;
  /** Malformed, or a second one that differs. */
  badLength = false;
  /** Content-Length fields beyond the first. */
  lengths = 0;
  transferEncoding = "";
  connection = "";
  upgrade = "";
  expect = "";
  te = "";
  hop = "";
  hops = 0;
  traceparent = "";
  tracestate = "";
  accept = "";
  date = false;
  contentType = "";
  trailerFrom = 0;
  trailerTo = 0;
  drops: number[] = [];
}

function valueOf(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function joined(list: string, value: string): string {
  return list === "" ? value : `${list}, ${value}`;
}

/** Walks the field lines from `from`; undefined when all are well-formed. */
function readFields(
  text: string,
  from: number,
  spellings: Spellings,
  fields: Fields,
): Refusal | undefined {
  let count = 0;
  let start = from;
  while (start < text.length) {
    const end = text.indexOf("\r\n", start);
    const colon = text.indexOf(":", start);
    if (colon < 0 || colon > end) return "bad_request";
    if (++count > LIMITS.headFields || colon - start > LIMITS.fieldNameBytes) {
      return "head_too_large";
    }
    const kind = spellings.kindOf(text.slice(start, colon));
    if (kind === Kind.Refuse) return "bad_request";
    if (kind !== Kind.Pass) note(kind, text, start, colon + 1, end, fields);
    start = end + 2;
  }
  return undefined;
}

// oxlint-disable-next-line complexity -- one line a kind
function note(
  kind: Kind,
  text: string,
  start: number,
  from: number,
  end: number,
  fields: Fields,
): void {
  const value = kind === Kind.Drop ? "" : valueOf(text, from, end);
  switch (kind) {
    case Kind.Host:
      fields.host = value;
      fields.hosts++;
      return;
    case Kind.Accept:
      fields.accept = joined(fields.accept, value);
      return;
    case Kind.Date:
      fields.date = true;
      return;
    case Kind.ContentType:
      fields.contentType = value;
      return;
    case Kind.Expect:
      fields.expect = joined(fields.expect, value);
      break;
    case Kind.Trailer:
      fields.trailerFrom = start;
      fields.trailerTo = end + 2;
      return;
    case Kind.ContentLength:
      noteLength(value, fields);
      break;
    case Kind.TransferEncoding:
      fields.transferEncoding = joined(fields.transferEncoding, value === "" ? "?" : value);
      break;
    case Kind.Connection:
      fields.connection = joined(fields.connection, value);
      break;
    case Kind.Upgrade:
      fields.upgrade = joined(fields.upgrade, value);
      break;
    case Kind.Te:
      fields.te = joined(fields.te, value);
      break;
    case Kind.Hop:
      fields.hop = value === "" ? "?" : value;
      fields.hops++;
      break;
    case Kind.Traceparent:
      fields.traceparent = joined(fields.traceparent, value);
      break;
    case Kind.Tracestate:
      fields.tracestate = joined(fields.tracestate, value);
      break;
    default:
      break;
  }
  fields.drops.push(start, end + 2);
}

function noteLength(value: string, fields: Fields): void {
  const length = LENGTH.test(value) ? Number(value) : -2;
  if (length === -2 || (fields.contentLength >= 0 && fields.contentLength !== length)) {
    fields.badLength = true;
  }
  if (fields.contentLength >= 0) fields.lengths++;
  fields.contentLength = length;
}

interface StartLine {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly minor: 0 | 1;
  readonly verbatim: boolean;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

function readStartLine(text: string, lineEnd: number): StartLine | Refusal {
  const methodEnd = text.indexOf(" ");
  const targetEnd = text.lastIndexOf(" ", lineEnd);
  if (methodEnd <= 0 || targetEnd <= methodEnd + 1 || targetEnd >= lineEnd) return "bad_request";
  const version = text.slice(targetEnd + 1, lineEnd);
  const method = text.slice(0, methodEnd);
  if (!METHODS.has(method) && !(method.length <= LIMITS.methodBytes && TOKEN.test(method))) {
    return "bad_request";
  }
  const target = text.slice(methodEnd + 1, targetEnd);
  if (target.includes(" ") || target.includes("\t") || target.includes("#")) return "bad_request";
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0" && !/^HTTP\/1\.[2-9]$/.test(version)) {
    return /^HTTP\/[0-9]\.[0-9]$/.test(version) ? "version_not_supported" : "bad_request";
  }
  if (target.length > LIMITS.targetBytes) return "uri_too_long";
  if (method === "CONNECT" || method === "TRACE") return "method_not_allowed";
  const minor = version === "HTTP/1.0" ? 0 : 1;
  const verbatim = version === "HTTP/1.1";
  if (target.charCodeAt(0) === 47) return { method, target, authority: "", minor, verbatim };
  if (target === "*" && method === "OPTIONS") {
    return { method, target, authority: "", minor, verbatim };
  }
  return readAbsoluteForm(method, target, minor);
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
    upgrade:
      connection.upgrade &&
      line.minor === 1 &&
      line.method === "GET" &&
      !chunked &&
      fields.contentLength <= 0 &&
      fields.upgrade.toLowerCase() === "websocket",
    expectContinue: expect !== "",
    trailers: fields.te !== "" && /(?:^|,)[ \t]*trailers[ \t]*(?:,|;|$)/i.test(fields.te),
    html: fields.accept !== "" && fields.accept.toLowerCase().includes("text/html"),
    hop: fields.hop,
    traceparent: TRACEPARENT.test(fields.traceparent) ? fields.traceparent : "",
    tracestate: TRACEPARENT.test(fields.traceparent) ? fields.tracestate : "",
    drops: fields.drops,
  };
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

interface ConnectionTokens {
  close: boolean;
  keepAlive: boolean;
  upgrade: boolean;
  nominated: string[];
}

const NO_TOKENS: ConnectionTokens = {
  close: false,
  keepAlive: false,
  upgrade: false,
  nominated: [],
};
const KEEP_ALIVE: ConnectionTokens = { ...NO_TOKENS, keepAlive: true };
const CLOSE: ConnectionTokens = { ...NO_TOKENS, close: true };
const ALREADY_DROPPED = /^(?:te|http2-settings|proxy-connection|)$/;

function tokensOf(list: string): ConnectionTokens {
  if (list === "") return NO_TOKENS;
  if (list === "keep-alive") return KEEP_ALIVE;
  if (list === "close") return CLOSE;
  const tokens: ConnectionTokens = { ...NO_TOKENS, nominated: [] };
  for (const part of list.split(",")) {
    const token = valueOf(part, 0, part.length).toLowerCase();
    if (token === "close") tokens.close = true;
    else if (token === "keep-alive") tokens.keepAlive = true;
    else if (token === "upgrade") tokens.upgrade = true;
    else if (!ALREADY_DROPPED.test(token)) tokens.nominated.push(token);
  }
  return tokens;
}

/** The head without the fields that its `Connection` names (RFC 9110 section 7.6.1). */
function without(text: string, from: number, names: readonly string[]): string {
  let kept = text.slice(0, from);
  let start = from;
  while (start < text.length) {
    const end = text.indexOf("\r\n", start) + 2;
    const name = text.slice(start, text.indexOf(":", start)).toLowerCase();
    if (!names.includes(name)) kept += text.slice(start, end);
    start = end;
  }
  return kept;
}

/** Drops the Trailer line of a message without trailers, keeping the ranges in order. */
function dropTrailer(fields: Fields): void {
  let at = 0;
  while (at < fields.drops.length && (fields.drops[at] as number) < fields.trailerFrom) at += 2;
  fields.drops.splice(at, 0, fields.trailerFrom, fields.trailerTo);
}

/**
 * Reads the head of a response; undefined when it cannot be trusted (the visitor gets a 502).
 * Source: RFC 9112 sections 4 to 6. Apps are other people's code: their heads are hostile input too.
 */
export function parseResponseHead(text: string): ResponseHead | undefined {
  if (text.length > LIMITS.responseHeadBytes || FORBIDDEN.test(text)) return undefined;
  return readResponse(text, true);
}

function readResponse(text: string, nominations: boolean): ResponseHead | undefined {
  const lineEnd = text.indexOf("\r\n");
  const status = statusOf(text, lineEnd);
  if (status === 0 || !text.endsWith("\r\n")) return undefined;
  const minor = text.charCodeAt(7) === 49 ? 1 : 0;
  const fields = new Fields();
  if (readFields(text, lineEnd + 2, responseSpellings, fields) !== undefined) return undefined;
  const chunked = fields.transferEncoding !== "";
  if (fields.badLength || (chunked && (fields.contentLength >= 0 || minor === 0))) return undefined;
  if (chunked && fields.transferEncoding.toLowerCase() !== "chunked") return undefined;
  const connection = tokensOf(fields.connection);
  if (connection.nominated.length > 0 && nominations) {
    const names = connection.nominated.filter((name) => !PROTECTED.test(name));
    return readResponse(without(text, lineEnd + 2, names), false);
  }
  if (!chunked && fields.trailerTo > 0) dropTrailer(fields);
  return {
    text,
    status,
    minor,
    contentLength: fields.contentLength,
    chunked,
    close: connection.close || (minor === 0 && !connection.keepAlive),
    upgrade: connection.upgrade && fields.upgrade.toLowerCase() === "websocket",
    date: fields.date,
    eventStream: /^text\/event-stream(?:[ \t]*;|$)/i.test(fields.contentType),
    drops: fields.drops,
  };
}

/** The status of `HTTP/1.x NNN reason`, or 0. */
function statusOf(text: string, lineEnd: number): number {
  if (lineEnd < 12 || !(text.startsWith("HTTP/1.1 ") || text.startsWith("HTTP/1.0 "))) return 0;
  if (lineEnd > 12 && text.charCodeAt(12) !== 32) return 0;
  const digits = text.slice(9, 12);
  return /^[1-5][0-9]{2}$/.test(digits) ? Number(digits) : 0;
}

/** Fields that a trailer may not carry: framing, routing, authentication, payload (RFC 9110 6.5.1). */
const NOT_A_TRAILER =
  /^(?:content-|x-forwarded|stele|x-stele|x-encore|proxy-|sec-)|^(?:host|transfer-encoding|connection|keep-alive|te|trailer|upgrade|authorization|www-authenticate|cookie|set-cookie|forwarded|x-real-ip|x-request-id|expect|max-forwards|cache-control|range|date|age|expires|location|retry-after|vary|warning|pragma|http2-settings|alt-svc|traceparent|tracestate|if-.*)$/;

/**
 * The trailer section that may be sent on, from the lines received (each with its CRLF).
 * Undefined when a line is malformed or there are too many.
 */
export function filterTrailers(text: string): string | undefined {
  if (FORBIDDEN.test(text)) return undefined;
  let kept = "";
  let count = 0;
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf("\r\n", start) + 2;
    const colon = text.indexOf(":", start);
    if (end < 2 || colon < 0 || colon >= end || ++count > LIMITS.trailerFields) return undefined;
    const name = text.slice(start, colon);
    if (!TOKEN.test(name)) return undefined;
    const folded = name.toLowerCase().replace(/[_.]/g, "-");
    if (!NOT_A_TRAILER.test(folded)) kept += text.slice(start, end);
    start = end;
  }
  return kept;
}
