import { describe, expect, it } from "vitest";

import { type ErrorCode, type ErrorKind, ERRORS, renderError } from "./errors";

const context = {
  html: false,
  requestId: "id-1",
  host: 'a"<script>.example',
  close: false,
  head: false,
  date: "Sat, 21 Nov 2026 13:00:00 GMT",
};

describe("renderError()", () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])("%s is a whole response in both forms", (code) => {
    const error: ErrorKind = ERRORS[code];
    for (const html of [false, true]) {
      const text = renderError(code, { ...context, html });
      const [head = "", body = ""] = text.split("\r\n\r\n");
      expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${error.status} ${error.reason}\r\n`));
      expect(head).toContain(`\r\nContent-Length: ${body.length}\r\n`);
      expect(head).toContain("\r\nCache-Control: no-store\r\n");
      expect(head).toContain(`\r\nProxy-Status: stele; error=${error.proxyError}\r\n`);
      expect(head.includes("Retry-After")).toBe(error.retryAfter > 0);
      // oxlint-disable-next-line no-control-regex -- a length in characters is one in bytes then
      expect(text).toMatch(/^[\x00-\x7f]*$/);
      expect(body).not.toContain("<script>");
    }
  });

  it("has no body for HEAD, with the length that GET would have", () => {
    const text = renderError("not_found", { ...context, head: true });
    expect(text).toMatch(/Content-Length: [1-9]\d*\r\n/);
    expect(text.endsWith("\r\n\r\n")).toBe(true);
  });

  it("says what a program needs as JSON", () => {
    const body = renderError("not_found", context).split("\r\n\r\n")[1] ?? "";
    expect(JSON.parse(body)).toEqual({
      code: "not_found",
      status: 404,
      message: "No app has this address.",
      requestId: "id-1",
    });
  });
});
