import { describe, expect, it } from "vitest";

import { filterTrailers } from "./trailers";

describe("filterTrailers()", () => {
  it("keeps what is data and drops what is framing, routing or authority", () => {
    const text =
      "X-Sum: 1\r\nContent-Length: 5\r\nhost: evil\r\nSet-Cookie: a\r\nX_Forwarded_For: 1\r\nGrpc-Status: 0\r\n";
    expect(filterTrailers(text)).toBe("X-Sum: 1\r\nGrpc-Status: 0\r\n");
  });

  it.each([
    "no colon\r\n",
    "a b: c\r\n",
    " a: b\r\n",
    "a: b\nc: d\r\n",
    "a: \0\r\n",
    "A: b\r\n".repeat(33),
  ])("refuses %j", (text) => {
    expect(filterTrailers(text)).toBeUndefined();
  });
});
