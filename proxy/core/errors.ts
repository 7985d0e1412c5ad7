/**
 * Every answer that the proxy gives in its own name: one table, for browsers as a page, for others
 * as JSON. `error` in Proxy-Status is a registered type of RFC 9209 section 2.3, so that a platform's
 * fault can be told from an app's.
 */

export interface ErrorKind {
  readonly status: number;
  readonly reason: string;
  /** One sentence for the visitor. Names no other tenant and no address. */
  readonly message: string;
  readonly proxyError: string;
  /** Seconds; 0: not worth repeating. */
  readonly retryAfter: number;
}

/** RFC 9110 section 15, RFC 6585, RFC 5842. */
const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  414: "URI Too Long",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  508: "Loop Detected",
};

const kind = (status: number, message: string, proxyError: string, retryAfter = 0): ErrorKind => ({
  status,
  reason: REASONS[status] ?? "",
  message,
  proxyError,
  retryAfter,
});

export const ERRORS = {
  bad_request: kind(400, "The request is malformed.", "http_request_error"),
  hop_refused: kind(403, "The hop is not authentic.", "http_request_denied"),
  not_found: kind(404, "No app has this address.", "destination_not_found"),
  method_not_allowed: kind(405, "This method is not forwarded to apps.", "http_request_error"),
  request_timeout: kind(408, "The request did not arrive in time.", "http_request_error"),
  body_too_large: kind(413, "The body is too large.", "http_request_error"),
  uri_too_long: kind(414, "The address is too long.", "http_request_error"),
  expectation_failed: kind(417, "Only 100-continue can be expected.", "http_request_error"),
  head_too_large: kind(431, "The header fields are too large.", "http_request_error"),
  not_implemented: kind(501, "This transfer coding is not understood.", "http_request_error"),
  refused: kind(502, "The app does not accept connections.", "connection_refused"),
  incomplete: kind(
    502,
    "The app closed the connection without an answer.",
    "http_response_incomplete",
  ),
  invalid_response: kind(502, "The app's answer is not HTTP.", "http_protocol_error"),
  wake_failed: kind(503, "The app could not be started.", "destination_unavailable", 5),
  no_container: kind(503, "Nothing is deployed here yet.", "destination_unavailable", 5),
  hold_expired: kind(
    503,
    "The app is being moved, and that takes longer than it should.",
    "destination_unavailable",
    2,
  ),
  hold_full: kind(503, "Too many requests wait for this app.", "connection_limit_reached", 1),
  authority_unreachable: kind(
    503,
    "It cannot be found out now where this app lives.",
    "destination_unavailable",
    2,
  ),
  peer_unreachable: kind(
    503,
    "The cluster that runs this app cannot be reached.",
    "destination_unavailable",
    5,
  ),
  connect_timeout: kind(504, "The app does not answer to connections.", "connection_timeout"),
  response_timeout: kind(504, "The app took too long to answer.", "http_response_timeout"),
  wake_timeout: kind(504, "The app took too long to start.", "destination_unavailable", 5),
  version_not_supported: kind(
    505,
    "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
    "http_request_error",
  ),
  loop: kind(508, "The request went from cluster to cluster too often.", "proxy_loop_detected"),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorContext {
  readonly html: boolean;
  readonly requestId: string;
  /** As the visitor sent it; may be empty. */
  readonly host: string;
  readonly close: boolean;
  /** HEAD: the head alone. */
  readonly head: boolean;
  /** IMF-fixdate. */
  readonly date: string;
}

/** The whole response, as latin1 text. */
export function renderError(code: ErrorCode, context: ErrorContext): string {
  const error: ErrorKind = ERRORS[code];
  const body = context.html ? page(code, error, context) : json(code, error, context);
  const type = context.html ? "text/html; charset=utf-8" : "application/json";
  return (
    `HTTP/1.1 ${error.status} ${error.reason}\r\n` +
    `Date: ${context.date}\r\n` +
    `Content-Type: ${type}\r\n` +
    `Content-Length: ${body.length}\r\n` +
    "Cache-Control: no-store\r\n" +
    `Proxy-Status: stele; error=${error.proxyError}\r\n` +
    (error.retryAfter > 0 ? `Retry-After: ${error.retryAfter}\r\n` : "") +
    (code === "method_not_allowed" ? `Allow: ${ALLOWED}\r\n` : "") +
    (context.requestId === "" ? "" : `X-Request-Id: ${context.requestId}\r\n`) +
    (context.close ? "Connection: close\r\n" : "") +
    `\r\n${context.head ? "" : body}`
  );
}

/** What `OPTIONS *` and a 405 list. */
export const ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

function json(code: ErrorCode, error: ErrorKind, context: ErrorContext): string {
  return `${JSON.stringify({
    code,
    status: error.status,
    message: error.message,
    requestId: context.requestId,
  })}\n`;
}

/** Entities for whatever could leave the text, and for what is not ASCII: a length in bytes. */
function escape(text: string): string {
  return text.replace(/[^A-Za-z0-9 ._:[\]-]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function page(code: ErrorCode, error: ErrorKind, context: ErrorContext): string {
  const host = escape(context.host.slice(0, 255));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${error.status} ${error.reason}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 18vh auto; padding: 0 1em }
h1 { font-size: 1.4em } small { color: #777 }
</style>
</head>
<body>
<h1>${escape(error.message).replace(/&#39;/g, "'")}</h1>
<p>${host}</p>
<p><small>${error.status} ${error.reason} &middot; ${code} &middot; ${escape(context.requestId)}</small></p>
</body>
</html>
`;
}
