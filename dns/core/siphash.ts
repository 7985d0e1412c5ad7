/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) with 64 bits of output: a keyed hash that is cheap for
 * short inputs. Each 64-bit word is two halves of 32 bits, since BigInt is forty times slower.
 */

/** Halves of v0 to v3: low, high, low, high … */
type State = Int32Array;

function add(state: State, to: number, from: number): void {
  const low = (state[to]! >>> 0) + (state[from]! >>> 0);
  state[to + 1] = (state[to + 1]! + state[from + 1]! + (low > 0xffffffff ? 1 : 0)) | 0;
  state[to] = low | 0;
}

function xor(state: State, to: number, from: number): void {
  state[to] = state[to]! ^ state[from]!;
  state[to + 1] = state[to + 1]! ^ state[from + 1]!;
}

/** Rotate left by less than 32 bits. */
function rotate(state: State, at: number, bits: number): void {
  const low = state[at]!;
  const high = state[at + 1]!;
  state[at] = (low << bits) | (high >>> (32 - bits));
  state[at + 1] = (high << bits) | (low >>> (32 - bits));
}

function swap(state: State, at: number): void {
  const low = state[at]!;
  state[at] = state[at + 1]!;
  state[at + 1] = low;
}

const V0 = 0;
const V1 = 2;
const V2 = 4;
const V3 = 6;

function round(state: State): void {
  add(state, V0, V1);
  rotate(state, V1, 13);
  xor(state, V1, V0);
  swap(state, V0);
  add(state, V2, V3);
  rotate(state, V3, 16);
  xor(state, V3, V2);
  add(state, V0, V3);
  rotate(state, V3, 21);
  xor(state, V3, V0);
  add(state, V2, V1);
  rotate(state, V1, 17);
  xor(state, V1, V2);
  swap(state, V2);
}

const le32 = (octets: Uint8Array, at: number): number =>
  octets[at]! | (octets[at + 1]! << 8) | (octets[at + 2]! << 16) | (octets[at + 3]! << 24);

function absorb(state: State, low: number, high: number): void {
  state[V3] = state[V3]! ^ low;
  state[V3 + 1] = state[V3 + 1]! ^ high;
  round(state);
  round(state);
  state[V0] = state[V0]! ^ low;
  state[V0 + 1] = state[V0 + 1]! ^ high;
}

/** Eight octets, in the order of the reference implementation, under a key of sixteen. */
export function sipHash24(key: Uint8Array, input: Uint8Array): Uint8Array {
  const [k0, k1, k2, k3] = [le32(key, 0), le32(key, 4), le32(key, 8), le32(key, 12)];
  const state = Int32Array.of(
    k0 ^ 0x70736575,
    k1 ^ 0x736f6d65,
    k2 ^ 0x6e646f6d,
    k3 ^ 0x646f7261,
    k0 ^ 0x6e657261,
    k1 ^ 0x6c796765,
    k2 ^ 0x79746573,
    k3 ^ 0x74656462,
  );
  const whole = input.length & ~7;
  for (let at = 0; at < whole; at += 8) absorb(state, le32(input, at), le32(input, at + 4));
  const last = new Uint8Array(8);
  last.set(input.subarray(whole));
  last[7] = input.length & 0xff;
  absorb(state, le32(last, 0), le32(last, 4));
  state[V2] = state[V2]! ^ 0xff;
  for (let count = 0; count < 4; count++) round(state);
  const low = state[V0]! ^ state[V1]! ^ state[V2]! ^ state[V3]!;
  const high = state[V0 + 1]! ^ state[V1 + 1]! ^ state[V2 + 1]! ^ state[V3 + 1]!;
  return Uint8Array.from({ length: 8 }, (_, i) => ((i < 4 ? low : high) >>> (8 * (i & 3))) & 0xff);
}
