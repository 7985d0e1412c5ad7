import { describe, expect, it } from "vitest";

import { addressOctets } from "./address";
import { answerCookie, isCookieLength } from "./cookies";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const reply = (secrets: string[], cookie: string, address: string, nowSeconds: number) => {
  const answered = answerCookie(secrets.map(hex), hex(cookie), {
    address: addressOctets(address),
    nowSeconds,
  });
  return { ...answered, cookie: Buffer.from(answered.cookie).toString("hex") };
};

const secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const client = "2464c4abcf10c957";
const made = `${client}010000005cf79f111f8130c3eee29480`;
const madeAt = 1_559_731_985;

describe("cookies, by the vectors of RFC 9018 appendix A", () => {
  it("A.1: learning a new server cookie", () => {
    const first = reply([secret], client, "198.51.100.100", madeAt);
    expect(first).toEqual({ isValid: false, cookie: made });
  });

  it("A.2: the same client learning a renewed cookie", () => {
    const renewed = reply([secret], made, "198.51.100.100", 1_559_734_385);
    const cookie = `${client}010000005cf7a871d4a564a1442aca77`;
    expect(renewed).toEqual({ isValid: true, cookie });
  });

  it("A.3: another client, with reserved octets that are not zero", () => {
    const theirs = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    const cookie = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
    const answered = reply([secret], theirs, "203.0.113.203", 1_559_734_700);
    expect(answered).toEqual({ isValid: false, cookie });
    // Made at 1559727985, it is known for an hour.
    expect(reply([secret], theirs, "203.0.113.203", 1_559_730_000).isValid).toBe(true);
  });

  it("A.4: IPv6, and the secret changed", () => {
    const [old, next] = ["dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"];
    const address = "2001:db8:220:1:59de:d0f4:8769:82b8";
    const theirs = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    const cookie = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
    expect(reply([next, old], theirs, address, 1_559_741_961)).toEqual({ isValid: true, cookie });
    expect(reply([next], theirs, address, 1_559_741_961).isValid).toBe(false);
  });
});

describe("a cookie", () => {
  it.each([
    ["of now", 0, true, made],
    ["half an hour old", 1_800, true, made],
    ["an hour old", 3_600, true, undefined],
    ["older than an hour", 3_601, false, undefined],
    ["five minutes in the future", -300, true, made],
    ["further in the future", -301, false, undefined],
  ])("%s", (_what, age, isValid, cookie) => {
    const answered = reply([secret], made, "198.51.100.100", madeAt + age);
    expect(answered.isValid).toBe(isValid);
    expect(answered.cookie === made).toBe(cookie === made);
  });

  it.each([
    ["another address", made, "198.51.100.101"],
    ["another client's part", made.replace("24", "25"), "198.51.100.100"],
    ["another version", made.replace("5701", "5702"), "198.51.100.100"],
    ["another length", `${made}00`, "198.51.100.100"],
    ["another hash", made.replace("480", "481"), "198.51.100.100"],
    ["no address", made, "nowhere"],
  ])("of %s is not ours", (_what, cookie, address) => {
    expect(reply([secret], cookie, address, madeAt).isValid).toBe(false);
  });

  it("lives on when the clock wraps", () => {
    const { cookie } = reply([secret], client, "192.0.2.1", 0xffffffff);
    expect(reply([secret], cookie, "192.0.2.1", 0x1_0000_0010).isValid).toBe(true);
  });

  it("is of 8, or 16 to 40 octets", () => {
    const lengths = Array.from({ length: 50 }, (_, i) => i).filter(isCookieLength);
    expect(lengths).toEqual([8, ...Array.from({ length: 25 }, (_, i) => 16 + i)]);
  });
});
