import { createHash, sign as signBytes, type KeyObject, verify as verifyBytes } from "node:crypto";

import type { Nonces } from "./nonces";

/**
 * What one deployment signs when it asks another for something, and how that is checked. Values in,
 * values out: keys, time and the memory of nonces are arguments. docs/decisions/0011 says why.
 */
export interface Claims {
  /** Who signs: `control`, or `cluster/<id>`. */
  readonly from: string;
  /** The cluster that is asked. */
  readonly to: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** SHA-256 of the body, base64url. */
  readonly bodyHash: string;
  /** Milliseconds since the epoch, by the sender's clock. */
  readonly at: number;
  /** Drawn anew for each request, so that none is taken twice. */
  readonly nonce: string;
}

/** Why a request is not accepted. */
export type Refusal =
  | "unsigned"
  | "malformed"
  | "other_version"
  | "other_receiver"
  | "old"
  | "early"
  | "unknown_sender"
  | "bad_signature"
  | "replayed"
  | "too_many"
  | "other_body"
  | "body_too_large"
  | "not_permitted";

/** Changes with the meaning of what is signed: a receiver refuses versions that it does not know. */
const VERSION = "1";
/** How far two clocks may be apart; also how long a request stays good (RFC 9421 section 7.2.2). */
export const CLOCK_SKEW_MS = 30_000;
/** Ours are shorter; longer ones are not worth hashing. */
const MAX_FIELD = 2_048;

const HEADERS = {
  version: "stele-version",
  from: "stele-from",
  to: "stele-to",
  at: "stele-at",
  nonce: "stele-nonce",
  bodyHash: "stele-body-sha256",
  signature: "stele-signature",
} as const;
/** On an answer: the receiver's signature over it. */
export const ANSWER_SIGNATURE = "stele-answer-signature";

const PATTERNS = {
  from: /^(control|cluster\/[a-z0-9-]{1,31})$/,
  to: /^[a-z0-9-]{1,31}$/,
  at: /^[1-9]\d{0,15}$/,
  nonce: /^[A-Za-z0-9_-]{22}$/,
  bodyHash: /^[A-Za-z0-9_-]{43}$/,
  signature: /^[A-Za-z0-9_-]{86}$/,
} as const;

export function hashBody(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("base64url");
}

/** One field a line; no field can hold a line feed. */
function canonical(kind: "request" | "answer", fields: readonly (string | number)[]): Buffer {
  return Buffer.from([`stele-${kind}-${VERSION}`, ...fields].join("\n"), "utf8");
}

function requestBytes({ from, to, method, path, bodyHash, at, nonce }: Claims): Buffer {
  return canonical("request", [from, to, method, path, bodyHash, at, nonce]);
}

/** The headers that prove who asks for this. */
export function signRequest(claims: Claims, key: KeyObject): Record<string, string> {
  return {
    [HEADERS.version]: VERSION,
    [HEADERS.from]: claims.from,
    [HEADERS.to]: claims.to,
    [HEADERS.at]: String(claims.at),
    [HEADERS.nonce]: claims.nonce,
    [HEADERS.bodyHash]: claims.bodyHash,
    [HEADERS.signature]: signBytes(null, requestBytes(claims), key).toString("base64url"),
  };
}

/** The head of a request as it came in. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Verification {
  /** The cluster that was asked, which this deployment serves. */
  readonly receiver: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The keys that a sender may sign with; none for a stranger. */
  readonly keysOf: (sender: string) => readonly KeyObject[];
  readonly nonces: Nonces;
}

export type Verified = { readonly claims: Claims } | { readonly refusal: Refusal };

/**
 * Who sends this, before a byte of the body is read. The nonce is used up only by a request whose
 * signature is good, so that a stranger cannot fill the memory of them. Never throws.
 */
export function verifyRequest(head: RequestHead, verification: Verification): Verified {
  const { receiver, now, keysOf, nonces } = verification;
  const read = readClaims(head);
  if ("refusal" in read) return read;
  const { claims, signature } = read;
  if (claims.to !== receiver) return { refusal: "other_receiver" };
  if (claims.at < now - CLOCK_SKEW_MS || claims.at < nonces.since) return { refusal: "old" };
  if (claims.at > now + CLOCK_SKEW_MS) return { refusal: "early" };
  const keys = keysOf(claims.from);
  if (keys.length === 0) return { refusal: "unknown_sender" };
  const bytes = requestBytes(claims);
  if (!keys.some((key) => verifyBytes(null, bytes, key, signature))) {
    return { refusal: "bad_signature" };
  }
  switch (nonces.take(`${claims.from} ${claims.nonce}`, now)) {
    case "new":
      return { claims };
    case "seen":
      return { refusal: "replayed" };
    case "full":
      return { refusal: "too_many" };
  }
}

function readClaims({
  method,
  path,
  headers,
}: RequestHead): { claims: Claims; signature: Buffer } | { refusal: Refusal } {
  const value = (name: keyof typeof HEADERS): string => {
    const given = headers[HEADERS[name]];
    return typeof given === "string" && given.length <= MAX_FIELD ? given : "";
  };
  if (headers[HEADERS.signature] === undefined) return { refusal: "unsigned" };
  if (value("version") !== VERSION) return { refusal: "other_version" };
  const names = Object.keys(PATTERNS) as (keyof typeof PATTERNS)[];
  const isWhole = names.every((name) => PATTERNS[name].test(value(name)));
  const signature = Buffer.from(value("signature"), "base64url");
  // The last character has bits that decode to nothing: only one spelling is ours.
  const isCanonical = signature.toString("base64url") === value("signature");
  if (!isWhole || !isCanonical || path.length > MAX_FIELD || /[^\x21-\x7e]/.test(method + path)) {
    return { refusal: "malformed" };
  }
  const [from, to, nonce, bodyHash] = [
    value("from"),
    value("to"),
    value("nonce"),
    value("bodyHash"),
  ];
  return {
    claims: { from, to, method, path, bodyHash, at: Number(value("at")), nonce },
    signature,
  };
}

/** An answer to one request, and to no other. */
export interface AnswerClaims {
  readonly request: Pick<Claims, "from" | "to" | "nonce">;
  readonly status: number;
  readonly bodyHash: string;
}

function answerBytes({ request, status, bodyHash }: AnswerClaims): Buffer {
  return canonical("answer", [request.to, request.from, request.nonce, status, bodyHash]);
}

export function signAnswer(answer: AnswerClaims, key: KeyObject): string {
  return signBytes(null, answerBytes(answer), key).toString("base64url");
}

export function verifyAnswer(answer: AnswerClaims, signature: string, key: KeyObject): boolean {
  if (!PATTERNS.signature.test(signature)) return false;
  return verifyBytes(null, answerBytes(answer), key, Buffer.from(signature, "base64url"));
}

const WHY: Readonly<Record<Refusal, string>> = {
  unsigned: "it is not signed",
  malformed: "its signature headers cannot be read",
  other_version: `its version is not ${VERSION}`,
  other_receiver: "it is meant for another cluster, or one that is not served here yet",
  old: `its time is too long ago: clocks may differ by ${CLOCK_SKEW_MS / 1000} s`,
  early: `its time is yet to come: clocks may differ by ${CLOCK_SKEW_MS / 1000} s`,
  unknown_sender: "no key of its sender is pinned here",
  bad_signature: "its signature is not that of its sender's pinned key",
  replayed: "it was here before",
  too_many: "too many requests came within the time that one stays good: try again",
  other_body: "its body is not the one that was signed",
  body_too_large: "its body is too large",
  not_permitted: "its sender may not ask for this",
};

/** For the log and for the sender. */
export function reasonOf(refusal: Refusal): string {
  return WHY[refusal];
}
