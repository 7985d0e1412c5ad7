/**
 * The changes that make a catalog what it is now: the last one of each thing that exists. A worker
 * that starts gets them, and so does the file that an instance can start from without a database.
 */
import type { Batch, Change } from "./catalog";

export class Snapshot {
  readonly #zones = new Map<string, Change & { kind: "zone" }>();
  readonly #clusters = new Map<string, Change>();
  readonly #others = new Map<string, Change>();
  #seq = 0;
  #revision = 0;

  /** Sequence of the last entry of the placement log in it. */
  get seq(): number {
    return this.#seq;
  }

  /** Revision of the last change of a zone in it. */
  get revision(): number {
    return this.#revision;
  }

  apply({ changes, seq, isWhole }: Batch): void {
    if (isWhole) this.#forget();
    for (const change of changes) this.#applyOne(change);
    this.#seq = Math.max(this.#seq, seq);
  }

  /** In an order that a catalog can take: a zone before what is in it. */
  batch(): Batch {
    const changes = [...this.#zones.values(), ...this.#clusters.values(), ...this.#others.values()];
    return { changes, seq: this.#seq, isWhole: true };
  }

  #forget(): void {
    this.#zones.clear();
    this.#clusters.clear();
    this.#others.clear();
    this.#seq = 0;
    this.#revision = 0;
  }

  #applyOne(change: Change): void {
    switch (change.kind) {
      case "zone":
        this.#zones.set(change.zone, change);
        return this.#reach(change.zone, change.revision);
      case "rrset":
        this.#setOrDelete(`rrset ${change.type} ${change.name} ${change.zone}`, change);
        return this.#reach(change.zone, change.revision);
      case "challenge":
        this.#setOrDelete(`challenge ${change.name}`, change);
        return this.#reach(change.zone, change.revision);
      case "cluster":
        this.#clusters.set(change.id, change);
        return;
      case "cluster_gone":
        this.#clusters.delete(change.id);
        return;
      case "repl":
        return this.#place(change);
      case "repl_gone":
        this.#others.delete(`repl ${change.id}`);
        return;
    }
  }

  #setOrDelete(key: string, change: Change & { values: readonly string[] }): void {
    if (change.values.length > 0) this.#others.set(key, change);
    else this.#others.delete(key);
  }

  /** Never back to an older generation: the same rule as the catalog's. */
  #place(change: Change & { kind: "repl" }): void {
    const key = `repl ${change.id}`;
    const known = this.#others.get(key);
    if (known?.kind === "repl" && known.generation > change.generation) return;
    this.#others.set(key, change);
  }

  #reach(name: string, revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    const zone = this.#zones.get(name);
    if (zone && zone.revision < revision) this.#zones.set(name, { ...zone, revision });
  }
}
