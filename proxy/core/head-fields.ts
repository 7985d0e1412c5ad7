/**
 * The field lines of a head (RFC 9112 section 5), walked once: what a proxy must understand is noted,
 * what must not pass is marked, the rest stays untouched in the text.
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

export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Controls but HTAB, CR and LF; CR or LF alone (RFC 9112 section 2.2, RFC 9110 section 5.5). */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
export const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|[^\r]\n/;
const LENGTH = /^[0-9]{1,15}$/;
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
export const PROTECTED =
  /^(?:host|content-length|transfer-encoding|trailer|forwarded|x-real-ip|x-request-id|traceparent|tracestate|cookie|authorization|(?:x-forwarded|stele|x-stele|x-encore)(?:-.*)?)$/;

/**
 * Kinds by the spelling seen, so that lower-casing and token checks happen once a spelling.
 * Capped: a visitor who invents names pays for the check each time and fills nothing.
 */
export class Spellings {
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
    if (this.kinds.size < 512) this.kinds.set(Array.from(name).join(""), kind);
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

export const requestSpellings = new Spellings(classifyRequestField);
export const responseSpellings = new Spellings(classifyResponseField);

/** What the fields of one head said. Filled line by line, judged once at the end. */
export class Fields {
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

export function valueOf(text: string, from: number, to: number): string {
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
export function readFields(
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
    if (kind !== Kind.Pass) {
      const value = kind === Kind.Drop ? "" : valueOf(text, colon + 1, end);
      if (note(kind, value, fields)) fields.drops.push(start, end + 2);
      if (kind === Kind.Trailer) [fields.trailerFrom, fields.trailerTo] = [start, end + 2];
    }
    start = end + 2;
  }
  return undefined;
}

/** Notes what a field says; true when its line is not sent on. */
// oxlint-disable-next-line complexity -- one line a kind
function note(kind: Kind, value: string, fields: Fields): boolean {
  switch (kind) {
    case Kind.Pass:
    case Kind.Trailer:
      return false;
    case Kind.Host:
      fields.host = value;
      fields.hosts++;
      return false;
    case Kind.Accept:
      fields.accept = joined(fields.accept, value);
      return false;
    case Kind.Date:
      fields.date = true;
      return false;
    case Kind.ContentType:
      fields.contentType = value;
      return false;
    case Kind.Expect:
      fields.expect = joined(fields.expect, value);
      return true;
    case Kind.ContentLength:
      noteLength(value, fields);
      return true;
    case Kind.TransferEncoding:
      fields.transferEncoding = joined(fields.transferEncoding, value === "" ? "?" : value);
      return true;
    case Kind.Connection:
      fields.connection = joined(fields.connection, value);
      return true;
    case Kind.Upgrade:
      fields.upgrade = joined(fields.upgrade, value);
      return true;
    case Kind.Te:
      fields.te = joined(fields.te, value);
      return true;
    case Kind.Hop:
      fields.hop = value === "" ? "?" : value;
      fields.hops++;
      return true;
    case Kind.Traceparent:
      fields.traceparent = joined(fields.traceparent, value);
      return true;
    case Kind.Tracestate:
      fields.tracestate = joined(fields.tracestate, value);
      return true;
    case Kind.Drop:
    case Kind.Refuse:
      return true;
  }
}

function noteLength(value: string, fields: Fields): void {
  const length = LENGTH.test(value) ? Number(value) : -2;
  if (length === -2 || (fields.contentLength >= 0 && fields.contentLength !== length)) {
    fields.badLength = true;
  }
  if (fields.contentLength >= 0) fields.lengths++;
  fields.contentLength = length;
}

export interface ConnectionTokens {
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

export function tokensOf(list: string): ConnectionTokens {
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
export function without(text: string, from: number, names: readonly string[]): string {
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
export function dropTrailer(fields: Fields): void {
  let at = 0;
  while (at < fields.drops.length && (fields.drops[at] as number) < fields.trailerFrom) at += 2;
  fields.drops.splice(at, 0, fields.trailerFrom, fields.trailerTo);
}
