/** What an instance knows: what it answers by, and what it hands on to others who must know it too. */
import {
  type Batch,
  Catalog,
  type CatalogOptions,
  type Change,
  type Tell,
  type Told,
} from "./catalog";
import type { Repl } from "./platform";
import { Snapshot } from "./snapshot";

export class Memory {
  readonly catalog: Catalog;
  readonly snapshot = new Snapshot();

  constructor(options: CatalogOptions) {
    this.catalog = new Catalog(options);
  }

  /** Takes a batch. What of it cannot be read is left out, and thrown at the end. */
  apply(batch: Batch, tell?: Tell): void {
    this.snapshot.apply(batch);
    this.catalog.apply(batch, tell);
  }

  /** Everything, for a thread that shares the table. */
  told(): Told {
    return this.catalog.told([...this.snapshot.changes()]);
  }

  /** Everything, for somebody who knows nothing. */
  whole(): Batch {
    const repls = function* (from: Iterable<Repl>): Generator<Change> {
      for (const repl of from) yield { kind: "repl", ...repl };
    };
    const changes = [...this.snapshot.changes(), ...repls(this.catalog.platform.repls())];
    return { changes, seq: this.snapshot.seq, isWhole: true };
  }
}
