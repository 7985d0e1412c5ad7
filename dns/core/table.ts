/**
 * Where repls live, in memory that threads share: one writes (`table-writer.ts`), any number read, and
 * nobody locks. Names are found by open addressing: a slot holds eight bits of the name's hash and the
 * index of its repl, so that hardly any but the right one is looked at.
 *
 *     ids, names, owners   slots: tag | index + 1; 0 is free, -1 was taken once
 *     repls                a record a repl: where its labels are, its owner, cluster, generation, queries
 *     ownerRecords         where an owner's label is, and how many repls it has
 *     arena                labels, each behind its length: a repl's name and id; an owner's
 *
 * What a reader may rely on: a record and its labels are written before the slot that leads to them,
 * and never again, but for the cluster, the generation and the queries, which are one word each. So
 * whatever slot a reader has seen leads to a repl that was there. Readers take plain words: the
 * index is needed to find the record, and processors keep that order.
 */
import { halfSipHash, type HashKey } from "./half-siphash";

/** An index and its successor fit into 24 bits, beside the mark of a slot that was taken. */
export const MAX_REPLS = 2 ** 24 - 2;
/** Nothing lies further from its home; a reader's work has this bound. With 2/3 taken, chains of hundreds come once in millions. */
export const MAX_PROBES = 512;

export const FREE = 0;
export const TAKEN_ONCE = -1;

/** Words of a repl's record. */
export const FIELDS = 5;
export const LABELS_AT = 0;
export const OWNER = 1;
export const CLUSTER = 2;
/** -1 in a record that is no repl any more. */
export const GENERATION = 3;
export const QUERIES = 4;
/** In a repl's OWNER: one that came later has its name. */
export const UNNAMED = 0x40000000;

/** Words of an owner's record. */
export const OWNER_FIELDS = 2;
export const OWNER_LABEL_AT = 0;
export const OWNER_REPLS = 1;

/** A repl as the table has it: labels with one character an octet, the cluster by its index. */
export interface Placed {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly cluster: number;
  readonly generation: number;
}

/** What a table is, to be given to another thread. */
export interface TableBuffers {
  readonly key: HashKey;
  readonly ids: SharedArrayBuffer;
  readonly names: SharedArrayBuffer;
  readonly owners: SharedArrayBuffer;
  readonly repls: SharedArrayBuffer;
  readonly ownerRecords: SharedArrayBuffer;
  readonly arena: SharedArrayBuffer;
}

const noWords = (): SharedArrayBuffer => new SharedArrayBuffer(4);

/** What a reader has before it is told of a table. */
export const EMPTY_TABLE: TableBuffers = {
  key: [0, 0],
  ids: noWords(),
  names: noWords(),
  owners: noWords(),
  repls: noWords(),
  ownerRecords: noWords(),
  arena: noWords(),
};

/** The slot that a hash leads to first. Its upper bits count; the lower ones are the tag. */
export const homeOf = (hash: number, slots: number): number => (hash * slots * 2 ** -32) | 0;

export const slotOf = (hash: number, index: number): number => (hash << 24) | (index + 1);

const INDEX = 0xffffff;

/** So many are brought near at once. */
export const MAX_NEAR = 64;
/** Most are found within so many; the others are found later. */
const NEAR_PROBES = 8;

/** A reader of the table. Keys are labels as in a wire name, folded: each behind its length. */
export class Table {
  #buffers: TableBuffers;
  #k0!: number;
  #k1!: number;
  protected ids!: Int32Array;
  protected names!: Int32Array;
  protected owners!: Int32Array;
  protected repls!: Int32Array;
  protected ownerRecords!: Int32Array;
  protected arena!: Uint8Array;
  readonly #near = new Int32Array(MAX_NEAR);

  constructor(buffers: TableBuffers) {
    this.#buffers = buffers;
    this.adopt(buffers);
  }

  get buffers(): TableBuffers {
    return this.#buffers;
  }

  /** Octets of all that the table is made of. */
  get octets(): number {
    const { ids, names, owners, repls, ownerRecords, arena } = this.#buffers;
    const all = [ids, names, owners, repls, ownerRecords, arena];
    return all.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Repls that it has room for. */
  get capacity(): number {
    return this.repls.length / FIELDS;
  }

  /** Read from these from now on. */
  adopt(buffers: TableBuffers): void {
    this.#buffers = buffers;
    [this.#k0, this.#k1] = buffers.key;
    this.ids = new Int32Array(buffers.ids);
    this.names = new Int32Array(buffers.names);
    this.owners = new Int32Array(buffers.owners);
    this.repls = new Int32Array(buffers.repls);
    this.ownerRecords = new Int32Array(buffers.ownerRecords);
    this.arena = new Uint8Array(buffers.arena);
  }

  hash(key: Uint8Array, at: number, end: number): number {
    return halfSipHash(this.#k0, this.#k1, key, at, end);
  }

  /** Index of the repl with an id, or -1. */
  findId(key: Uint8Array, at: number, end: number, hash = this.hash(key, at, end)): number {
    const { ids } = this;
    let slot = homeOf(hash, ids.length);
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const found = ids[slot]!;
      if (found === FREE) return -1;
      if (((found >>> 24) ^ hash) << 24 === 0 && found !== TAKEN_ONCE) {
        const index = (found & INDEX) - 1;
        const name = this.repls[index * FIELDS + LABELS_AT]!;
        if (this.#isSame(name + 1 + this.arena[name]!, key, at, end)) return index;
      }
      if (++slot === ids.length) slot = 0;
    }
    return -1;
  }

  /** Index of the repl with a name, which is followed by its owner, or -1. */
  findName(key: Uint8Array, at: number, end: number, hash = this.hash(key, at, end)): number {
    const { names } = this;
    const ownerAt = at + 1 + key[at]!;
    let slot = homeOf(hash, names.length);
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const found = names[slot]!;
      if (found === FREE) return -1;
      if (((found >>> 24) ^ hash) << 24 === 0 && found !== TAKEN_ONCE) {
        const index = (found & INDEX) - 1;
        const record = index * FIELDS;
        if (this.#isSame(this.repls[record + LABELS_AT]!, key, at, ownerAt)) {
          const owner = this.repls[record + OWNER]! & ~UNNAMED;
          const label = this.ownerRecords[owner * OWNER_FIELDS + OWNER_LABEL_AT]!;
          if (this.#isSame(label, key, ownerAt, end)) return index;
        }
      }
      if (++slot === names.length) slot = 0;
    }
    return -1;
  }

  /** Index of an owner that has repls, or -1. */
  findOwner(key: Uint8Array, at: number, end: number, hash = this.hash(key, at, end)): number {
    const { owners } = this;
    let slot = homeOf(hash, owners.length);
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const found = owners[slot]!;
      if (found === FREE) return -1;
      if (((found >>> 24) ^ hash) << 24 === 0 && found !== TAKEN_ONCE) {
        const index = (found & INDEX) - 1;
        const label = this.ownerRecords[index * OWNER_FIELDS + OWNER_LABEL_AT]!;
        if (this.#isSame(label, key, at, end)) return index;
      }
      if (++slot === owners.length) slot = 0;
    }
    return -1;
  }

  /**
   * Have what leads to some repls near: `hashes` of their ids or names, of which nothing is told.
   * Each step waits for memory, and the processor waits for all of a step at once.
   */
  bringNear(hashes: Int32Array, isById: Uint8Array, count: number): void {
    const { ids, names, repls, arena, ownerRecords } = this;
    const found = this.#near;
    let seen = 0;
    for (let at = 0; at < count; at++) {
      const slots = isById[at] === 1 ? ids : names;
      found[at] = slots[homeOf(hashes[at]! >>> 0, slots.length)]!;
    }
    for (let at = 0; at < count; at++) {
      const hash = hashes[at]!;
      const slots = isById[at] === 1 ? ids : names;
      let slot = homeOf(hash >>> 0, slots.length);
      let index = 0;
      for (let probes = 0; probes < NEAR_PROBES && slots[slot] !== FREE; probes++) {
        const here = slots[slot]!;
        if (((here >>> 24) ^ hash) << 24 === 0 && here !== TAKEN_ONCE) {
          index = (here & INDEX) - 1;
          break;
        }
        if (++slot === slots.length) slot = 0;
      }
      found[at] = index * FIELDS;
    }
    for (let at = 0; at < count; at++) seen ^= repls[found[at]!]!;
    for (let at = 0; at < count; at++) {
      const record = found[at]!;
      const owner = repls[record + OWNER]! & ~UNNAMED;
      seen ^= arena[repls[record + LABELS_AT]!]!;
      found[at] = owner * OWNER_FIELDS + OWNER_LABEL_AT;
    }
    for (let at = 0; at < count; at++) found[at] = ownerRecords[found[at]!]!;
    for (let at = 0; at < count; at++) seen ^= arena[found[at]!]!;
    // What nobody uses might not be read.
    found[0] = seen;
  }

  #isSame(label: number, key: Uint8Array, at: number, end: number): boolean {
    const { arena } = this;
    for (let here = at; here < end; here++) {
      if (arena[label + here - at] !== key[here]) return false;
    }
    return true;
  }

  clusterOf(index: number): number {
    return this.repls[index * FIELDS + CLUSTER]!;
  }

  generationOf(index: number): number {
    return this.repls[index * FIELDS + GENERATION]!;
  }

  /** Queries for a repl that the fast path has answered. */
  queriesOf(index: number): number {
    return this.repls[index * FIELDS + QUERIES]! >>> 0;
  }

  countQuery(index: number): void {
    Atomics.add(this.repls, index * FIELDS + QUERIES, 1);
  }

  /** Whether its name leads to it. */
  isNamed(index: number): boolean {
    return (this.repls[index * FIELDS + OWNER]! & UNNAMED) === 0;
  }

  nameOf(index: number): string {
    return this.#textAt(this.#nameAt(index));
  }

  ownerOf(index: number): string {
    return this.#textAt(this.#ownerAt(index));
  }

  idOf(index: number): string {
    return this.#textAt(this.#idAt(index));
  }

  /** Write a label behind its length; where it ends. */
  copyName(index: number, to: Uint8Array, at: number): number {
    return this.#copy(this.#nameAt(index), to, at);
  }

  copyOwner(index: number, to: Uint8Array, at: number): number {
    return this.#copy(this.#ownerAt(index), to, at);
  }

  copyId(index: number, to: Uint8Array, at: number): number {
    return this.#copy(this.#idAt(index), to, at);
  }

  /** The label of an owner, by the owner's index, and how many repls there are. */
  ownerLabel(owner: number): string {
    return this.#textAt(this.ownerRecords[owner * OWNER_FIELDS + OWNER_LABEL_AT]!);
  }

  ownerRepls(owner: number): number {
    return this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS]!;
  }

  #nameAt(index: number): number {
    return this.repls[index * FIELDS + LABELS_AT]!;
  }

  #idAt(index: number): number {
    const name = this.#nameAt(index);
    return name + 1 + this.arena[name]!;
  }

  #ownerAt(index: number): number {
    const owner = this.repls[index * FIELDS + OWNER]! & ~UNNAMED;
    return this.ownerRecords[owner * OWNER_FIELDS + OWNER_LABEL_AT]!;
  }

  #textAt(at: number): string {
    const end = at + 1 + this.arena[at]!;
    let label = "";
    for (let here = at + 1; here < end; here++) label += String.fromCharCode(this.arena[here]!);
    return label;
  }

  #copy(label: number, to: Uint8Array, at: number): number {
    const end = at + 1 + this.arena[label]!;
    for (let here = at; here < end; here++) to[here] = this.arena[label + here - at]!;
    return end;
  }
}
