import { describe, expect, it } from "vitest";

import { parseRequestHead, type RequestHead } from "./head";
import { interimText, keep, requestText, responseText } from "./headers";
import { parseResponseHead, type ResponseHead } from "./response-head";

const context = {
  clientIp: "192.0.2.1",
  proto: "http" as const,
  requestId: "id-1",
  traceparent: "00-a-b-00",
  hop: "",
};
const answer = {
  form: "length" as const,
  length: 2,
  close: false,
  keepAlive: false,
  requestId: "id-1",
  date: "today",
  upgrade: false,
  heldMs: 0,
};

function request(text: string): RequestHead {
  return parseRequestHead(text) as RequestHead;
}

function response(text: string): ResponseHead {
  return parseResponseHead(text) as ResponseHead;
}

describe("keep()", () => {
  it.each([
    [0, [], "abcdef"],
    [2, [], "cdef"],
    [0, [0, 2], "cdef"],
    [0, [1, 2, 4, 6], "acd"],
    [2, [3, 4], "cef"],
  ])("from %i without %j is %s", (from, drops, expected) => {
    expect(keep("abcdef", from, drops)).toBe(expected);
  });
});

describe("requestText()", () => {
  it("keeps order and spelling of what it does not touch", () => {
    const head = request(
      "GET /a HTTP/1.1\r\nhOST: a.b:81\r\nX-Real-IP: 1\r\naccept:*/*\r\nConnection: close\r\nB:  c \r\n",
    );
    expect(requestText(head, { ...context, clientIp: "2001:db8::1" })).toBe(
      "GET /a HTTP/1.1\r\nhOST: a.b:81\r\naccept:*/*\r\nB:  c \r\n" +
        "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.b:81\r\n" +
        'X-Forwarded-Port: 81\r\nForwarded: for="[2001:db8::1]";proto=http;host="a.b:81"\r\n' +
        "X-Request-Id: id-1\r\ntraceparent: 00-a-b-00\r\n\r\n",
    );
  });

  it("writes framing anew, in our own digits", () => {
    const text = requestText(
      request("PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 007\r\n"),
      context,
    );
    expect(text).toMatch(/^PUT \/ HTTP\/1\.1\r\nHost: a\r\nContent-Length: 7\r\n/);
    expect(text.match(/content-length/gi)?.length).toBe(1);
  });

  it("writes origin form, the expectation and the hop", () => {
    const head = request(
      "PUT http://a.b/c HTTP/1.1\r\nHost: a.b\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n",
    );
    const text = requestText(head, { ...context, hop: "v=1" });
    expect(text).toMatch(
      /^PUT \/c HTTP\/1\.1\r\nHost: a\.b\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n/,
    );
    expect(text).toMatch(/Via: 1\.1 stele\r\nStele-Hop: v=1\r\nExpect: 100-continue\r\n\r\n$/);
  });

  it("keeps tracestate with a valid traceparent only", () => {
    const valid = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    const good = request(
      `GET / HTTP/1.1\r\nHost: a\r\ntraceparent: ${valid}\r\ntracestate: x=y\r\n`,
    );
    expect(requestText(good, { ...context, traceparent: good.traceparent })).toContain(
      `traceparent: ${valid}\r\ntracestate: x=y\r\n`,
    );
    const bad = request("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 01-x\r\ntracestate: x=y\r\n");
    expect(requestText(bad, context)).not.toContain("tracestate");
  });
});

describe("responseText()", () => {
  it("says what the body is, and leaves the rest", () => {
    const head = response(
      "HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 02\r\nKeep-Alive: x\r\nZ: y\r\n",
    );
    expect(responseText(head, answer)).toBe(
      "HTTP/1.1 200 Fine\r\nX-A: b\r\nZ: y\r\nContent-Length: 2\r\nDate: today\r\nX-Request-Id: id-1\r\n\r\n",
    );
  });

  it("speaks HTTP/1.1 for an app that speaks HTTP/1.0", () => {
    const head = response("HTTP/1.0 200 OK\r\nDate: then\r\n");
    expect(responseText(head, { ...answer, form: "chunked", length: -1, close: true })).toBe(
      "HTTP/1.1 200 OK\r\nDate: then\r\nTransfer-Encoding: chunked\r\nX-Request-Id: id-1\r\nConnection: close\r\n\r\n",
    );
  });

  it("passes interim heads without fields of ours", () => {
    const head = response("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n");
    expect(interimText(head)).toBe("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
  });
});
