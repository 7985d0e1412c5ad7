import type { Digest } from "./world";

/** Takes numbers in and gives 64 bits, as two words: at 10⁷ states two of them are alike once in 10⁵ runs. */
export class Hasher implements Digest {
  low = 0;
  high = 0;

  reset(): void {
    this.low = 0x9e3779b9 | 0;
    this.high = 0x85ebca6b | 0;
  }

  add(value: number): void {
    // Values may have more than 32 bits.
    const upper = Math.floor(value / 0x1_0000_0000) | 0;
    this.low = mix(this.low ^ (value | 0));
    this.high = mix(this.high + Math.imul((value | 0) ^ upper, 0x27d4eb2f) + upper);
    this.low = (this.low + this.high) | 0;
  }
}

function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}

/** A set of 64-bit hashes in two flat arrays: ten million take 256 MB, and no garbage. */
export class HashSet {
  size = 0;
  #low: Uint32Array;
  #high: Uint32Array;

  constructor(capacity = 1 << 16) {
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
  }

  has({ low, high }: Hasher): boolean {
    return this.#high[this.#slot(low >>> 0, high >>> 0 || 1)] !== 0;
  }

  /** True when it was not there before. */
  add({ low, high }: Hasher): boolean {
    const upper = high >>> 0 || 1; // 0 marks an empty slot.
    const slot = this.#slot(low >>> 0, upper);
    if (this.#high[slot] !== 0) return false;
    this.#low[slot] = low >>> 0;
    this.#high[slot] = upper;
    this.size++;
    if (this.size * 2 > this.#low.length) this.#grow();
    return true;
  }

  #slot(low: number, high: number): number {
    const mask = this.#low.length - 1;
    let slot = low & mask;
    while (this.#high[slot] !== 0 && !(this.#low[slot] === low && this.#high[slot] === high)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const low = this.#low;
    const high = this.#high;
    this.#low = new Uint32Array(low.length * 2);
    this.#high = new Uint32Array(low.length * 2);
    for (let slot = 0; slot < low.length; slot++) {
      const upper = high[slot] ?? 0;
      if (upper === 0) continue;
      const into = this.#slot(low[slot] ?? 0, upper);
      this.#low[into] = low[slot] ?? 0;
      this.#high[into] = upper;
    }
  }
}
