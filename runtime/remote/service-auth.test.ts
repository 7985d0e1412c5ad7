import { describe, expect, test } from "vitest";

import { EncoreAuth, NO_AUTH } from "./service-auth";

const key = { id: 123, key: "secret data" };
const NOW = 1_234_567_890_000;

/** What Encore's runtime makes of an empty call, with this key, at that time. */
const EMPTY_CALL = {
  "x-encore-meta-svc-auth":
    'ENCORE1-HMAC-SHA3-256 cred="20090213/app/env/123", ' +
    "op=f3c70a419394ce9d56efafad2208154b92c8596d7396b3a2b4ea7fd925d28dc2, " +
    "sig=fc0c88b47c13d999353ecc8681d91d9c03209a1f05583b92d84e429fedfe387a",
  "x-encore-meta-date": "Fri, 13 Feb 2009 23:31:30 GMT",
};

const auth = new EncoreAuth("app", "env", [key]);

describe("signing", () => {
  test("is Encore's, to the byte", () => {
    expect(auth.sign({}, NOW)).toEqual(EMPTY_CALL);
    expect(auth.fault(EMPTY_CALL, NOW)).toBe(null);
  });
});

describe("verifying", () => {
  const call = { "x-encore-meta-caller": "api:a.b", "x-encore-meta-userid": "ada" };
  const signed = { ...call, ...auth.sign(call, NOW) };

  test("believes what it signed, with trace headers that others have changed", () => {
    expect(auth.fault({ ...signed, traceparent: "00-1-2-01" }, NOW)).toBe(null);
  });

  test.each([
    ["another user", { ...signed, "x-encore-meta-userid": "eve" }, "signature mismatch"],
    ["one header more", { ...signed, "x-correlation-id": "1" }, "signature mismatch"],
    ["a value more", { ...signed, "x-encore-meta-userid": ["ada", "eve"] }, "signature mismatch"],
    ["no signature", { ...signed, "x-encore-meta-svc-auth": undefined }, "no authorization header"],
    ["no date", { ...signed, "x-encore-meta-date": undefined }, "no date header"],
    [
      "another day's date",
      { ...signed, "x-encore-meta-date": "Sat, 14 Feb 2009 00:00:00 GMT" },
      "invalid header: invalid date header",
    ],
    [
      "another second",
      { ...signed, "x-encore-meta-date": "Fri, 13 Feb 2009 23:31:31 GMT" },
      "signature mismatch",
    ],
    ["a date that is none", { ...signed, "x-encore-meta-date": "now" }, /invalid date header/],
    [
      "another scheme",
      { ...signed, "x-encore-meta-svc-auth": "Basic abc" },
      "invalid header: invalid auth scheme",
    ],
    ["nonsense", { ...signed, "x-encore-meta-svc-auth": "ENCORE1-HMAC-SHA3-256 x" }, /invalid/],
  ])("refuses %s", (_, headers, fault) => {
    expect(auth.fault(headers, NOW)).toMatch(fault);
  });

  test("allows clocks to differ by two minutes, either way", () => {
    for (const sign of [1, -1]) {
      expect(auth.fault(signed, NOW + sign * 120_000)).toBe(null);
      expect(auth.fault(signed, NOW + sign * 121_000)).toBe("date skew");
    }
  });

  test("knows its keys by id: a new one takes over without a break", () => {
    const next = { id: 124, key: "another" };
    const during = new EncoreAuth("app", "env", [next, key]);
    expect(during.fault(signed, NOW)).toBe(null);
    const after = new EncoreAuth("app", "env", [next]);
    expect(after.fault({ ...call, ...during.sign(call, NOW) }, NOW)).toBe(null);
    expect(after.fault(signed, NOW)).toBe("unknown key");
    const foreign = new EncoreAuth("app", "env", [{ id: 123, key: "guessed" }]);
    expect(auth.fault({ ...call, ...foreign.sign(call, NOW) }, NOW)).toBe("signature mismatch");
  });
});

test("without keys everybody is believed, as in Encore", () => {
  expect(NO_AUTH.sign({}, NOW)).toEqual({});
  expect(NO_AUTH.fault({}, NOW)).toBe(null);
});
