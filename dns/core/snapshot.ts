/**
 * The changes that make a catalog what it is now, all but its repls: the last one of each thing that
 * exists. A worker that starts gets them, and so does the file that an instance can start from
 * without a database. Repls are many, and the catalog itself knows them.
 */
import type { Batch, Change } from "./catalog";

export class Snapshot {
  readonly #zones = new Map<string, Change & { kind: "zone" }>();
  readonly #clusters = new Map<string, Change>();
  readonly #records = new Map<string, Change>();
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

  apply({ changes, seq, isWhole, isAllZones }: Batch): void {
    if (isWhole) this.#forget();
    if (isWhole || isAllZones) this.#forgetZones();
    for (const change of changes) this.#applyOne(change);
    this.#seq = Math.max(this.#seq, seq);
  }

  /** In an order that a catalog can take: a zone before what is in it. May change meanwhile. */
  *changes(): Generator<Change> {
    yield* this.#zones.values();
    yield* this.#clusters.values();
    yield* this.#records.values();
  }

  #forget(): void {
    this.#clusters.clear();
    this.#seq = 0;
  }

  #forgetZones(): void {
    this.#zones.clear();
    this.#records.clear();
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
      case "repl_gone":
        return;
    }
  }

  #setOrDelete(key: string, change: Change & { values: readonly string[] }): void {
    if (change.values.length > 0) this.#records.set(key, change);
    else this.#records.delete(key);
  }

  #reach(name: string, revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    const zone = this.#zones.get(name);
    if (zone && zone.revision < revision) this.#zones.set(name, { ...zone, revision });
  }
}
