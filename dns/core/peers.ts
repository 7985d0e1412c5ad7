/** What an instance knows of the others: which of them live, and what each has said that it answers. */

/** How far answers go: the revision of the zones, and the sequence of the placement log. */
export interface Mark {
  readonly revision: number;
  readonly seq: number;
}

/** An instance as its row in the database has it. */
export interface PeerRow extends Mark {
  readonly id: string;
  readonly isAlive: boolean;
  readonly seenSecondsAgo: number;
  /** What it says of itself, as JSON. */
  readonly state: string;
}

export const NOWHERE: Mark = { revision: 0, seq: 0 };

export function shows(mark: Mark, wanted: Mark): boolean {
  return mark.revision >= wanted.revision && mark.seq >= wanted.seq;
}

/** Of both, whatever is further. */
function furthest(a: Mark, b: Mark): Mark {
  return { revision: Math.max(a.revision, b.revision), seq: Math.max(a.seq, b.seq) };
}

export class Peers {
  #rows: readonly PeerRow[] = [];
  /** Said since its row was written, or before its row was read. */
  readonly #said = new Map<string, Mark>();

  /** All that have a row, the dead included, with what they have said since. */
  get rows(): PeerRow[] {
    return this.#rows.map((row) => ({ ...row, ...this.#markOf(row) }));
  }

  /** The rows as the database has them now. */
  learn(rows: readonly PeerRow[]): void {
    this.#rows = rows;
    const known = new Set(rows.map(({ id }) => id));
    for (const id of this.#said.keys()) if (!known.has(id)) this.#said.delete(id);
  }

  /** An instance says what it answers. That never falls, in whatever order it is heard. */
  hear(id: string, mark: Mark): void {
    this.#said.set(id, furthest(this.#said.get(id) ?? NOWHERE, mark));
  }

  /** An instance says that it answers no more. */
  forget(id: string): void {
    this.#said.delete(id);
    this.#rows = this.#rows.filter((row) => row.id !== id);
  }

  /** Those that live, and have not said that they answer so much. */
  missing(wanted: Mark): string[] {
    return this.#rows
      .filter((row) => row.isAlive && !shows(this.#markOf(row), wanted))
      .map(({ id }) => id);
  }

  #markOf(row: PeerRow): Mark {
    return furthest(row, this.#said.get(row.id) ?? NOWHERE);
  }
}
