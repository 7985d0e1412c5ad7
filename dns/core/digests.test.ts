import { describe, expect, it } from "vitest";

import { TYPE } from "./codes";
import { formatDigest, parseDigest } from "./digests";

const SHA256 = "0123456789abcdef".repeat(4);
const read = (type: number, text: string): string => {
  const data = parseDigest(type, text);
  return data.ok ? Buffer.from(data.value).toString("hex") : data.reason;
};

describe("data with a digest", () => {
  it("is numbers and octets, which may be written in parts and in either case", () => {
    const parts = `${SHA256.slice(0, 7).toUpperCase()} ${SHA256.slice(7)}`;
    expect(read(TYPE.DS, ` 60485  8 2 ${parts} `)).toBe(`ec450802${SHA256}`);
    expect(read(TYPE.SSHFP, `4 2 ${SHA256}`)).toBe(`0402${SHA256}`);
    expect(read(TYPE.TLSA, "3 0 0 3082")).toBe("0300003082");
  });

  it.each([
    [TYPE.DS, "60485 8 2 00", "DS <digest> of 1 octets: digest type 2 has 32 (RFC 4034 5.1)"],
    [TYPE.DS, "65536 8 0 00", '"65536": expected an integer from 0 to 65535'],
    [TYPE.TLSA, "3 256 0 00", '"256": expected an integer from 0 to 255'],
    [TYPE.SSHFP, "4 2", /expected <algorithm> <fingerprint type> <fingerprint> in hexadecimal/],
    [TYPE.SSHFP, "4 0 0", /in hexadecimal/],
    [TYPE.TLSA, "3 1 0 xx", /in hexadecimal/],
  ])("of type %s refuses %s", (type, text, reason) => {
    expect(read(type, text)).toMatch(reason);
  });

  it("has no form when it is too short, or its digest is not what its type says", () => {
    expect(formatDigest(TYPE.DS, Uint8Array.of(1, 2, 3, 0))).toBeUndefined();
    expect(formatDigest(TYPE.DS, Uint8Array.of(1, 2, 3, 1, 0))).toBeUndefined();
    expect(formatDigest(TYPE.DS, Uint8Array.of(1, 2, 3, 9, 255))).toBe("258 3 9 ff");
    expect(formatDigest(TYPE.TLSA, new Uint8Array())).toBeUndefined();
  });
});
