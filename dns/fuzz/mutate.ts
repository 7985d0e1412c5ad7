/** Packets that are nearly queries: seeded, so that each run can be had again. */
import { RULES } from "../conformance/run";
import type { Rule } from "../conformance/rule";

export type Random = () => number;

/** Mulberry32: small, fast, and good enough to pick octets. From 0 up to 1. */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const octetsOf = ({ test }: Rule): Buffer =>
  "pieces" in test ? Buffer.concat(test.pieces) : test.ask;

/** What the wire suite asks: a query of every kind, well-formed or not. */
const CORPUS: readonly Buffer[] = RULES.map(octetsOf).filter(({ length }) => length > 0);

/** Longer than any query; what grows stops here. */
const MAX_OCTETS = 4_096;

/** Numbers where readers go wrong: counts, lengths, pointers, types. */
const NUMBERS = [
  0, 1, 2, 11, 12, 41, 63, 64, 127, 128, 191, 192, 255, 256, 512, 0x7fff, 0xc00c, 0xffff,
];

type Mutation = (octets: Buffer, random: Random, corpus: readonly Buffer[]) => Buffer;

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

const mutations: readonly Mutation[] = [
  function flip(octets, random) {
    const at = below(random, octets.length);
    octets[at] = octets[at]! ^ (1 << below(random, 8));
    return octets;
  },
  function set(octets, random) {
    octets[below(random, octets.length)] = below(random, 256);
    return octets;
  },
  function setNumber(octets, random) {
    const at = below(random, octets.length - 1);
    octets.writeUInt16BE(NUMBERS[below(random, NUMBERS.length)]!, at);
    return octets;
  },
  function setCount(octets, random) {
    if (octets.length < 12) return octets;
    octets.writeUInt16BE(NUMBERS[below(random, NUMBERS.length)]!, 4 + 2 * below(random, 4));
    return octets;
  },
  function cut(octets, random) {
    return octets.subarray(0, 2 + below(random, octets.length));
  },
  function append(octets, random) {
    const added = Buffer.from(Array.from({ length: below(random, 40) }, () => below(random, 256)));
    return Buffer.concat([octets, added]);
  },
  function repeat(octets, random) {
    const from = below(random, octets.length);
    const part = octets.subarray(from, from + below(random, 64));
    return Buffer.concat([octets.subarray(0, from), part, part, octets.subarray(from)]);
  },
  function splice(octets, random, corpus) {
    const other = corpus[below(random, corpus.length)]!;
    const tail = other.subarray(below(random, other.length));
    return Buffer.concat([octets.subarray(0, below(random, octets.length)), tail]);
  },
];

/** Makes packets: one of the corpus, changed up to four times; now and then nothing but noise. */
export const packetsFrom =
  (corpus: readonly Buffer[]) =>
  (random: Random): Buffer => {
    if (random() < 0.01) {
      return Buffer.from(Array.from({ length: below(random, 600) }, () => below(random, 256)));
    }
    let octets = Buffer.from(corpus[below(random, corpus.length)]!);
    for (let count = 1 + below(random, 4); count > 0 && octets.length > 2; count--) {
      const mutate = mutations[below(random, mutations.length)]!;
      octets = mutate(octets, random, corpus) as Buffer<ArrayBuffer>;
    }
    return octets.subarray(0, MAX_OCTETS);
  };

export const nextPacket = packetsFrom(CORPUS);
