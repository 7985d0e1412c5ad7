import { describe, expect, test } from "vitest";

import { EncoreAuth, NO_AUTH } from "./service-auth";

const key = { id: 123, key: "secret data" };
const NOW = 1_234_567_890_000;

/** A call that the real Encore runtime (2b626e8c) sent, and that another one believed. */
const RECORDED_AT = Date.parse("Sat, 21 Nov 2026 16:17:37 GMT");
const RECORDED_CALL = {
  "x-correlation-id": "corr-1",
  "x-encore-meta-version": "1",
  "x-encore-meta-userid": "zoe",
  // UTF-8, a byte a character, as Node reads it.
  "x-encore-meta-authdata":
    '{"name":"Zo\u00c3\u00ab","since":"1970-01-01T00:00:00Z","userID":"zoe"}',
  "x-encore-meta-caller": "api:front.me",
};
const RECORDED_PROOF = {
  "x-encore-meta-svc-auth":
    'ENCORE1-HMAC-SHA3-256 cred="20261121/split/test/7", ' +
    "op=0464138a5544b08d3f780b8ae20ca6cfa44389ee2367c3851f684d6c62addf9d, " +
    "sig=57af781bc3d2bf4d018acdf1e760df91262827a60aee68f10d03b63f07a01cca",
  "x-encore-meta-date": "Sat, 21 Nov 2026 16:17:37 GMT",
};

const auth = new EncoreAuth("app", "env", [key]);

describe("signing", () => {
  test("is Encore's, to the byte", () => {
    const split = new EncoreAuth("split", "test", [{ id: 7, key: "split-test-key" }]);
    expect(split.sign(RECORDED_CALL, RECORDED_AT)).toEqual(RECORDED_PROOF);
    const traced = { ...RECORDED_CALL, ...RECORDED_PROOF, tracestate: "encore/sampled=0" };
    expect(split.fault(traced, RECORDED_AT)).toBe(null);
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
