/**
 * Transaction signatures (RFC 8945): who may ask for a transfer or an update proves that he has the
 * key. The HMAC itself is an argument, since a core has no cryptography of its own.
 */
import { TYPE } from "./codes";
import { joinOctets, type Message, readName, type WireRecord } from "./message";
import { fold, type Name, nameOctets } from "./names";
import { HEADER_OCTETS, skipName } from "./wire";

export const ALGORITHMS = { "hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64 } as const;
export type Algorithm = keyof typeof ALGORITHMS;

export type Hmac = (algorithm: Algorithm, secret: Uint8Array, data: Uint8Array) => Uint8Array;

export interface Key {
  readonly name: Name;
  readonly algorithm: Algorithm;
  readonly secret: Uint8Array;
}

/** What may be wrong with a signature (RFC 8945 section 3). */
export const TSIG_ERROR = { NONE: 0, BADSIG: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22 } as const;

export const CLASS_ANY = 255;
/** How far clocks may be apart, in seconds (RFC 8945 section 10). */
const FUDGE = 300;
/** Time signed, fudge, MAC size, original id, error, other length. */
const FIXED_OCTETS = 16;
const U48_HIGH = 2 ** 32;

export interface Tsig {
  readonly keyName: Name;
  readonly algorithm: Name;
  /** Seconds since 1970. */
  readonly time: number;
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
  /** Where the record begins, which is where the message ended that was signed. */
  readonly start: number;
}

/** The signature of a message: absent, or not as it must be (RFC 8945 section 5.1). */
export function readTsig({ answers, authorities, additionals }: Message) {
  const isTsig = ({ type }: WireRecord): boolean => type === TYPE.TSIG;
  const last = additionals.at(-1);
  const count = [...answers, ...authorities, ...additionals].filter(isTsig).length;
  if (count === 0) return undefined;
  const isPlaced = count === 1 && last !== undefined && isTsig(last);
  if (!isPlaced || last.class !== CLASS_ANY || last.ttl !== 0) return "malformed" as const;
  return readData(last) ?? ("malformed" as const);
}

function readData({ name, data, start }: WireRecord): Tsig | undefined {
  const algorithm = readName(data, 0);
  if (!algorithm || algorithm.end + FIXED_OCTETS > data.length) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const at = algorithm.end;
  const macEnd = at + 10 + view.getUint16(at + 8);
  if (macEnd + 6 > data.length) return undefined;
  const otherEnd = macEnd + 6 + view.getUint16(macEnd + 4);
  if (otherEnd !== data.length) return undefined;
  return {
    keyName: name,
    algorithm: fold(algorithm.item),
    time: view.getUint16(at) * U48_HIGH + view.getUint32(at + 2),
    fudge: view.getUint16(at + 6),
    mac: data.slice(at + 10, macEnd),
    originalId: view.getUint16(macEnd),
    error: view.getUint16(macEnd + 2),
    other: data.slice(macEnd + 6, otherEnd),
    start,
  };
}

/** Whether the last record is a signature: cheap, since every query is looked at. */
export function isSigned(octets: Uint8Array): boolean {
  if (octets.length < HEADER_OCTETS) return false;
  const records = count(octets, 6) + count(octets, 8) + count(octets, 10);
  if (count(octets, 10) === 0) return false;
  let at: number | undefined = HEADER_OCTETS;
  for (let index = count(octets, 4); index > 0 && at !== undefined; index--) {
    at = skipName(octets, at);
    if (at !== undefined) at += 4;
  }
  for (let index = 1; at !== undefined; index++) {
    const fixed = skipName(octets, at);
    if (fixed === undefined || fixed + 10 > octets.length) return false;
    if (index === records) return count(octets, fixed) === TYPE.TSIG;
    at = fixed + 10 + count(octets, fixed + 8);
  }
  return false;
}

/** The type that a message asks for, whatever stands behind its question; 0 when it is no query. */
export function typeAsked(octets: Uint8Array): number {
  const isQuery = octets.length >= HEADER_OCTETS && (octets[2]! & OPCODE_BITS) === 0;
  const end = isQuery && count(octets, 4) === 1 ? skipName(octets, HEADER_OCTETS) : undefined;
  return end !== undefined && end + 4 <= octets.length ? count(octets, end) : 0;
}

/** Of the third octet. QUERY is 0. */
const OPCODE_BITS = 0x78;

const count = (octets: Uint8Array, at: number): number => (octets[at]! << 8) | octets[at + 1]!;

/** The message that was signed: without its signature, under its first id. */
export function unsigned(octets: Uint8Array, { start, originalId }: Tsig): Uint8Array {
  // A copy, also of octets that only look into others' memory.
  const message = new Uint8Array(octets.subarray(0, start));
  const view = new DataView(message.buffer);
  view.setUint16(0, originalId);
  view.setUint16(10, view.getUint16(10) - 1);
  return message;
}

export interface Verification {
  /** The message with its signature. */
  readonly octets: Uint8Array;
  readonly tsig: Tsig;
  /** The key of that name, if there is one. */
  readonly key: Key | undefined;
  readonly now: number;
  readonly hmac: Hmac;
  /** The MAC of the request that this is the answer to. */
  readonly requestMac?: Uint8Array;
}

/** Key, signature, time: the order of RFC 8945 section 5.2. */
export function verify({ octets, tsig, key, now, hmac, requestMac }: Verification): number {
  if (!key || algorithmName(key.algorithm) !== tsig.algorithm) return TSIG_ERROR.BADKEY;
  // Whoever has a key can send all of the MAC; a part of it proves less (section 5.2.2.1).
  if (tsig.mac.length < ALGORITHMS[key.algorithm]) return TSIG_ERROR.BADTRUNC;
  const parts = [unsigned(octets, tsig), variables(key, tsig)];
  if (requestMac) parts.unshift(withLength(requestMac));
  const expected = hmac(key.algorithm, key.secret, joinOctets(parts));
  if (!isSame(expected, tsig.mac)) return TSIG_ERROR.BADSIG;
  return Math.abs(now - tsig.time) > tsig.fudge ? TSIG_ERROR.BADTIME : TSIG_ERROR.NONE;
}

/** Takes the same time wherever the difference is. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) difference |= a[at]! ^ (b[at] ?? 0);
  return difference === 0;
}

export interface Signing {
  /** Without a signature. */
  readonly message: Uint8Array;
  readonly key: Key;
  readonly now: number;
  readonly hmac: Hmac;
  /** The MAC before: of the request, or of the message before in a stream of answers. */
  readonly prior?: Uint8Array;
  /** Not the first answer of a stream: only the time is signed with it (section 5.3.1). */
  readonly isFollowing?: boolean;
  /** BADTIME with the time that the asker has: his clock is shown ours. */
  readonly badTime?: number;
}

export interface Signed {
  readonly message: Uint8Array;
  readonly mac: Uint8Array;
}

/** Put a signature behind a message. */
export function sign(signing: Signing): Signed {
  const { message, key, now, hmac, prior, isFollowing, badTime } = signing;
  const fields = {
    time: badTime ?? now,
    fudge: FUDGE,
    error: badTime === undefined ? TSIG_ERROR.NONE : TSIG_ERROR.BADTIME,
    other: badTime === undefined ? new Uint8Array() : u48(now),
  };
  const tail = isFollowing ? joinOctets([u48(fields.time), u16(FUDGE)]) : variables(key, fields);
  const parts = prior ? [withLength(prior), message, tail] : [message, tail];
  const mac = hmac(key.algorithm, key.secret, joinOctets(parts));
  const { name, algorithm } = key;
  return {
    message: append(message, { ...fields, name, algorithm: algorithmName(algorithm), mac }),
    mac,
  };
}

/** An answer to a request whose signature is not to be trusted: named, but not signed (5.2.1, 5.2.2). */
export function refuseSignature(message: Uint8Array, asked: Tsig, error: number): Uint8Array {
  const { keyName: name, algorithm, time, fudge } = asked;
  const nothing = new Uint8Array();
  return append(message, { name, algorithm, time, fudge, error, other: nothing, mac: nothing });
}

/** Octets that a signature by this key adds. */
export function signatureOctets({ name, algorithm }: Key): number {
  const octets = name.length + 10 + algorithmName(algorithm).length + FIXED_OCTETS;
  return octets + ALGORITHMS[algorithm];
}

interface Fields {
  readonly time: number;
  readonly fudge: number;
  readonly error: number;
  readonly other: Uint8Array;
}

/** "TSIG Variables" (section 4.3.3). */
function variables({ name, algorithm }: Key, { time, fudge, error, other }: Fields): Uint8Array {
  return joinOctets([
    nameOctets(name),
    u16(CLASS_ANY),
    u32(0),
    nameOctets(algorithmName(algorithm)),
    u48(time),
    u16(fudge),
    u16(error),
    withLength(other),
  ]);
}

interface Record extends Fields {
  readonly name: Name;
  readonly algorithm: Name;
  readonly mac: Uint8Array;
}

function append(message: Uint8Array, record: Record): Uint8Array {
  const { name, algorithm, time, fudge, error, other, mac } = record;
  const data = joinOctets([
    nameOctets(algorithm),
    u48(time),
    u16(fudge),
    withLength(mac),
    message.subarray(0, 2),
    u16(error),
    withLength(other),
  ]);
  const head = [nameOctets(name), u16(TYPE.TSIG), u16(CLASS_ANY), u32(0)];
  const whole = joinOctets([message, ...head, withLength(data)]);
  const view = new DataView(whole.buffer);
  view.setUint16(10, view.getUint16(10) + 1);
  return whole;
}

/** An algorithm's name in wire form. */
const algorithmName = (algorithm: Algorithm): Name =>
  `${String.fromCharCode(algorithm.length)}${algorithm}\0`;

const u16 = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 0xff, value & 0xff);
const u32 = (value: number): Uint8Array => joinOctets([u16(value >>> 16), u16(value & 0xffff)]);
const u48 = (value: number): Uint8Array =>
  joinOctets([u16(Math.floor(value / U48_HIGH)), u32(value % U48_HIGH)]);
const withLength = (octets: Uint8Array): Uint8Array => joinOctets([u16(octets.length), octets]);
