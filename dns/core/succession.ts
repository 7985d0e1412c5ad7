/**
 * How a table goes on in new buffers without a change that waits for all repls: its heir takes some of
 * them over with each change, and hears of the changes to those that it has already.
 */
import type { Placed, Table } from "./table";

/** What is put in the place of a table. */
interface Heir {
  /** Have a repl of another table; its index. One that is there already stays as it is. */
  take(from: Table, index: number): number;
  find(id: string): number;
  place(repl: Placed, known: number): void;
  remove(index: number): void;
  /** How often all of its repls were given other indices. */
  readonly renewals: number;
}

export class Succession<H extends Heir> {
  readonly heir: H;
  /** Indices of the heir, by those of the table. */
  readonly #indices: Int32Array;
  readonly #renewals: number;
  #at = 0;

  /** For as many records as there are, and those that come meanwhile. */
  constructor(heir: H, records: number) {
    this.heir = heir;
    this.#indices = new Int32Array(records);
    this.#renewals = heir.renewals;
  }

  /** More came than was thought, or than the heir had room for: its indices are others then. */
  get hasFailed(): boolean {
    return this.#at > this.#indices.length || this.heir.renewals !== this.#renewals;
  }

  /** A repl came, or has another name: the heir gives names in the same order as the table. */
  placed(repl: Placed): void {
    this.heir.place(repl, this.heir.find(repl.id));
  }

  /** A repl is elsewhere. What has not been taken over yet will be as it then is. */
  moved(repl: Placed): void {
    const known = this.heir.find(repl.id);
    if (known >= 0) this.heir.place(repl, known);
  }

  removed(id: string): void {
    const known = this.heir.find(id);
    if (known >= 0) this.heir.remove(known);
  }

  /** Take some more over; whether there are no more, of `records` in all. */
  advance(from: Table, records: number, count: number): boolean {
    const end = Math.min(records, this.#at + count);
    for (; this.#at < end; this.#at++) {
      if (from.generationOf(this.#at) < 0) continue;
      this.#indices[this.#at] = this.heir.take(from, this.#at);
    }
    return this.#at === records;
  }

  /** The heir's index of a repl that lives in the table. */
  indexOf(index: number): number {
    return this.#indices[index]!;
  }
}
