/**
 * HalfSipHash-1-3 with 32 bits of output (Aumasson and Bernstein; the variant that the Linux kernel has
 * for its hash tables): whoever does not know the key cannot choose names that collide.
 */

/** 64 bits, as two words. */
export type HashKey = readonly [number, number];

/** The hash of octets `start` to `end`. Nothing is allocated. */
export function halfSipHash(
  k0: number,
  k1: number,
  octets: Uint8Array,
  start: number,
  end: number,
): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  let word = 0;
  let at = start;
  const length = end - start;
  const whole = start + (length & ~3);
  // One round each for the whole words, one for the rest with the length, and three at the end.
  for (let left = (length >>> 2) + 4; left > 0; left--) {
    if (left > 4) {
      word =
        octets[at]! | (octets[at + 1]! << 8) | (octets[at + 2]! << 16) | (octets[at + 3]! << 24);
      at += 4;
    } else if (left === 4) {
      word = length << 24;
      if (whole + 2 < end) word |= octets[whole + 2]! << 16;
      if (whole + 1 < end) word |= octets[whole + 1]! << 8;
      if (whole < end) word |= octets[whole]!;
    } else {
      word = 0;
      if (left === 3) v2 ^= 0xff;
    }
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5) | (v1 >>> 27);
    v1 ^= v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8) | (v3 >>> 24);
    v3 ^= v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7) | (v3 >>> 25);
    v3 ^= v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13) | (v1 >>> 19);
    v1 ^= v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
