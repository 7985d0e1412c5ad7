/**
 * DNS cookies (RFC 7873) in the form that all servers of a zone can share (RFC 9018): who shows us
 * the cookie that we gave to their address is who they say they are.
 */
import { sipHash24 } from "./siphash";

const CLIENT_OCTETS = 8;
/** Version, three reserved octets, time, hash. */
const SERVER_OCTETS = 16;
const VERSION = 1;

/** RFC 9018 section 4.3: what is older, or further in the future, is no cookie of ours. */
const MAX_AGE_SECONDS = 3_600;
const MAX_AHEAD_SECONDS = 300;
/** An older one is good still, and replaced. */
const RENEW_AFTER_SECONDS = 1_800;

export const SECRET_OCTETS = 16;

/** The first secret makes cookies; all know them, so that secrets can be changed (RFC 9018 5). */
export type Secrets = readonly Uint8Array[];

export interface Asked {
  /** The asker's, four octets or sixteen. */
  readonly address: Uint8Array;
  readonly nowSeconds: number;
}

export interface CookieReply {
  /** Whether the asker showed a cookie of ours. */
  readonly isValid: boolean;
  /** What the answer's option holds: the client's part and ours. */
  readonly cookie: Uint8Array;
}

/** A cookie has the client's eight octets, and none or 8 to 32 of a server (RFC 7873 section 4). */
export const isCookieLength = (length: number): boolean =>
  length === CLIENT_OCTETS || (length >= 16 && length <= 40);

/** What to answer to a well-formed COOKIE option. */
export function answerCookie(secrets: Secrets, cookie: Uint8Array, asked: Asked): CookieReply {
  const { address } = asked;
  const age = ageOf(secrets, cookie, address, asked.nowSeconds);
  const isValid = age !== undefined;
  // Only the first secret's cookies are given again: others would live as long as the clock lets them.
  const isKept = isValid && age <= RENEW_AFTER_SECONDS && isOf(secrets[0]!, cookie, address);
  if (isKept) return { isValid, cookie };
  const fresh = new Uint8Array(CLIENT_OCTETS + SERVER_OCTETS);
  fresh.set(cookie.subarray(0, CLIENT_OCTETS));
  fresh[CLIENT_OCTETS] = VERSION;
  new DataView(fresh.buffer).setUint32(TIME_AT, asked.nowSeconds >>> 0);
  fresh.set(hashOf(secrets[0]!, fresh, address), HASH_AT);
  return { isValid, cookie: fresh };
}

const TIME_AT = CLIENT_OCTETS + 4;
const HASH_AT = CLIENT_OCTETS + 8;

/** Seconds since we made this cookie for this address; undefined when we did not, or too long ago. */
function ageOf(
  secrets: Secrets,
  cookie: Uint8Array,
  address: Uint8Array,
  nowSeconds: number,
): number | undefined {
  const isOurs =
    cookie.length === CLIENT_OCTETS + SERVER_OCTETS && cookie[CLIENT_OCTETS] === VERSION;
  if (!isOurs) return undefined;
  const madeAt = new DataView(cookie.buffer, cookie.byteOffset).getUint32(TIME_AT);
  // Serial number arithmetic: the time wraps in 2106 (RFC 9018 section 4.3).
  const age = (nowSeconds - madeAt) | 0;
  if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) return undefined;
  return secrets.some((secret) => isOf(secret, cookie, address)) ? age : undefined;
}

function isOf(secret: Uint8Array, cookie: Uint8Array, address: Uint8Array): boolean {
  const hash = hashOf(secret, cookie, address);
  let difference = 0;
  for (let at = 0; at < hash.length; at++) difference |= hash[at]! ^ cookie[HASH_AT + at]!;
  return difference === 0;
}

/** SipHash-2-4 of everything before the hash, and of the address (RFC 9018 section 4.4). */
function hashOf(secret: Uint8Array, cookie: Uint8Array, address: Uint8Array): Uint8Array {
  const input = new Uint8Array(HASH_AT + address.length);
  input.set(cookie.subarray(0, HASH_AT));
  input.set(address, HASH_AT);
  return sipHash24(secret, input);
}
