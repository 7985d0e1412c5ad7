import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatBase64, parseBase64 } from "./base64";

describe("base64", () => {
  it("is what others make of it, and comes back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
        const text = formatBase64(octets);
        expect(text).toBe(Buffer.from(octets).toString("base64"));
        expect(parseBase64(text)).toEqual(octets);
      }),
    );
  });

  it.each(["A", "AA", "AB==C", "A===", "A-_=", "AB==", "===="])("refuses %j", (text) => {
    expect(parseBase64(text)).toBeUndefined();
  });
});
