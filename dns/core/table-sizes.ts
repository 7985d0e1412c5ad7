/** How large a table's buffers are made, and the making. */
import type { HashKey } from "./half-siphash";
import { MAX_LABEL_OCTETS } from "./names";
import { FIELDS, MAX_REPLS, OWNER_FIELDS, type TableBuffers } from "./table";

/** Of the slots at most so many are taken: with more, chains get long. */
export const MAX_LOAD = 2 / 3;
/** Words are signed. */
export const MAX_ARENA_OCTETS = 2 ** 31 - 1;
/** The most that one repl puts into the arena, its owner included. */
export const LABELS_OCTETS = 3 * (1 + MAX_LABEL_OCTETS);

/** How much more room than is needed is made, as a share of it. */
export interface Spare {
  readonly slots: number;
  readonly records: number;
}
export const SPARE: Spare = { slots: 1 / 8, records: 1 / 16 };
/** While much comes, doubling costs least; what was too much is given back at the end. */
export const LOADING: Spare = { slots: 1, records: 1 };
/** How many repls and owners, and octets of labels. */
export interface Sizes {
  repls: number;
  owners: number;
  arena: number;
}
export const NOTHING: Sizes = { repls: 0, owners: 0, arena: 0 };

const withSpare = (count: number, share: number): number => Math.ceil(count * (1 + share));

export const roomFor = (of: Sizes, { records }: Spare): Sizes => {
  return {
    repls: Math.min(MAX_REPLS, withSpare(of.repls + 1, records)),
    owners: Math.min(MAX_REPLS, withSpare(of.owners + 1, records)),
    arena: Math.min(MAX_ARENA_OCTETS, withSpare(of.arena + LABELS_OCTETS, records)),
  };
};

export const slotsFor = (keys: number, { slots }: Spare): number =>
  Math.ceil(withSpare(keys + 8, slots) / MAX_LOAD);

export function allocate(key: HashKey, of: Sizes, spare: Spare): TableBuffers {
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

export function copied(from: SharedArrayBuffer, octets = from.byteLength): SharedArrayBuffer {
  const to = new SharedArrayBuffer(octets);
  new Uint8Array(to).set(new Uint8Array(from, 0, Math.min(from.byteLength, octets)));
  return to;
}
