/**
 * The writer of the table that `table.ts` describes. Nothing that a reader may look at is written
 * twice: what is removed leaves its record and labels behind, until a quarter of them is such. Then,
 * and when there is no room, the table goes on in new buffers, which readers are to be given; the
 * old ones stay what they were, but for moves.
 */
import type { HashKey } from "./half-siphash";
import { MAX_LABEL_OCTETS } from "./names";
import {
  CLUSTER,
  FIELDS,
  FREE,
  GENERATION,
  homeOf,
  LABELS_AT,
  MAX_PROBES,
  MAX_REPLS,
  OWNER,
  OWNER_FIELDS,
  OWNER_LABEL_AT,
  OWNER_REPLS,
  QUERIES,
  slotOf,
  Table,
  type TableBuffers,
  TAKEN_ONCE,
  UNNAMED,
} from "./table";

/** A repl as the table has it: labels with one character an octet, the cluster by its index. */
export interface Placed {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly cluster: number;
  readonly generation: number;
}

/** Of the slots at most so many are taken: with more, chains get long. */
const MAX_LOAD = 2 / 3;
/** A table with fewer dead records is not worth a new one. */
const MIN_DEAD = 1_024;
/** Words are signed. */
const MAX_GENERATION = 2 ** 31 - 1;
const MAX_ARENA_OCTETS = 2 ** 31 - 1;
/** The most that one repl puts into the arena, its owner included. */
const LABELS_OCTETS = 3 * (1 + MAX_LABEL_OCTETS);

/** How much more room than is needed is made, as a share of it. */
interface Spare {
  readonly slots: number;
  readonly records: number;
}
const SPARE: Spare = { slots: 1 / 8, records: 1 / 16 };
/** While much comes, doubling costs least; what was too much is given back at the end. */
const LOADING: Spare = { slots: 1, records: 1 };
/** No seeded hash needs so many; then it is no seeded hash. */
const MAX_SPARE_SLOTS = 16;
/** What a repl usually has, where the names are not known yet. */
const USUAL_LABELS_OCTETS = 26;
const USUAL_REPLS_AN_OWNER = 8;

/** How many repls and owners, and octets of labels. */
interface Sizes {
  repls: number;
  owners: number;
  arena: number;
}
const NOTHING: Sizes = { repls: 0, owners: 0, arena: 0 };

/** Slots of a kind. */
type Kind = "ids" | "names" | "owners";
const KINDS: readonly Kind[] = ["ids", "names", "owners"];

interface Added {
  readonly cluster: number;
  readonly generation: number;
  readonly queries: number;
  readonly isNamed: boolean;
  /** The record that this one takes the id from, or -1. */
  readonly before: number;
}

const withSpare = (count: number, share: number): number => Math.ceil(count * (1 + share));

const roomFor = (of: Sizes, { records }: Spare): Sizes => {
  return {
    repls: Math.min(MAX_REPLS, withSpare(of.repls + 1, records)),
    owners: Math.min(MAX_REPLS, withSpare(of.owners + 1, records)),
    arena: Math.min(MAX_ARENA_OCTETS, withSpare(of.arena + LABELS_OCTETS, records)),
  };
};

const slotsFor = (keys: number, { slots }: Spare): number =>
  Math.ceil(withSpare(keys + 8, slots) / MAX_LOAD);

function allocate(key: HashKey, of: Sizes, spare: Spare): TableBuffers {
  const room = roomFor(of, spare);
  const words = (count: number) => new SharedArrayBuffer(4 * count);
  return {
    key,
    ids: words(slotsFor(of.repls, spare)),
    names: words(slotsFor(of.repls, spare)),
    owners: words(slotsFor(of.owners, spare)),
    repls: words(FIELDS * room.repls),
    ownerRecords: words(OWNER_FIELDS * room.owners),
    arena: new SharedArrayBuffer(room.arena),
  };
}

function copied(from: SharedArrayBuffer, octets = from.byteLength): SharedArrayBuffer {
  const to = new SharedArrayBuffer(octets);
  new Uint8Array(to).set(new Uint8Array(from, 0, Math.min(from.byteLength, octets)));
  return to;
}

export class TableWriter extends Table {
  /** What was put into these buffers, and what of it is still so. */
  #used: Sizes = { ...NOTHING };
  #live: Sizes = { ...NOTHING };
  /** Slots that are not free. */
  #taken: Record<Kind, number> = { ids: 0, names: 0, owners: 0 };
  #spare = SPARE;
  /** A slot would have been too far from its home: there must be more. */
  #isCrowded = false;
  /** Labels of the repl at hand: name, owner, id; and where they end. */
  readonly #labels = new Uint8Array(LABELS_OCTETS);
  #ownerAt = 0;
  #idAt = 0;
  #end = 0;

  constructor(key: HashKey) {
    super(allocate(key, NOTHING, SPARE));
  }

  get size(): number {
    return this.#live.repls;
  }

  /** Indexes are below it; not all are of repls that live. */
  get recordCount(): number {
    return this.#used.repls;
  }

  get ownerCount(): number {
    return this.#used.owners;
  }

  /** Index of the repl with this id, or -1. Good until the next change. */
  find(id: string): number {
    const end = this.#label(id, 0);
    return end < 0 ? -1 : this.findId(this.#labels, 0, end);
  }

  /** Put a repl where it now is; it takes its name from whoever has it. `known` is its index, or -1. */
  place(repl: Placed, known: number): void {
    const { id, name, owner, generation, cluster } = repl;
    if (!Number.isInteger(generation) || generation < 0 || generation > MAX_GENERATION) {
      throw new Error(`Cannot place the repl "${id}": generation ${generation} is out of range`);
    }
    if (known >= 0 && this.nameOf(known) === name && this.ownerOf(known) === owner) {
      this.repls[known * FIELDS + GENERATION] = generation;
      Atomics.store(this.repls, known * FIELDS + CLUSTER, cluster);
      return;
    }
    this.#makeRoom();
    const before = known < 0 ? -1 : this.find(id);
    this.#read(repl);
    const queries = before < 0 ? 0 : this.queriesOf(before);
    this.#add({ cluster, generation, queries, isNamed: true, before });
    if (before >= 0) this.#bury(before);
    this.#tidy();
  }

  remove(index: number): void {
    this.#copyLabels(this, index);
    this.#replace("ids", this.#hashOf("ids"), index, TAKEN_ONCE);
    this.#bury(index);
    this.#tidy();
  }

  /** Much is to come: about so many repls, or 0 where nobody knows. */
  expect(repls: number): void {
    this.#spare = LOADING;
    const owners = Math.ceil(repls / USUAL_REPLS_AN_OWNER);
    if (repls > this.size) {
      this.#rebuild(SPARE, { repls, owners, arena: repls * USUAL_LABELS_OCTETS });
    }
  }

  /** All has come: give back what was too much. */
  settle(): void {
    this.#spare = SPARE;
    const isWide = this.ids.length > slotsFor(this.size, SPARE) * (1 + SPARE.slots);
    if (isWide || this.size < this.#used.repls) this.#rebuild(SPARE);
    else this.#extend(SPARE);
  }

  /** Room for one more repl. */
  #makeRoom(): void {
    const { repls, owners, arena } = this.#used;
    const isFull = KINDS.some((kind) => this.#taken[kind] + 1 > this[kind].length * MAX_LOAD);
    const isAtLimit = repls >= MAX_REPLS || arena + LABELS_OCTETS > MAX_ARENA_OCTETS;
    if (isFull || isAtLimit) this.#rebuild(this.#spare);
    else if (
      (repls + 1) * FIELDS > this.repls.length ||
      (owners + 1) * OWNER_FIELDS > this.ownerRecords.length ||
      arena + LABELS_OCTETS > this.arena.length
    ) {
      this.#extend(this.#spare);
    }
    if (this.#used.repls >= MAX_REPLS || this.#used.arena + LABELS_OCTETS > MAX_ARENA_OCTETS) {
      throw new Error(`Cannot place a repl: the table is full with ${this.size}`);
    }
  }

  /** More room. Slots are copied as well, so that those of a reader never lead to what it has not. */
  #extend(spare: Spare): void {
    const { key, ids, names, owners, repls, ownerRecords, arena } = this.buffers;
    const room = roomFor(this.#used, spare);
    this.adopt({
      key,
      ids: copied(ids),
      names: copied(names),
      owners: copied(owners),
      repls: copied(repls, 4 * FIELDS * room.repls),
      ownerRecords: copied(ownerRecords, 4 * OWNER_FIELDS * room.owners),
      arena: copied(arena, room.arena),
    });
  }

  /** After a change: a new table when this one is crowded, or a quarter of it dead. */
  #tidy(): void {
    const dead = this.#used.repls - this.#live.repls;
    const isDead = dead > MIN_DEAD && dead > this.#used.repls / 4;
    if (this.#isCrowded || isDead) this.#rebuild(this.#spare);
  }

  /** The same repls in new buffers, with room for `least`. */
  #rebuild(spare: Spare, least = NOTHING): void {
    const old = new Table(this.buffers);
    const records = this.#used.repls;
    const of = {
      repls: Math.max(this.#live.repls, least.repls),
      owners: Math.max(this.#live.owners, least.owners),
      arena: Math.max(this.#live.arena, least.arena),
    };
    for (let more = this.#isCrowded ? 1 : 0; more < MAX_SPARE_SLOTS; more++) {
      this.adopt(allocate(this.buffers.key, of, { ...spare, slots: spare.slots + more }));
      this.#used = { ...NOTHING };
      this.#live = { ...NOTHING };
      this.#taken = { ids: 0, names: 0, owners: 0 };
      this.#isCrowded = false;
      this.#addAll(old, records);
      if (!this.#isCrowded) return;
    }
    throw new Error("Cannot build the table: too many names have the same hash");
  }

  #addAll(old: Table, records: number): void {
    for (let index = 0; index < records && !this.#isCrowded; index++) {
      const generation = old.generationOf(index);
      if (generation < 0) continue;
      this.#copyLabels(old, index);
      this.#add({
        cluster: old.clusterOf(index),
        generation,
        queries: old.queriesOf(index),
        isNamed: old.isNamed(index),
        before: -1,
      });
    }
  }

  /** A repl with the labels at hand. */
  #add({ cluster, generation, queries, isNamed, before }: Added): void {
    const index = this.#used.repls++;
    const record = index * FIELDS;
    this.repls[record + LABELS_AT] = this.#keep(0, this.#ownerAt);
    this.#keep(this.#idAt, this.#end);
    const owner = this.#ownerRecord();
    this.repls[record + OWNER] = isNamed ? owner : owner | UNNAMED;
    this.repls[record + CLUSTER] = cluster;
    this.repls[record + GENERATION] = generation;
    this.repls[record + QUERIES] = queries;
    this.#live.repls++;
    if (isNamed) this.#takeName(index);
    const hash = this.#hashOf("ids");
    if (before < 0) this.#put("ids", hash, index);
    else this.#replace("ids", hash, before, slotOf(hash, index));
  }

  #takeName(index: number): void {
    const hash = this.#hashOf("names");
    const holder = this.findName(this.#labels, 0, this.#idAt);
    if (holder < 0) return this.#put("names", hash, index);
    this.#replace("names", hash, holder, slotOf(hash, index));
    this.repls[holder * FIELDS + OWNER]! |= UNNAMED;
  }

  /** The record of the owner at hand, who has one repl more. */
  #ownerRecord(): number {
    let owner = this.findOwner(this.#labels, this.#ownerAt, this.#idAt);
    if (owner < 0) {
      owner = this.#used.owners++;
      this.ownerRecords[owner * OWNER_FIELDS + OWNER_LABEL_AT] = this.#keep(
        this.#ownerAt,
        this.#idAt,
      );
      this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS] = 0;
      this.#live.owners++;
      this.#put("owners", this.#hashOf("owners"), owner);
    }
    this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS]!++;
    return owner;
  }

  /** The repl's record is none any more. Its id leads elsewhere already, or nowhere. */
  #bury(index: number): void {
    this.#copyLabels(this, index);
    if (this.isNamed(index)) this.#replace("names", this.#hashOf("names"), index, TAKEN_ONCE);
    this.repls[index * FIELDS + GENERATION] = -1;
    this.#live.repls--;
    this.#live.arena -= this.#ownerAt + this.#end - this.#idAt;
    const owner = this.repls[index * FIELDS + OWNER]! & ~UNNAMED;
    const left = --this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS]!;
    if (left > 0) return;
    this.#replace("owners", this.#hashOf("owners"), owner, TAKEN_ONCE);
    this.#live.owners--;
    this.#live.arena -= this.#idAt - this.#ownerAt;
  }

  #put(kind: Kind, hash: number, index: number): void {
    const slots = this[kind];
    let slot = homeOf(hash, slots.length);
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const was = slots[slot]!;
      if (was === FREE || was === TAKEN_ONCE) {
        if (was === FREE) this.#taken[kind]++;
        Atomics.store(slots, slot, slotOf(hash, index));
        return;
      }
      if (++slot === slots.length) slot = 0;
    }
    this.#isCrowded = true;
  }

  /** The slot of `index` gets another value. */
  #replace(kind: Kind, hash: number, index: number, value: number): void {
    const slots = this[kind];
    const sought = slotOf(hash, index);
    let slot = homeOf(hash, slots.length);
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      if (slots[slot] === sought) return void Atomics.store(slots, slot, value);
      if (++slot === slots.length) slot = 0;
    }
    throw new Error(`Cannot change a slot of ${kind}: record ${index} has none`);
  }

  #hashOf(kind: Kind): number {
    if (kind === "names") return this.hash(this.#labels, 0, this.#idAt);
    if (kind === "owners") return this.hash(this.#labels, this.#ownerAt, this.#idAt);
    return this.hash(this.#labels, this.#idAt, this.#end);
  }

  /** Take the labels at hand from `at` to `end` into the arena; where they are. */
  #keep(at: number, end: number): number {
    const start = this.#used.arena;
    for (let here = at; here < end; here++) this.arena[start + here - at] = this.#labels[here]!;
    this.#used.arena += end - at;
    this.#live.arena += end - at;
    return start;
  }

  /** Have a repl's labels at hand. */
  #read({ id, name, owner }: Placed): void {
    this.#ownerAt = this.#label(name, 0);
    this.#idAt = this.#ownerAt < 0 ? -1 : this.#label(owner, this.#ownerAt);
    this.#end = this.#idAt < 0 ? -1 : this.#label(id, this.#idAt);
    if (this.#end < 0) {
      throw new Error(
        `Cannot place the repl "${id}": "${name}" of "${owner}" or its id is no label of 1 to ${MAX_LABEL_OCTETS} octets`,
      );
    }
  }

  /** Have the labels of a record at hand. */
  #copyLabels(from: Table, index: number): void {
    this.#ownerAt = from.copyName(index, this.#labels, 0);
    this.#idAt = from.copyOwner(index, this.#labels, this.#ownerAt);
    this.#end = from.copyId(index, this.#labels, this.#idAt);
  }

  /** Write a label; where it ends, or -1 when it is none. */
  #label(text: string, at: number): number {
    // A star would stand for all names that there are not.
    if (text.length === 0 || text.length > MAX_LABEL_OCTETS || text === "*") return -1;
    this.#labels[at] = text.length;
    for (let index = 0; index < text.length; index++) {
      const octet = text.charCodeAt(index);
      if (octet > 0xff) return -1;
      this.#labels[at + 1 + index] = octet;
    }
    return at + 1 + text.length;
  }
}
