/**
 * Response rate limiting (ISC-TN-2012-1): answers to one network about one thing come at a bounded
 * rate, so that nobody can have us flood a stranger whose address they put on their queries. Of what
 * is above the rate, half is answered with TC, so that who is real can come over TCP, and half not.
 *
 * The table has a fixed size and never grows. Two classes in one slot take it from each other:
 * a flood takes its slot back at once, and who loses one starts afresh.
 */
import { halfSipHash } from "./half-siphash";
import { MAX_NAME_OCTETS, type Name } from "./names";

export type Verdict = "answer" | "slip" | "drop";

/** Addresses that share their first `bits`. */
export interface Network {
  readonly octets: Uint8Array;
  readonly bits: number;
}

export interface RateLimits {
  /** Answers of one class a second; as many at once after a quiet second. */
  readonly perSecond: number;
  /** Those to which no limit applies. */
  readonly exempt: readonly Network[];
  /** Nobody shall choose which classes share a slot. */
  readonly seed: number;
}

/** What an answer is counted as, beside whom it goes to. */
export interface Response {
  /** Four octets, or sixteen. */
  readonly address: Uint8Array;
  /** The name found, the wildcard, the cut, or for NXDOMAIN the zone: the same for random names. */
  readonly countedAs: Name;
  readonly rcode: number;
}

/** Classes that are known at once; 32 octets each. */
const SLOTS = 1 << 16;
const FIELDS = 4;
/** Of a slot: a second hash of its class, tokens, when they were counted, answers not sent whole. */
const [CLASS, TOKENS, COUNTED_AT, LIMITED] = [0, 1, 2, 3];
/** Who goes on above the rate is refused for so long after; ISC's window. */
const WINDOW_SECONDS = 15;
/** Of two answers above the rate, one is truncated and one dropped. */
const SLIP = 2;

const IPV4_PREFIX_OCTETS = 3; // /24
const IPV6_PREFIX_OCTETS = 7; // /56

export const newLimiterBuffer = (): SharedArrayBuffer =>
  new SharedArrayBuffer(SLOTS * FIELDS * Float64Array.BYTES_PER_ELEMENT);

export class RateLimiter {
  readonly #limits: RateLimits;
  /** Side by side, so that a slot is one line of the processor's cache. */
  readonly #slots: Float64Array;
  readonly #name = new Uint8Array(MAX_NAME_OCTETS);

  /** Threads may share a buffer: where two count at once, one count may be lost. */
  constructor(limits: RateLimits, buffer: SharedArrayBuffer = newLimiterBuffer()) {
    this.#limits = limits;
    this.#slots = new Float64Array(buffer);
  }

  /** Count an answer, and say whether it is sent. */
  take({ address, countedAs, rcode }: Response, nowMs: number): Verdict {
    if (this.isExempt(address)) return "answer";
    for (let at = 0; at < countedAs.length; at++) this.#name[at] = countedAs.charCodeAt(at);
    return this.takeHashed(address, this.hash(this.#name, 0, countedAs.length), rcode, nowMs);
  }

  /** The hash of a folded name, by which it is counted. */
  hash(name: Uint8Array, at: number, end: number): number {
    return halfSipHash(this.#limits.seed, ~this.#limits.seed, name, at, end);
  }

  /** Whether all answers to an asker are sent. */
  isExempt(address: Uint8Array): boolean {
    const { exempt } = this.#limits;
    for (let index = 0; index < exempt.length; index++) {
      if (isIn(exempt[index]!, address)) return true;
    }
    return false;
  }

  /** Count an answer to an asker who is not exempt, about a name whose hash is known. */
  takeHashed(address: Uint8Array, nameHash: number, rcode: number, nowMs: number): Verdict {
    const slot = this.#slotOf(address, nameHash, rcode, nowMs);
    const tokens = this.#refill(slot, nowMs) - 1;
    const { perSecond } = this.#limits;
    this.#slots[slot + TOKENS] = Math.max(tokens, -perSecond * WINDOW_SECONDS);
    if (tokens >= 0) return "answer";
    const limited = this.#slots[slot + LIMITED]! + 1;
    this.#slots[slot + LIMITED] = limited;
    return limited % SLIP === 1 ? "slip" : "drop";
  }

  #slotOf(address: Uint8Array, nameHash: number, rcode: number, nowMs: number): number {
    const prefix = address.length === 4 ? IPV4_PREFIX_OCTETS : IPV6_PREFIX_OCTETS;
    // Two hashes of FNV-1a's form with different multipliers, mixed at the end.
    let one = this.#limits.seed ^ rcode;
    let two = ~this.#limits.seed ^ rcode;
    for (let at = 0; at < prefix; at++) {
      one = Math.imul(one ^ address[at]!, 0x01000193);
      two = Math.imul(two ^ address[at]!, 0x5bd1e995);
    }
    one = Math.imul(one ^ nameHash, 0x01000193);
    two = Math.imul(two ^ nameHash, 0x5bd1e995);
    one = Math.imul(one ^ (one >>> 15), 0x2c1b3c6d);
    two ^= two >>> 13;
    const slot = ((one ^ (one >>> 16)) & (SLOTS - 1)) * FIELDS;
    if (this.#slots[slot + CLASS] !== two) {
      this.#slots[slot + CLASS] = two;
      this.#slots[slot + TOKENS] = this.#limits.perSecond;
      this.#slots[slot + COUNTED_AT] = nowMs;
      this.#slots[slot + LIMITED] = 0;
    }
    return slot;
  }

  #refill(slot: number, nowMs: number): number {
    const { perSecond } = this.#limits;
    const passedMs = Math.max(0, nowMs - this.#slots[slot + COUNTED_AT]!);
    this.#slots[slot + COUNTED_AT] = nowMs;
    return Math.min(perSecond, this.#slots[slot + TOKENS]! + (passedMs / 1000) * perSecond);
  }
}

function isIn({ octets, bits }: Network, address: Uint8Array): boolean {
  if (octets.length !== address.length) return false;
  const whole = bits >> 3;
  for (let at = 0; at < whole; at++) if (octets[at] !== address[at]) return false;
  const rest = 8 - (bits & 7);
  return rest === 8 || octets[whole]! >> rest === address[whole]! >> rest;
}
