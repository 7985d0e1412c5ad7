import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { parseRequestHead, type RequestHead } from "./head";
import { LIMITS } from "./limits";

const H = "Host: a.example\r\n";

function accepted(text: string): RequestHead {
  const head = parseRequestHead(text);
  if (typeof head === "string") throw new Error(`refused: ${head}`);
  return head;
}

/** Requests that have more than one reading somewhere, or none (research 4.1). */
const REFUSED: readonly (readonly [string, string, string])[] = [
  // Framing.
  [
    "length and coding",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n`,
    "bad_request",
  ],
  [
    "coding and length",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n`,
    "bad_request",
  ],
  [
    "two equal lengths",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 3\r\n`,
    "bad_request",
  ],
  [
    "two lengths",
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 4\r\n`,
    "bad_request",
  ],
  ["a list of lengths", `POST / HTTP/1.1\r\n${H}Content-Length: 2, 2\r\n`, "bad_request"],
  ["a signed length", `POST / HTTP/1.1\r\n${H}Content-Length: +3\r\n`, "bad_request"],
  ["a negative length", `POST / HTTP/1.1\r\n${H}Content-Length: -3\r\n`, "bad_request"],
  ["a length with a space inside", `POST / HTTP/1.1\r\n${H}Content-Length: 1 2\r\n`, "bad_request"],
  ["a hex length", `POST / HTTP/1.1\r\n${H}Content-Length: 0x10\r\n`, "bad_request"],
  ["a length with an underscore", `POST / HTTP/1.1\r\n${H}Content-Length: 1_0\r\n`, "bad_request"],
  ["an empty length", `POST / HTTP/1.1\r\n${H}Content-Length:\r\n`, "bad_request"],
  [
    "a length of 16 digits",
    `POST / HTTP/1.1\r\n${H}Content-Length: 1234567890123456\r\n`,
    "bad_request",
  ],
  [
    "a length behind a no-break space",
    `POST / HTTP/1.1\r\n${H}Content-Length: \xa03\r\n`,
    "bad_request",
  ],
  ["a length before a NEL", `POST / HTTP/1.1\r\n${H}Content-Length: 3\x85\r\n`, "bad_request"],
  [
    "a length behind a vertical tab",
    `POST / HTTP/1.1\r\n${H}Content-Length: \x0b3\r\n`,
    "bad_request",
  ],
  ["a decimal length", `POST / HTTP/1.1\r\n${H}Content-Length: 3.0\r\n`, "bad_request"],
  ["an aliased length", `POST / HTTP/1.1\r\n${H}Content_Length: 3\r\n`, "bad_request"],
  ["an aliased coding", `POST / HTTP/1.1\r\n${H}Transfer_Encoding: chunked\r\n`, "bad_request"],
  [
    "gzip, chunked",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n`,
    "not_implemented",
  ],
  [
    "chunked twice",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n`,
    "not_implemented",
  ],
  [
    "two coding fields",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`,
    "not_implemented",
  ],
  ["identity", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity\r\n`, "not_implemented"],
  [
    "an unknown coding",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n`,
    "not_implemented",
  ],
  ["an empty coding", `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n`, "bad_request"],
  ["a quoted coding", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: "chunked"\r\n`, "bad_request"],
  [
    "a coding with a parameter",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked;a=b\r\n`,
    "bad_request",
  ],
  [
    "a coding behind a vertical tab",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n`,
    "bad_request",
  ],
  [
    "a coding before a no-break space",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\xa0\r\n`,
    "bad_request",
  ],
  ["a coding on HTTP/1.0", `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n`, "bad_request"],
  // Lines.
  ["a space before the colon", `POST / HTTP/1.1\r\n${H}Content-Length : 3\r\n`, "bad_request"],
  [
    "a tab before the colon",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding\t: chunked\r\n`,
    "bad_request",
  ],
  ["an empty name", `GET / HTTP/1.1\r\n${H}: x\r\n`, "bad_request"],
  ["no colon", `GET / HTTP/1.1\r\n${H}Foo\r\n`, "bad_request"],
  ["a name that is no token", `GET / HTTP/1.1\r\n${H}Fo(o: x\r\n`, "bad_request"],
  ["a name with a byte above ASCII", `GET / HTTP/1.1\r\n${H}Fo\xf6: x\r\n`, "bad_request"],
  ["a folded line", `GET / HTTP/1.1\r\n${H}A: b\r\n c\r\n`, "bad_request"],
  [
    "a folded line with a colon",
    `GET / HTTP/1.1\r\n${H}A: b\r\n\tContent-Length: 3\r\n`,
    "bad_request",
  ],
  ["a space before the first field", `GET / HTTP/1.1\r\n ${H}`, "bad_request"],
  ["a bare LF between fields", `GET / HTTP/1.1\r\n${H}A: b\nContent-Length: 3\r\n`, "bad_request"],
  ["a bare LF behind the request line", `GET / HTTP/1.1\n${H}`, "bad_request"],
  ["a bare CR", `GET / HTTP/1.1\r\n${H}A: b\rC: d\r\n`, "bad_request"],
  ["a CR before a CRLF", `GET / HTTP/1.1\r\n${H}A: b\r\r\n`, "bad_request"],
  ["a NUL", `GET / HTTP/1.1\r\n${H}A: b\0\r\n`, "bad_request"],
  ["a control in a value", `GET / HTTP/1.1\r\n${H}A: b\x01\r\n`, "bad_request"],
  ["a DEL", `GET / HTTP/1.1\r\n${H}A: \x7f\r\n`, "bad_request"],
  // Host.
  ["no Host", "GET / HTTP/1.1\r\n", "bad_request"],
  ["two Hosts", `GET / HTTP/1.1\r\n${H}Host: b.example\r\n`, "bad_request"],
  ["two equal Hosts", `GET / HTTP/1.1\r\n${H}${H}`, "bad_request"],
  ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n", "bad_request"],
  ["userinfo in Host", "GET / HTTP/1.1\r\nHost: u@a.example\r\n", "bad_request"],
  ["a comma in Host", "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n", "bad_request"],
  ["a slash in Host", "GET / HTTP/1.1\r\nHost: a.example/x\r\n", "bad_request"],
  ["a bad port", "GET / HTTP/1.1\r\nHost: a.example:80x\r\n", "bad_request"],
  ["a space in Host", "GET / HTTP/1.1\r\nHost: a.example b\r\n", "bad_request"],
  ["another authority", `GET http://b.example/ HTTP/1.1\r\n${H}`, "bad_request"],
  ["userinfo in the target", `GET http://u@a.example/ HTTP/1.1\r\n${H}`, "bad_request"],
  ["another scheme", `GET ftp://a.example/ HTTP/1.1\r\n${H}`, "bad_request"],
  // The request line.
  ["a tab", `GET\t/ HTTP/1.1\r\n${H}`, "bad_request"],
  ["two spaces", `GET  / HTTP/1.1\r\n${H}`, "bad_request"],
  ["two spaces before the version", `GET /  HTTP/1.1\r\n${H}`, "bad_request"],
  ["a trailing space", `GET / HTTP/1.1 \r\n${H}`, "bad_request"],
  ["a space in the target", `GET /a b HTTP/1.1\r\n${H}`, "bad_request"],
  ["a leading space", ` GET / HTTP/1.1\r\n${H}`, "bad_request"],
  ["no version", `GET /\r\n${H}`, "bad_request"],
  ["a lower-case version", `GET / http/1.1\r\n${H}`, "bad_request"],
  ["HTTP/1.10", `GET / HTTP/1.10\r\n${H}`, "bad_request"],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${H}`, "version_not_supported"],
  ["HTTP/0.9", `GET / HTTP/0.9\r\n${H}`, "version_not_supported"],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n", "version_not_supported"],
  ["a fragment", `GET /#x HTTP/1.1\r\n${H}`, "bad_request"],
  ["a relative target", `GET a HTTP/1.1\r\n${H}`, "bad_request"],
  ["an asterisk without OPTIONS", `GET * HTTP/1.1\r\n${H}`, "bad_request"],
  ["a method that is no token", `G(T / HTTP/1.1\r\n${H}`, "bad_request"],
  ["a method of 33 bytes", `${"M".repeat(33)} / HTTP/1.1\r\n${H}`, "bad_request"],
  ["an empty line first", `\r\nGET / HTTP/1.1\r\n${H}`, "bad_request"],
  ["CONNECT", `CONNECT a.example:443 HTTP/1.1\r\n${H}`, "method_not_allowed"],
  ["TRACE", `TRACE / HTTP/1.1\r\n${H}`, "method_not_allowed"],
  // Connection.
  ["Connection: Host", `GET / HTTP/1.1\r\n${H}Connection: Host\r\n`, "bad_request"],
  [
    "Connection: Content-Length",
    `GET / HTTP/1.1\r\n${H}Connection: close, content-length\r\n`,
    "bad_request",
  ],
  [
    "Connection: X-Forwarded-For",
    `GET / HTTP/1.1\r\n${H}Connection: X-Forwarded-For\r\n`,
    "bad_request",
  ],
  ["Connection: X-Request-Id", `GET / HTTP/1.1\r\n${H}Connection: x_request_id\r\n`, "bad_request"],
  ["Connection: Stele-Hop", `GET / HTTP/1.1\r\n${H}Connection: Stele-Hop\r\n`, "bad_request"],
  ["two hops", `GET / HTTP/1.1\r\n${H}Stele-Hop: a\r\nStele-Hop: b\r\n`, "bad_request"],
  ["another expectation", `GET / HTTP/1.1\r\n${H}Expect: 200-maybe\r\n`, "expectation_failed"],
  // Sizes.
  ["a long target", `GET /${"a".repeat(LIMITS.targetBytes)} HTTP/1.1\r\n${H}`, "uri_too_long"],
  ["a long line", `GET /${"a".repeat(LIMITS.headBytes)} HTTP/1.1\r\n${H}`, "uri_too_long"],
  ["a long head", `GET / HTTP/1.1\r\n${H}A: ${"a".repeat(LIMITS.headBytes)}\r\n`, "head_too_large"],
  ["a long name", `GET / HTTP/1.1\r\n${H}${"a".repeat(257)}: b\r\n`, "head_too_large"],
  ["129 fields", `GET / HTTP/1.1\r\n${H}${"A: b\r\n".repeat(128)}`, "head_too_large"],
];

describe("parseRequestHead()", () => {
  it.each(REFUSED)("refuses %s", (_what, text, refusal) => {
    expect(parseRequestHead(text)).toBe(refusal);
  });

  it.each([
    [
      "a length",
      `POST / HTTP/1.1\r\n${H}Content-Length: 12\r\n`,
      { contentLength: 12, chunked: false },
    ],
    ["a length of zero", `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\n`, { contentLength: 0 }],
    ["leading zeros", `POST / HTTP/1.1\r\n${H}Content-Length: 007\r\n`, { contentLength: 7 }],
    [
      "blanks round a value",
      `POST / HTTP/1.1\r\n${H}Content-Length:\t 3 \r\n`,
      { contentLength: 3 },
    ],
    [
      "chunked",
      `POST / HTTP/1.1\r\n${H}transfer-encoding: CHUNKED \r\n`,
      { chunked: true, contentLength: -1 },
    ],
    [
      "a body on GET",
      `GET / HTTP/1.1\r\n${H}Content-Length: 3\r\n`,
      { method: "GET", contentLength: 3 },
    ],
    ["an unknown method", `get / HTTP/1.1\r\n${H}`, { method: "get" }],
    [
      "absolute form",
      `GET http://A.example:80/x?y HTTP/1.1\r\n${H}`,
      { target: "/x?y", verbatim: false },
    ],
    ["absolute form without path", `GET http://a.example?y HTTP/1.1\r\n${H}`, { target: "/?y" }],
    ["bars and bytes in a query", `GET /?a|b^{\xe9} HTTP/1.1\r\n${H}`, { target: "/?a|b^{\xe9}" }],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${H}`, { target: "*" }],
    ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n", { host: "", close: true, minor: 0 }],
    ["HTTP/1.0 keep-alive", `GET / HTTP/1.0\r\n${H}Connection: Keep-Alive\r\n`, { close: false }],
    ["HTTP/1.2", `GET / HTTP/1.2\r\n${H}`, { minor: 1, verbatim: false }],
    ["close among others", `GET / HTTP/1.1\r\n${H}Connection: foo , Close\r\n`, { close: true }],
    ["keep-alive", `GET / HTTP/1.1\r\n${H}Connection: keep-alive\r\n`, { close: false }],
    ["a port", "GET / HTTP/1.1\r\nHost: a.example:8080\r\n", { host: "a.example:8080" }],
    ["an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n", { host: "[::1]:8080" }],
    ["an expectation", `PUT / HTTP/1.1\r\n${H}Expect: 100-Continue\r\n`, { expectContinue: true }],
    [
      "an expectation on HTTP/1.0",
      `PUT / HTTP/1.0\r\n${H}Expect: 100-continue\r\n`,
      { expectContinue: false },
    ],
    ["TE", `GET / HTTP/1.1\r\n${H}TE: deflate;q=0.5, trailers\r\n`, { trailers: true }],
    ["a browser", `GET / HTTP/1.1\r\n${H}Accept: text/html,*/*\r\n`, { html: true }],
    [
      "an upgrade",
      `GET / HTTP/1.1\r\n${H}Upgrade: WebSocket\r\nConnection: Upgrade\r\n`,
      { upgrade: true },
    ],
    [
      "an upgrade by POST",
      `POST / HTTP/1.1\r\n${H}Upgrade: websocket\r\nConnection: upgrade\r\n`,
      { upgrade: false },
    ],
    [
      "an upgrade with a body",
      `GET / HTTP/1.1\r\n${H}Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\n`,
      { upgrade: false },
    ],
    [
      "h2c",
      `GET / HTTP/1.1\r\n${H}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n`,
      { upgrade: false },
    ],
    [
      "a bad traceparent",
      `GET / HTTP/1.1\r\n${H}traceparent: 00-1-2-01\r\ntracestate: a=b\r\n`,
      { traceparent: "", tracestate: "" },
    ],
  ])("accepts %s", (_what, text, expected) => {
    expect(accepted(text)).toMatchObject(expected);
  });

  it("drops what is not for the app, however it is spelled", () => {
    const kept = ["Accept: */*", "Cookie: a=b", "X-Own: 1", "Forwarded-By: x"];
    const dropped = [
      "X-Forwarded-For: 1",
      "x_forwarded_for: 1",
      "X.Forwarded.Host: a",
      "Forwarded: for=1",
      "X-Real-IP: 1",
      "X-Real_Ip: 1",
      "Stele-Secret: 1",
      "X-Stele-Foo: 1",
      "x-encore-auth: 1",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: x",
      "Proxy-Authorization: x",
      "X-Request-Id: x",
      "HTTP2-Settings: x",
      "Upgrade: h2c",
      "Connection: keep-alive",
      "TE: gzip",
      "Trailer: X",
    ];
    const text = `GET / HTTP/1.1\r\n${H}${[...kept, ...dropped].join("\r\n")}\r\n`;
    const head = accepted(text);
    let left = "";
    let at = 0;
    for (let index = 0; index < head.drops.length; index += 2) {
      left += text.slice(at, head.drops[index]);
      at = head.drops[index + 1] as number;
    }
    left += text.slice(at);
    expect(left).toBe(`GET / HTTP/1.1\r\n${H}${kept.join("\r\n")}\r\n`);
  });

  it("drops what Connection names", () => {
    const head = accepted(
      `GET / HTTP/1.1\r\n${H}X-A: 1\r\nConnection: x-a, X-B\r\nX-b: 2\r\nX-C: 3\r\n`,
    );
    expect(head.text).toBe(`GET / HTTP/1.1\r\n${H}Connection: x-a, X-B\r\nX-C: 3\r\n`);
  });

  it("is total, and what it accepts has whole lines only", () => {
    const piece = fc.constantFrom(
      "GET",
      " ",
      "/",
      "HTTP/1.1",
      "\r\n",
      "\r",
      "\n",
      "Host",
      ":",
      "a.example",
      "\t",
      "Content-Length",
      "3",
      "Transfer-Encoding",
      "chunked",
      ",",
      "\0",
      "\xa0",
      "Connection",
      "close",
      "x",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = `${pieces.join("")}\r\n`;
        const head = parseRequestHead(text);
        if (typeof head === "string") return;
        expect(head.text.replace(/\r\n/g, "")).not.toMatch(/[\r\n\0]/);
        expect(head.chunked && head.contentLength >= 0).toBe(false);
      }),
    );
  });

  it("does not depend on how often a spelling was seen", () => {
    for (let index = 0; index < 600; index++) {
      const text = `GET / HTTP/1.1\r\n${H}X-Name-${index}: 1\r\nX_Forwarded_${index}: 2\r\n`;
      const start = text.indexOf("X_Forwarded");
      expect(accepted(text).drops).toEqual([start, text.length]);
    }
  });
});
