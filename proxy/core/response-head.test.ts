import { describe, expect, it } from "vitest";

import { parseResponseHead } from "./response-head";

describe("parseResponseHead()", () => {
  it.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", { contentLength: 3, close: false }],
    [
      "equal lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
      { contentLength: 3 },
    ],
    ["no reason", "HTTP/1.1 200\r\n", { status: 200, contentLength: -1 }],
    ["an empty reason", "HTTP/1.1 200 \r\n", { status: 200 }],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\n", { minor: 0, close: true }],
    ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n", { chunked: true }],
    ["a date", "HTTP/1.1 200 OK\r\ndate: now\r\n", { date: true }],
    [
      "an event stream",
      "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n",
      { eventStream: true },
    ],
    [
      "no event stream",
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\n",
      { eventStream: false },
    ],
    [
      "an upgrade",
      "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
      { upgrade: true },
    ],
  ])("accepts %s", (_what, text, expected) => {
    expect(parseResponseHead(text)).toMatchObject(expected);
  });

  it.each([
    ["another protocol", "ICY 200 OK\r\n"],
    ["another version", "HTTP/2.0 200 OK\r\n"],
    ["status 099", "HTTP/1.1 099 No\r\n"],
    ["status 600", "HTTP/1.1 600 No\r\n"],
    ["status 20", "HTTP/1.1 20 OK\r\n"],
    ["status 2000", "HTTP/1.1 2000 OK\r\n"],
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n"],
    ["a coding on HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n"],
    ["a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\nA: b\r\n"],
    ["a NUL", "HTTP/1.1 200 OK\r\nA: \0\r\n"],
    ["a space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n"],
  ])("refuses %s", (_what, text) => {
    expect(parseResponseHead(text)).toBeUndefined();
  });

  it("drops what an app may not say to its visitors", () => {
    const text =
      "HTTP/1.1 200 OK\r\nAlt-Svc: h3\r\nX-A: 1\r\nStele-Hop: x\r\nX-Request-Id: y\r\nConnection: x-a\r\n";
    const head = parseResponseHead(text);
    expect(head?.text).not.toContain("X-A");
    expect(head?.drops.length).toBe(8);
  });
});
