/** Heads of HTTP/1.1 responses (RFC 9112). Apps are other people's code: theirs are hostile input too. */
import {
  dropTrailer,
  Fields,
  FORBIDDEN,
  PROTECTED,
  readFields,
  responseSpellings,
  tokensOf,
  without,
} from "./head-fields";
import { LIMITS } from "./limits";

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

const EVENT_STREAM = /^text\/event-stream(?:[ \t]*;|$)/i;

/**
 * Reads the head of a response; undefined when it cannot be trusted (the visitor gets a 502).
 * Source: RFC 9112 sections 4 to 6.
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
  if (!isFramed(fields, minor)) return undefined;
  const connection = tokensOf(fields.connection);
  if (connection.nominated.length > 0 && nominations) {
    const names = connection.nominated.filter((name) => !PROTECTED.test(name));
    return readResponse(without(text, lineEnd + 2, names), false);
  }
  const chunked = fields.transferEncoding !== "";
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
    eventStream: fields.contentType !== "" && EVENT_STREAM.test(fields.contentType),
    drops: fields.drops,
  };
}

/** The body has one reading: a length, equal ones included, or chunked alone, or neither. */
function isFramed(fields: Fields, minor: 0 | 1): boolean {
  if (fields.badLength) return false;
  if (fields.transferEncoding === "") return true;
  const chunked = fields.transferEncoding.toLowerCase() === "chunked";
  return chunked && fields.contentLength < 0 && minor === 1;
}

/** The status of `HTTP/1.x NNN reason`, or 0. */
function statusOf(text: string, lineEnd: number): number {
  if (lineEnd < 12 || !(text.startsWith("HTTP/1.1 ") || text.startsWith("HTTP/1.0 "))) return 0;
  if (lineEnd > 12 && text.charCodeAt(12) !== 32) return 0;
  const digits = text.slice(9, 12);
  return /^[1-5][0-9]{2}$/.test(digits) ? Number(digits) : 0;
}
