/**
 * Which names of the platform zone may have data of their own, or belong to others: counts by the
 * hash that the table has, so that an answer to any other name needs no look at the zone. Who
 * collides takes the longer way.
 */
import { halfSipHash, type HashKey } from "./half-siphash";
import { isWithin, MAX_NAME_OCTETS, type Name } from "./names";

/** 64 KiB of counts; zones have tens of own names, seldom thousands. */
const SLOTS = 1 << 14;
export class OwnNames {
  readonly #origin: Name;
  readonly #key: HashKey;
  /** Names that exist, with data or with names below them. */
  readonly #names = new Uint32Array(SLOTS);
  readonly #data = new Uint32Array(SLOTS);
  /** Labels next to the origin, below which others answer. */
  readonly #cuts = new Uint32Array(SLOTS);
  #cutCount = 0;
  #wildcards = 0;
  readonly #labels = new Uint8Array(MAX_NAME_OCTETS);

  constructor(origin: Name, key: HashKey) {
    this.#origin = origin;
    this.#key = key;
  }

  /** A name came or went. A `cut` is also the origin of another zone. */
  see(what: "name" | "data" | "cut", name: Name, by: 1 | -1): void {
    const depth = name.length - this.#origin.length;
    if (depth <= 0 || !isWithin(name, this.#origin)) return;
    for (let at = 0; at < depth; at++) this.#labels[at] = name.charCodeAt(at);
    if (what === "cut") {
      this.#cuts[this.#hash(lastLabelAt(this.#labels, depth), depth) & (SLOTS - 1)]! += by;
      this.#cutCount += by;
      return;
    }
    if (what === "name" && name.startsWith("\x01*")) this.#wildcards += by;
    const counts = what === "name" ? this.#names : this.#data;
    counts[this.#hash(0, depth) & (SLOTS - 1)]! += by;
  }

  /** Whether anything is delegated, or another zone. */
  get hasCuts(): boolean {
    return this.#cutCount > 0;
  }

  /** Whether a name may have data, or something below it may. */
  mayExist(hash: number): boolean {
    return this.#wildcards > 0 || this.#names[hash & (SLOTS - 1)] !== 0;
  }

  mayHaveData(hash: number): boolean {
    return this.#data[hash & (SLOTS - 1)] !== 0;
  }

  /** Whether others may answer below the label next to the origin. */
  mayBeCut(hash: number): boolean {
    return this.#cuts[hash & (SLOTS - 1)] !== 0;
  }

  #hash(at: number, end: number): number {
    return halfSipHash(this.#key[0], this.#key[1], this.#labels, at, end);
  }
}

/** Where the last of the labels begins. */
export function lastLabelAt(labels: Uint8Array, depth: number): number {
  let last = 0;
  for (let at = 0; at < depth; at += 1 + labels[at]!) last = at;
  return last;
}
