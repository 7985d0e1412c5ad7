import { isUtf8 } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

import type { AuthKey } from "../infra-config";

/** Names in lower case; values as they travel, a byte a character. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** How one process proves to another that a call comes from inside the application. */
export interface ServiceAuth {
  /** As it stands in `x-encore-meta-svc-auth-method`. */
  readonly name: "encore-auth" | "noop";
  /** The headers that prove `headers`. */
  sign(headers: Headers, now: number): Record<string, string>;
  /** What is wrong with the proof, or null. */
  fault(headers: Headers, now: number): string | null;
}

/** Without keys nobody proves anything, and everybody is believed. */
export const NO_AUTH: ServiceAuth = { name: "noop", sign: () => ({}), fault: () => null };

const SIGNATURE = "x-encore-meta-svc-auth";
const DATE = "x-encore-meta-date";

const SCHEME = "ENCORE1-HMAC-SHA3-256";

/** A signature is good for this long before and after its date: clocks differ. */
const SKEW_MAX_MS = 120_000;

/** What a signature covers, in this order. Trace headers are left out: load balancers change them. */
const SIGNED = [
  "x-correlation-id",
  "x-encore-meta-authdata",
  "x-encore-meta-callee",
  "x-encore-meta-caller",
  "x-encore-meta-userid",
  "x-encore-meta-version",
];

interface Credential {
  /** yyyymmdd */
  readonly day: string;
  readonly appId: string;
  readonly envName: string;
  readonly keyId: number;
}

/**
 * Encore's signature over a call's metadata: a chain of HMACs in the manner of AWS Signature 4.
 *
 * Signs with the first key and believes all of them: a new key is added behind, then put first, then
 * the old one is removed, one process after the other. (Encore's own runtime believes the first alone.)
 */
export class EncoreAuth implements ServiceAuth {
  readonly name = "encore-auth";
  readonly #appId: string;
  readonly #envName: string;
  readonly #keys: readonly AuthKey[];

  constructor(appId: string, envName: string, keys: readonly [AuthKey, ...AuthKey[]]) {
    this.#appId = appId;
    this.#envName = envName;
    this.#keys = keys;
  }

  sign(headers: Headers, now: number): Record<string, string> {
    const key = this.#keys[0] as AuthKey;
    const date = new Date(now);
    const credential = {
      day: dayOf(date),
      appId: this.#appId,
      envName: this.#envName,
      keyId: key.id,
    };
    const signature = signatureOf(key, credential, date, operationOf(headers));
    return { [SIGNATURE]: signature, [DATE]: date.toUTCString() };
  }

  fault(headers: Headers, now: number): string | null {
    const signature = headerOf(headers, SIGNATURE);
    if (signature === null) return "no authorization header";
    const dateText = headerOf(headers, DATE);
    if (dateText === null) return "no date header";
    const date = parseHttpDate(dateText);
    if (date === null) return "invalid header: invalid date header";
    const parts = parseSignature(signature);
    if (typeof parts === "string") return `invalid header: ${parts}`;
    if (parts.credential.day !== dayOf(date)) return "invalid header: invalid date header";
    if (Math.abs(now - date.getTime()) >= SKEW_MAX_MS + 1000) return "date skew";
    const key = this.#keys.find(({ id }) => id === parts.credential.keyId);
    if (key === undefined) return "unknown key";
    const expected = signatureOf(key, parts.credential, date, parts.operation);
    const isGood =
      equalInConstantTime(expected, signature) &&
      equalInConstantTime(operationOf(headers), parts.operation);
    return isGood ? null : "signature mismatch";
  }
}

/** The first value of a header, or null when there is none, or one that is no UTF-8. */
export function headerOf(headers: Headers, name: string): string | null {
  const value = headers[name];
  const first = typeof value === "string" ? value : value?.[0];
  return first !== undefined && isText(first) ? first : null;
}

function isText(value: string): boolean {
  return isUtf8(Buffer.from(value, "latin1"));
}

/** A fingerprint of the metadata, in hexadecimal. */
function operationOf(headers: Headers): string {
  const metadata = createHash("sha3-256");
  for (const name of SIGNED) {
    const values = [headers[name] ?? []].flat().filter(isText).sort();
    for (const value of values) metadata.update(`${name}=${value}\n`, "latin1");
  }
  const digest = metadata.digest();
  const length = Buffer.alloc(4);
  length.writeUInt32LE(digest.length);
  return createHash("sha3-256")
    .update("internal-apicall\0")
    .update(length)
    .update(digest)
    .digest("hex");
}

function signatureOf(key: AuthKey, credential: Credential, date: Date, operation: string): string {
  const { day, appId, envName, keyId } = credential;
  const cred = `${day}/${appId}/${envName}/${keyId}`;
  const steps = [day, appId, envName, "encore_request"];
  const start: Buffer = Buffer.from(`ENCORE1${key.key}`);
  const signingKey = steps.reduce((previous, step) => hmac(previous, step), start);
  const time = `${date.toISOString().slice(0, 19)}Z`;
  const signed = hmac(signingKey, [SCHEME, time, cred, operation].join("\n")).toString("hex");
  return `${SCHEME} cred="${cred}", op=${operation}, sig=${signed}`;
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac("sha3-256", key).update(data).digest();
}

function parseSignature(text: string): { credential: Credential; operation: string } | string {
  const [scheme, rest] = splitOnce(text, " ");
  if (scheme !== SCHEME) return "invalid auth scheme";
  const found = new Map<string, string>();
  for (const parameter of (rest ?? "").split(", ")) {
    const [name, value] = splitOnce(parameter, "=");
    if (value === null || found.has(name)) return "invalid authorization header";
    if (!["cred", "op", "sig"].includes(name)) return `unknown parameter: ${name}`;
    found.set(name, value);
  }
  const operation = found.get("op");
  const quoted = found.get("cred");
  if (operation === undefined || quoted === undefined) return "invalid authorization header";
  const credential = parseCredential(quoted);
  if (credential === null) return "invalid credential string";
  if (!/^[0-9a-f]{64}$/.test(operation)) return "invalid operation hash";
  return { credential, operation };
}

function parseCredential(quoted: string): Credential | null {
  const match = /^"([^/"]*)\/([^/"]*)\/([^/"]*)\/(\d{1,10})"$/.exec(quoted);
  if (match === null) return null;
  const [, day = "", appId = "", envName = "", keyId = ""] = match;
  return { day, appId, envName, keyId: Number(keyId) };
}

function splitOnce(text: string, separator: string): [string, string | null] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** The form in which HTTP dates are written today: `Fri, 13 Feb 2009 23:31:30 GMT`. */
function parseHttpDate(text: string): Date | null {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) || date.toUTCString() !== text ? null : date;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10).replaceAll("-", "");
}

function equalInConstantTime(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected, "latin1"), Buffer.from(given, "latin1")];
  return a.length === b.length && timingSafeEqual(a, b);
}
