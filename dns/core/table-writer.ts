/**
 * The writer of the table that `table.ts` describes. Nothing that a reader may look at is written
 * twice: what is removed leaves its record and labels behind, until a quarter of them is such. Then,
 * and before there is no room, the table goes on in new buffers, which are filled a little with each
 * change and then given to readers; the old ones stay what they were, but for moves.
 */
import type { HashKey } from "./half-siphash";
import { Succession } from "./succession";
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
  type Placed,
  QUERIES,
  slotOf,
  Table,
  TAKEN_ONCE,
  UNNAMED,
} from "./table";
import { Labels } from "./table-labels";
import {
  allocate,
  copied,
  LABELS_OCTETS,
  LOADING,
  MAX_ARENA_OCTETS,
  MAX_LOAD,
  NOTHING,
  roomFor,
  type Sizes,
  slotsFor,
  SPARE,
  type Spare,
} from "./table-sizes";

/** A table with fewer dead records is not worth a new one. */
const MIN_DEAD = 1_024;
/** Up to so many are taken over at once, in milliseconds; more, some with each change. */
const MIN_GRADUAL = 8_192;
/** With each change; so a change has a bound, however many repls there are. */
const TAKEN_OVER_AT_A_TIME = 512;
/** Words are signed. */
const MAX_GENERATION = 2 ** 31 - 1;
/** No seeded hash needs so many; then it is no seeded hash. */
const MAX_SPARE_SLOTS = 16;
/** What a repl usually has, where the names are not known yet. */
const USUAL_LABELS_OCTETS = 26;
const USUAL_REPLS_AN_OWNER = 8;

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

export class TableWriter extends Table {
  /** What was put into these buffers, and what of it is still so. */
  #used: Sizes = { ...NOTHING };
  #live: Sizes = { ...NOTHING };
  /** Slots that are not free. */
  #taken: Record<Kind, number> = { ids: 0, names: 0, owners: 0 };
  #spare = SPARE;
  /** A slot would have been too far from its home: there must be more. */
  #isCrowded = false;
  /** Buffers that are to follow, while they are filled. */
  #succession: Succession<TableWriter> | undefined;
  readonly #minGradual: number;
  /** So many repls had slots when these were made. */
  #free = 0;
  #renewals = 0;
  /** Of the repl at hand. */
  readonly #labels = new Labels();

  /** With fewer repls than `minGradual` new buffers are filled at once. */
  constructor(key: HashKey, minGradual = MIN_GRADUAL) {
    super(allocate(key, NOTHING, SPARE));
    this.#minGradual = minGradual;
  }

  /** How often the repls were put into new buffers all at once. */
  get renewals(): number {
    return this.#renewals;
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
    const end = this.#labels.write(id, 0);
    return end < 0 ? -1 : this.findId(this.#labels.octets, 0, end);
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
      this.#succession?.moved(repl);
      return this.#tidy();
    }
    this.#makeRoom();
    const before = known < 0 ? -1 : this.find(id);
    this.#labels.read(repl);
    const queries = before < 0 ? 0 : this.queriesOf(before);
    this.#add({ cluster, generation, queries, isNamed: true, before });
    if (before >= 0) this.#bury(before);
    this.#succession?.placed(repl);
    this.#tidy();
  }

  remove(index: number): void {
    this.#succession?.removed(this.idOf(index));
    this.#labels.copy(this, index);
    this.#replace("ids", this.#hashOf("ids"), index, TAKEN_ONCE);
    this.#bury(index);
    this.#tidy();
  }

  /** Have a repl of another table, but for its queries; its index. One that is there stays as it is. */
  take(from: Table, index: number): number {
    this.#makeRoom();
    this.#labels.copy(from, index);
    const { octets, idAt, end } = this.#labels;
    const known = this.findId(octets, idAt, end);
    if (known >= 0) return known;
    this.#addCopy(from, index, 0);
    return this.#used.repls - 1;
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
    // Copied as they are: at a million repls in some hundredths of a second.
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

  /** These slots are new. */
  #begin(): void {
    this.#succession = undefined;
    this.#free = this.#freeSlots();
  }

  /** So many repls have slots, whoever owns them. */
  #freeSlots(): number {
    const free = KINDS.map((kind) => this[kind].length * MAX_LOAD - this.#taken[kind]);
    return Math.min(...free);
  }

  /** After a change: new slots when these are crowded or nearly taken, or a quarter of the records dead. */
  #tidy(): void {
    if (this.#isCrowded) return this.#rebuild(this.#spare);
    if (this.#succession) return this.#succeed(this.#succession);
    const { repls } = this.#used;
    const dead = repls - this.#live.repls;
    const isDead = dead > MIN_DEAD && dead > repls / 4;
    const isGradual = repls >= this.#minGradual && this.#spare !== LOADING;
    if (!isGradual && isDead) this.#rebuild(this.#spare);
    if (!isGradual || !(isDead || this.#isLow())) return;
    const heir = new TableWriter(this.buffers.key, Infinity);
    const live = this.#live;
    const more = this.#whileFilled();
    heir.#allocate({ repls: live.repls + more, owners: live.owners + more, arena: live.arena });
    this.#succession = new Succession(heir, repls + more);
  }

  /** So many repls may come until a successor is filled; twice as many, to be sure. */
  #whileFilled(): number {
    return Math.ceil((2 * this.#used.repls) / TAKEN_OVER_AT_A_TIME) + 1;
  }

  #isLow(): boolean {
    // Slots of which few were ever free would be left again at once.
    return this.#freeSlots() < Math.min(this.#whileFilled(), this.#free / 2);
  }

  #succeed(succession: Succession<TableWriter>): void {
    const { heir } = succession;
    const records = this.#used.repls;
    const isFilled = succession.advance(this, records, TAKEN_OVER_AT_A_TIME);
    if (succession.hasFailed) return this.#rebuild(this.#spare);
    if (!isFilled) return;
    for (let index = 0; index < records; index++) {
      if (this.generationOf(index) < 0) continue;
      heir.repls[succession.indexOf(index) * FIELDS + QUERIES] = this.queriesOf(index);
    }
    this.adopt(heir.buffers);
    this.#used = heir.#used;
    this.#live = heir.#live;
    this.#taken = heir.#taken;
    this.#begin();
  }

  /** The same repls in new buffers, with room for `least`. */
  #rebuild(spare: Spare, least = NOTHING): void {
    const old = new Table(this.buffers);
    const records = this.#used.repls;
    this.#renewals++;
    const of = {
      repls: Math.max(this.#live.repls, least.repls),
      owners: Math.max(this.#live.owners, least.owners),
      arena: Math.max(this.#live.arena, least.arena),
    };
    for (let more = this.#isCrowded ? 1 : 0; more < MAX_SPARE_SLOTS; more++) {
      this.#allocate(of, { ...spare, slots: spare.slots + more });
      this.#addAll(old, records);
      if (!this.#isCrowded) return this.#begin();
    }
    throw new Error("Cannot build the table: too many names have the same hash");
  }

  /** Go on in empty buffers. */
  #allocate(of: Sizes, spare = SPARE): void {
    this.adopt(allocate(this.buffers.key, of, spare));
    this.#used = { ...NOTHING };
    this.#live = { ...NOTHING };
    this.#taken = { ids: 0, names: 0, owners: 0 };
    this.#isCrowded = false;
    this.#begin();
  }

  #addAll(old: Table, records: number): void {
    for (let index = 0; index < records && !this.#isCrowded; index++) {
      if (old.generationOf(index) < 0) continue;
      this.#labels.copy(old, index);
      this.#addCopy(old, index, old.queriesOf(index));
    }
  }

  /** A repl of another table, with the labels at hand. */
  #addCopy(from: Table, index: number, queries: number): void {
    this.#add({
      cluster: from.clusterOf(index),
      generation: from.generationOf(index),
      queries,
      isNamed: from.isNamed(index),
      before: -1,
    });
  }

  /** A repl with the labels at hand. */
  #add({ cluster, generation, queries, isNamed, before }: Added): void {
    const index = this.#used.repls++;
    const record = index * FIELDS;
    this.repls[record + LABELS_AT] = this.#keep(0, this.#labels.ownerAt);
    this.#keep(this.#labels.idAt, this.#labels.end);
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
    const holder = this.findName(this.#labels.octets, 0, this.#labels.idAt);
    if (holder < 0) return this.#put("names", hash, index);
    this.#replace("names", hash, holder, slotOf(hash, index));
    this.repls[holder * FIELDS + OWNER]! |= UNNAMED;
  }

  /** The record of the owner at hand, who has one repl more. */
  #ownerRecord(): number {
    const { octets, ownerAt, idAt } = this.#labels;
    let owner = this.findOwner(octets, ownerAt, idAt);
    if (owner < 0) {
      owner = this.#used.owners++;
      this.ownerRecords[owner * OWNER_FIELDS + OWNER_LABEL_AT] = this.#keep(ownerAt, idAt);
      this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS] = 0;
      this.#live.owners++;
      this.#put("owners", this.#hashOf("owners"), owner);
    }
    this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS]!++;
    return owner;
  }

  /** The repl's record is none any more. Its id leads elsewhere already, or nowhere. */
  #bury(index: number): void {
    this.#labels.copy(this, index);
    if (this.isNamed(index)) this.#replace("names", this.#hashOf("names"), index, TAKEN_ONCE);
    this.repls[index * FIELDS + GENERATION] = -1;
    this.#live.repls--;
    const { ownerAt, idAt, end } = this.#labels;
    this.#live.arena -= ownerAt + end - idAt;
    const owner = this.repls[index * FIELDS + OWNER]! & ~UNNAMED;
    const left = --this.ownerRecords[owner * OWNER_FIELDS + OWNER_REPLS]!;
    if (left > 0) return;
    this.#replace("owners", this.#hashOf("owners"), owner, TAKEN_ONCE);
    this.#live.owners--;
    this.#live.arena -= idAt - ownerAt;
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
    const { octets, ownerAt, idAt, end } = this.#labels;
    if (kind === "names") return this.hash(octets, 0, idAt);
    return kind === "owners" ? this.hash(octets, ownerAt, idAt) : this.hash(octets, idAt, end);
  }

  /** Take the labels at hand from `at` to `end` into the arena; where they are. */
  #keep(at: number, end: number): number {
    const { octets } = this.#labels;
    const start = this.#used.arena;
    for (let here = at; here < end; here++) this.arena[start + here - at] = octets[here]!;
    this.#used.arena += end - at;
    this.#live.arena += end - at;
    return start;
  }
}
