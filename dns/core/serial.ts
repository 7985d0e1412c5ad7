/** Serial numbers of zones: 32 bits that wrap around, ordered as in RFC 1982. */

const MODULUS = 2 ** 32;
const HALF = 2 ** 31;

/**
 * The serial of a zone whose base and counters are given. Each counter only ever rises, so two
 * states of a zone never share a serial, and instances that show the same data show the same one.
 */
export function serialOf(base: number, ...counters: readonly number[]): number {
  return counters.reduce((sum, counter) => (sum + (counter % MODULUS)) % MODULUS, base % MODULUS);
}

/** Whether `a` comes after `b` (RFC 1982 section 3.2). Undefined distance counts as not after. */
export function isAfter(a: number, b: number): boolean {
  const distance = (a - b + MODULUS) % MODULUS;
  return distance > 0 && distance < HALF;
}

/** The serial in SOA data: the first of the five numbers at its end. */
export function serialIn(soa: Uint8Array): number {
  return new DataView(soa.buffer, soa.byteOffset, soa.length).getUint32(soa.length - 20);
}

/** The base that makes `serial` of these counters. */
export function baseFor(serial: number, ...counters: readonly number[]): number {
  return (serial - serialOf(0, ...counters) + MODULUS) % MODULUS;
}

/**
 * The base with which a change shows the serial that a zone file asks for, when that is later than
 * what was shown (`before`) and so may be the next; else the base stays.
 */
export function baseAsked(asked: number, before: number, now: readonly number[], base: number) {
  return isAfter(asked, before) ? baseFor(asked, ...now) : base;
}
