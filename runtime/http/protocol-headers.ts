import type { IncomingMessage } from "node:http";
import { invalidArgument } from "./errors";

const PROTOCOL = "sec-websocket-protocol";

/** What precedes headers in the list of subprotocols: a browser can set no headers of a WebSocket. */
const PREFIX = "encore.dev.headers.";

/** What a script in a browser may not set otherwise, it may not set this way either. */
const FORBIDDEN = new Set([
  "accept-charset",
  "accept-encoding",
  "access-control-request-headers",
  "access-control-request-method",
  "connection",
  "content-length",
  "cookie",
  "date",
  "dnt",
  "expect",
  "host",
  "keep-alive",
  "origin",
  "permissions-policy",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
]);
const FORBIDDEN_PREFIXES = ["sec-", "proxy-"];

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/**
 * Turns the headers that a client has put into its list of subprotocols into headers of the request.
 *
 * @throws Failure when they cannot be read, or one of them is not allowed
 */
export function adoptProtocolHeaders(request: IncomingMessage): void {
  const offered = request.headers[PROTOCOL];
  if (offered === undefined || !offered.includes(PREFIX)) return;
  const entries = offered.split(",").map((entry) => entry.trim());
  const carried = entries.filter((entry) => entry.startsWith(PREFIX));
  const rest = entries.filter((entry) => !entry.startsWith(PREFIX));
  const added = carried.flatMap((entry) => readHeaders(entry.slice(PREFIX.length)));
  dropHeader(request, PROTOCOL);
  if (rest.length > 0) addHeader(request, PROTOCOL, rest.join(", "));
  for (const [name, value] of added) addHeader(request, name, value);
}

function readHeaders(encoded: string): [string, string][] {
  const headers = parse(encoded);
  return Object.entries(headers).map(([given, value]) => {
    const name = given.toLowerCase();
    if (FORBIDDEN.has(name) || FORBIDDEN_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      throw refusal(`header ${name} not allowed to be set`);
    }
    if (!NAME.test(name)) throw refusal(`"${given}" is no name of a header`);
    if (typeof value !== "string" || !VALUE.test(value)) {
      throw refusal(`header ${name} has no valid value`);
    }
    return [name, value];
  });
}

function parse(encoded: string): object {
  let json: unknown;
  try {
    if (!BASE64URL.test(encoded)) throw new Error("not Base64");
    json = JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    throw refusal("expected JSON in unpadded URL-safe Base64");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw refusal("expected an object of headers");
  }
  return json;
}

function refusal(reason: string): Error {
  return invalidArgument(`invalid auth data passed in websocket protocol header: ${reason}`);
}

function addHeader(request: IncomingMessage, name: string, value: string): void {
  request.rawHeaders.push(name, value);
  const known = request.headers[name];
  request.headers[name] = known === undefined ? value : `${String(known)}, ${value}`;
}

function dropHeader(request: IncomingMessage, name: string): void {
  const raw = request.rawHeaders;
  for (let at = raw.length - 2; at >= 0; at -= 2) {
    if ((raw[at] as string).toLowerCase() === name) raw.splice(at, 2);
  }
  delete request.headers[name];
}
