import { generateKeyPairSync } from "node:crypto";

import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";

import { createNonces, type Nonces } from "./nonces";
import {
  type Claims,
  CLOCK_SKEW_MS,
  hashBody,
  type RequestHead,
  signAnswer,
  signRequest,
  verifyAnswer,
  verifyRequest,
} from "./signature";

const control = generateKeyPairSync("ed25519");
const stranger = generateKeyPairSync("ed25519");
const NOW = 1_800_000_000_000;

const claims: Claims = {
  from: "control",
  to: "east",
  method: "POST",
  path: "/v1/cluster-commands/east/freeze",
  bodyHash: hashBody(Buffer.from("{}")),
  at: NOW,
  nonce: "AAAAAAAAAAAAAAAAAAAAAA",
};

let nonces: Nonces;
beforeEach(() => {
  nonces = createNonces({ lifetimeMs: 2 * CLOCK_SKEW_MS, limit: 3, since: NOW - CLOCK_SKEW_MS });
});

const headOf = (signed: Claims, key = control.privateKey): RequestHead => ({
  method: signed.method,
  path: signed.path,
  headers: signRequest(signed, key),
});

const verdictOf = (head: RequestHead, now = NOW): string => {
  const verified = verifyRequest(head, {
    receiver: "east",
    now,
    keysOf: (sender) => (sender === "control" ? [control.publicKey] : []),
    nonces,
  });
  return "refusal" in verified ? verified.refusal : "accepted";
};

const changed = (headers: Record<string, string | string[]>): RequestHead => {
  const head = headOf(claims);
  return { ...head, headers: { ...head.headers, ...headers } };
};

describe("a signed request", () => {
  it("is accepted, with what its sender said", () => {
    const verified = verifyRequest(headOf(claims), {
      receiver: "east",
      now: NOW,
      keysOf: () => [stranger.publicKey, control.publicKey],
      nonces,
    });
    expect(verified).toEqual({ claims });
  });

  it.each<[string, RequestHead, number?]>([
    ["unsigned", { ...headOf(claims), headers: {} }],
    ["other_version", changed({ "stele-version": "2" })],
    ["malformed", changed({ "stele-signature": "short" })],
    ["malformed", changed({ "stele-from": ["control", "control"] })],
    ["malformed", changed({ "stele-at": "soon" })],
    ["malformed", headOf({ ...claims, path: "/v1/ü" })],
    ["malformed", headOf({ ...claims, path: `/${"x".repeat(3_000)}` })],
    ["other_receiver", headOf({ ...claims, to: "west" })],
    ["old", headOf({ ...claims, at: NOW - CLOCK_SKEW_MS - 1 })],
    ["early", headOf({ ...claims, at: NOW + CLOCK_SKEW_MS + 1 })],
    ["unknown_sender", headOf({ ...claims, from: "cluster/west" })],
    ["bad_signature", headOf(claims, stranger.privateKey)],
    ["bad_signature", { ...headOf(claims), method: "GET" }],
    ["bad_signature", { ...headOf(claims), path: "/v1/cluster-commands/east/thaw" }],
    ["bad_signature", changed({ "stele-body-sha256": hashBody(Buffer.from("{ }")) })],
  ])("is refused as %s", (refusal, head) => {
    expect(verdictOf(head)).toBe(refusal);
    expect(verdictOf(headOf(claims))).toBe("accepted");
  });

  it("is taken once, for as long as it stays good", () => {
    const late = { ...claims, at: NOW + CLOCK_SKEW_MS };
    expect(verdictOf(headOf(late))).toBe("accepted");
    for (const after of [0, 1, CLOCK_SKEW_MS, 2 * CLOCK_SKEW_MS]) {
      expect(verdictOf(headOf(late), NOW + after)).toBe("replayed");
    }
    expect(verdictOf(headOf(late), NOW + 2 * CLOCK_SKEW_MS + 1)).toBe("old");
  });

  it("is refused when its nonce could not be remembered", () => {
    const nonced = (letter: string): RequestHead =>
      headOf({ ...claims, nonce: letter.repeat(21) + "A" });
    expect(["a", "b", "c", "d"].map((letter) => verdictOf(nonced(letter)))).toEqual([
      "accepted",
      "accepted",
      "accepted",
      "too_many",
    ]);
  });

  it("from before the receiver's memory of nonces is refused: it may have been taken before", () => {
    expect(verdictOf(headOf({ ...claims, at: NOW - CLOCK_SKEW_MS }), NOW)).toBe("accepted");
    const later = createNonces({ lifetimeMs: 2 * CLOCK_SKEW_MS, limit: 3, since: NOW });
    nonces = later;
    expect(verdictOf(headOf({ ...claims, at: NOW - 1 }))).toBe("old");
  });

  it("is refused whichever of its characters is another", () => {
    const head = headOf(claims);
    const parts: [string, string][] = [
      ["method", head.method],
      ["path", head.path],
      ...Object.entries(head.headers as Record<string, string>),
    ];
    const places = parts.flatMap(([name, { length }]) =>
      Array.from({ length }, (_, index) => ({ name, index })),
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.integer({ min: 0, max: 7 }), (place, bit) => {
        const [, text = ""] = parts.find(([name]) => name === place.name) ?? [];
        const code = text.charCodeAt(place.index) ^ (1 << bit);
        const bad =
          text.slice(0, place.index) + String.fromCharCode(code) + text.slice(place.index + 1);
        const method = place.name === "method" ? bad : head.method;
        const path = place.name === "path" ? bad : head.path;
        const headers = { ...head.headers, [place.name]: bad };
        expect(verdictOf({ method, path, headers })).not.toBe("accepted");
      }),
      { numRuns: 2_000 },
    );
    expect(verdictOf(head)).toBe("accepted");
  });

  it("never throws, whatever the headers hold", () => {
    const names = Object.keys(headOf(claims).headers);
    const headers = fc.dictionary(fc.constantFrom(...names), fc.string({ unit: "binary" }));
    fc.assert(
      fc.property(headers, (given) => {
        expect(verdictOf({ ...headOf(claims), headers: given })).not.toBe("accepted");
      }),
    );
  });
});

describe("a signed answer", () => {
  const answer = { request: claims, status: 200, bodyHash: hashBody(Buffer.from("{}")) };
  const signature = signAnswer(answer, control.privateKey);

  it("holds for its request, status and body, and for nothing else", () => {
    const others = [
      { ...answer, status: 422 },
      { ...answer, bodyHash: hashBody(Buffer.from("[]")) },
      { ...answer, request: { ...claims, nonce: "BBBBBBBBBBBBBBBBBBBBBB" } },
      { ...answer, request: { ...claims, to: "west" } },
      { ...answer, request: { ...claims, from: "cluster/west" } },
    ];
    expect(verifyAnswer(answer, signature, control.publicKey)).toBe(true);
    expect(verifyAnswer(answer, signature, stranger.publicKey)).toBe(false);
    expect(verifyAnswer(answer, "", control.publicKey)).toBe(false);
    for (const other of others) {
      expect(verifyAnswer(other, signature, control.publicKey)).toBe(false);
    }
  });

  it("is no request, nor the other way round", () => {
    const asAnswer = changed({ "stele-signature": signature });
    expect(verdictOf(asAnswer)).toBe("bad_signature");
  });
});
