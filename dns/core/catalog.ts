/**
 * Everything that a name server instance knows, moved by changes. The main thread's catalog applies
 * them, and tells those of the answering threads, which read where repls live from its table.
 *
 * A change is plain data in presentation form: it goes to the worker by message, to disk in the
 * snapshot, and comes from the database's rows. Names in it are absolute, without a trailing dot.
 */
import { TYPE } from "./codes";
import type { HashKey } from "./half-siphash";
import { fold, isWithin, type Name, parseName } from "./names";
import { OwnNames } from "./own-names";
import { type ClusterAddresses, Platform, type Repl } from "./platform";
import { parseRdata } from "./rdata";
import { serialOf } from "./serial";
import type { TableBuffers } from "./table";
import { CHALLENGE_TYPE, targetOfAlias, View } from "./view";
import { type Node, Zone, type ZoneView } from "./zone";

export type Change =
  | {
      readonly kind: "zone";
      readonly zone: string;
      readonly base: number;
      readonly revision: number;
      /** Its serial rises with the placement log too: it has, or had, an ALIAS. */
      readonly countsMoves?: boolean;
    }
  | {
      readonly kind: "rrset";
      readonly zone: string;
      readonly name: string;
      readonly type: number;
      readonly ttl: number;
      /** In presentation form. None: the RRset is gone. */
      readonly values: readonly string[];
      readonly revision: number;
    }
  | {
      readonly kind: "challenge";
      readonly zone: string;
      readonly name: string;
      /** The TXT values that stand at the name now. None: the challenge is gone. */
      readonly values: readonly string[];
      readonly revision: number;
    }
  | { readonly kind: "cluster"; readonly id: string; readonly ingress: readonly string[] }
  | { readonly kind: "cluster_gone"; readonly id: string }
  | {
      readonly kind: "repl";
      readonly id: string;
      readonly name: string;
      readonly owner: string;
      readonly clusterId: string;
      readonly generation: number;
    }
  | { readonly kind: "repl_gone"; readonly id: string };

/** Changes that become visible together, and how far in the placement log they lead. */
export interface Batch {
  readonly changes: readonly Change[];
  /** Sequence of the last log entry in it; 0 when it holds no log entries. */
  readonly seq: number;
  /** It says everything: what was known before is forgotten. */
  readonly isWhole?: true;
  /** It says everything of zones: what was known of them is forgotten, placements are not. */
  readonly isAllZones?: true;
}

/** What the other threads' catalogs are told of a batch, to answer as this one does. */
export interface Told {
  /** Without those of repls and clusters. */
  readonly changes: readonly Change[];
  readonly clusters: readonly ClusterAddresses[];
  /** The table is in other memory now. */
  readonly table: TableBuffers | undefined;
  readonly seq: number;
  readonly isWhole?: true | undefined;
  readonly isAllZones?: true | undefined;
}

/** Each call is to take effect in all threads before it returns. */
export type Tell = (told: Told) => void;

export interface CatalogOptions {
  /** The zone in which repls have their names. */
  readonly platformZone: string;
  /** Where DNS-01 look-ups go unless we have the values ourselves; "" for nowhere. */
  readonly validationZone: string;
  /** Secret, of whoever places repls. Without it, a catalog hears of another one's table. */
  readonly hashKey?: HashKey | undefined;
}

/** A challenge is short-lived, so that a wrong answer is too. */
export const CHALLENGE_TTL_SECONDS = 60;

interface Member {
  readonly zone: Zone;
  readonly view: ZoneView;
  base: number;
  revision: number;
  countsMoves: boolean;
}

/** Read a name that our own tables hold; those were checked on their way in. */
function known(text: string): Name {
  const name = parseName(text);
  if (!name.ok) throw new Error(`Cannot read the stored name: ${name.reason}`);
  return fold(name.value);
}

function knownData(type: number, text: string): Uint8Array {
  const rdata = parseRdata(type, text);
  if (!rdata.ok) throw new Error(`Cannot read the stored data: ${rdata.reason}`);
  return rdata.value;
}

type Placement = Change & { kind: "repl" | "repl_gone" };
const isPlacement = (change: Change): change is Placement =>
  change.kind === "repl" || change.kind === "repl_gone";

type OfCluster = Change & { kind: "cluster" | "cluster_gone" };
const isOfCluster = (change: Change): change is OfCluster =>
  change.kind === "cluster" || change.kind === "cluster_gone";

const isOfZone = (change: Change): boolean => !isPlacement(change) && !isOfCluster(change);

/** Do it for each, and say what was thrown. */
function faultsOf<T>(items: Iterable<T>, apply: (item: T) => void): unknown[] {
  const faults: unknown[] = [];
  for (const item of items) {
    try {
      apply(item);
    } catch (error) {
      faults.push(error);
    }
  }
  return faults;
}

export class Catalog {
  #platform: Platform;
  readonly #hashKey: HashKey | undefined;
  readonly #members = new Map<Name, Member>();
  /** Those of them whose answers follow from where repls live. */
  readonly #moving = new Set<Member>();
  #platformZone: Zone | undefined;
  #ownNames: OwnNames;
  /** Octets of the zones' names. */
  readonly #lengths = new Set<number>();
  readonly #platformOrigin: Name;
  readonly #validationOrigin: Name | undefined;
  /** The table that others were told of last. */
  #toldTable: TableBuffers | undefined;
  #seq = 0;
  /** Called where the table leads to a cluster of which this thread was not told: to hear of it. */
  onUnknownCluster: () => void = () => undefined;

  constructor({ platformZone, validationZone, hashKey }: CatalogOptions) {
    this.#hashKey = hashKey;
    this.#platform = this.#newPlatform();
    this.#platformOrigin = known(platformZone);
    this.#ownNames = new OwnNames(this.#platformOrigin, this.#platform.table.buffers.key);
    this.#validationOrigin = validationZone ? known(validationZone) : undefined;
  }

  /** What follows at a name from where repls live, or undefined. */
  derived(name: Name): Node | undefined {
    const isWithinPlatform = isWithin(name, this.#platformOrigin);
    return isWithinPlatform ? this.platform.node(name, this.#platformOrigin) : undefined;
  }

  /** The repl that has a name, or undefined. */
  replAt(name: Name): Repl | undefined {
    const isWithinPlatform = isWithin(name, this.#platformOrigin);
    return isWithinPlatform ? this.platform.replAt(name, this.#platformOrigin) : undefined;
  }

  /** Count a query that was answered by what is at `name`, if a repl is. */
  readonly countQuery = (name: Name): void => {
    if (isWithin(name, this.#platformOrigin)) this.platform.countQuery(name, this.#platformOrigin);
  };

  get platformOrigin(): Name {
    return this.#platformOrigin;
  }

  /** The platform zone's own data; undefined where it is not served. */
  get platformZone(): Zone | undefined {
    const zone = this.#platformZone;
    return zone && zone.soa.rdatas.length > 0 ? zone : undefined;
  }

  /** Where in the platform zone more is to be said than follows from where repls live. */
  get ownNames(): OwnNames {
    return this.#ownNames;
  }

  get platform(): Platform {
    return this.#platform;
  }

  /** Sequence of the last entry of the placement log that answers show. */
  get seq(): number {
    return this.#seq;
  }

  get zones(): { name: Name; serial: number; names: number; rrsets: number }[] {
    const served = [...this.#members.values()].filter(({ zone }) => zone.soa.rdatas.length > 0);
    return served.map(({ zone }) => ({
      name: zone.origin,
      serial: zone.serial,
      names: zone.size + (zone.origin === this.#platformOrigin ? this.platform.size : 0),
      rrsets: zone.rrsets,
    }));
  }

  /**
   * Make all changes of a batch visible. One that cannot be read is left out, the others count all
   * the same, and the first such fault is thrown at the end.
   */
  apply(batch: Batch, tell: Tell = () => undefined): void {
    const { changes, seq, isWhole, isAllZones } = batch;
    this.#forget(batch);
    if (!isWhole) this.#introduce(changes, tell);
    const faults = [...this.#applyAll(changes), ...this.#place(changes)];
    this.#reach(seq);
    if (isWhole) tell(this.told(changes));
    else {
      const clusters = this.#described(changes);
      tell({ ...this.#news(), changes: changes.filter(isOfZone), clusters, isAllZones });
    }
    if (faults.length > 0) throw faults[0];
  }

  /** For a thread that begins: everything, when `changes` hold all that is known of zones. */
  told(changes: readonly Change[]): Told {
    const { table, seq } = this.#news(true);
    const clusters = this.#platform.clusters();
    return { changes: changes.filter(isOfZone), clusters, table, seq, isWhole: true };
  }

  /** Know what another thread's catalog has told. What that one could not read is left out here too. */
  hear(told: Told): void {
    this.#forget(told);
    if (told.table) this.#platform.table.adopt(told.table);
    for (const cluster of told.clusters) this.#platform.setClusterAt(cluster);
    this.#applyAll(told.changes);
    this.#reach(told.seq);
  }

  /** What others must be told now, beside changes. */
  #news(isWhole = false): Pick<Told, "table" | "seq"> {
    const { buffers } = this.#platform.table;
    const table = buffers !== this.#toldTable || isWhole ? buffers : undefined;
    this.#toldTable = buffers;
    return { table, seq: this.#seq };
  }

  /** All threads know a cluster's addresses before the first repl is placed there. */
  #introduce(changes: readonly Change[], tell: Tell): void {
    const platform = this.#platform;
    const known = platform.clusters().length;
    for (const change of changes) {
      if (change.kind === "repl") platform.indexOf(change.clusterId);
      if (change.kind !== "cluster" || platform.indexOf(change.id) < known) continue;
      platform.setCluster(change.id, change.ingress);
    }
    const clusters = platform.clusters().slice(known);
    if (clusters.length > 0) tell({ ...this.#news(), changes: [], clusters });
  }

  #described(changes: readonly Change[]): ClusterAddresses[] {
    const indexes = changes.filter(isOfCluster).map(({ id }) => this.#platform.indexOf(id));
    const clusters = this.#platform.clusters();
    return [...new Set(indexes)].map((index) => clusters[index]!);
  }

  /** Apply what is no placement; what could not be read. */
  #applyAll(changes: readonly Change[]): unknown[] {
    const touched = new Set<Member>();
    const faults = faultsOf(changes, (change) => this.#applyOne(change, touched));
    for (const member of touched) this.#setSerial(member);
    return faults;
  }

  /** Place repls; what could not be placed. */
  #place(changes: readonly Change[]): unknown[] {
    return faultsOf(changes.filter(isPlacement), (change) => {
      if (change.kind === "repl") this.#platform.setRepl(change);
      else this.#platform.removeRepl(change.id);
    });
  }

  #newPlatform(): Platform {
    const onUnknownCluster = (): void => this.onUnknownCluster();
    return new Platform({ hashKey: this.#hashKey, onUnknownCluster });
  }

  #reach(seq: number): void {
    if (seq <= this.#seq) return;
    this.#seq = seq;
    for (const member of this.#moving) this.#setSerial(member);
  }

  #forget({ isWhole, isAllZones, table }: Partial<Told>): void {
    if (isWhole) {
      this.#platform = this.#newPlatform();
      this.#seq = 0;
    }
    if (isWhole || isAllZones) {
      const { key } = table ?? this.#platform.table.buffers;
      this.#ownNames = new OwnNames(this.#platformOrigin, key);
      this.#platformZone = undefined;
      this.#members.clear();
      this.#moving.clear();
      this.#lengths.clear();
    }
  }

  /** The zone closest above `name`, or undefined when we serve none. */
  zoneOf(name: Name): ZoneView | undefined {
    for (let at = 0; at < name.length; at += 1 + name.charCodeAt(at)) {
      // Few zones, so few lengths: a name of a hundred labels costs no hundred look-ups.
      if (!this.#lengths.has(name.length - at)) continue;
      const member = this.#members.get(name.slice(at));
      if (member && member.zone.soa.rdatas.length > 0) return member.view;
    }
    return undefined;
  }

  /** Where the ALIAS of a name in a zone of ours leads, or undefined. */
  aliasOf(name: Name): Name | undefined {
    const zone = this.zoneOf(name);
    const rrset = zone && this.#members.get(zone.origin)!.zone.node(name)?.get(TYPE.ALIAS);
    return rrset && targetOfAlias(rrset);
  }

  #applyOne(change: Change, touched: Set<Member>): void {
    switch (change.kind) {
      case "zone":
        touched.add(this.#setZone(change));
        return;
      case "rrset":
        return this.#setRecords(change, change, touched);
      case "challenge": {
        const values = change.values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`);
        const records = { type: CHALLENGE_TYPE, ttl: CHALLENGE_TTL_SECONDS, values };
        return this.#setRecords(change, records, touched);
      }
      case "cluster":
        return this.#platform.setCluster(change.id, change.ingress);
      case "cluster_gone":
        return this.#platform.setCluster(change.id, []);
      case "repl":
      case "repl_gone":
        return;
    }
  }

  #setZone(change: Change & { kind: "zone" }): Member {
    const origin = known(change.zone);
    const member = this.#members.get(origin) ?? this.#addMember(origin);
    member.base = change.base;
    member.revision = Math.max(member.revision, change.revision);
    member.countsMoves ||= change.countsMoves ?? false;
    if (member.countsMoves) this.#moving.add(member);
    return member;
  }

  #addMember(origin: Name): Member {
    const isPlatform = origin === this.#platformOrigin;
    const own = this.#ownNames;
    const zone = new Zone(origin, isPlatform ? (...seen) => own.see(...seen) : undefined);
    if (isPlatform) this.#platformZone = zone;
    else own.see("cut", origin, 1);
    const view = new View(zone, {
      platform: isPlatform ? this.platform : undefined,
      validation: this.#validationOrigin,
      addressesOf: (name) => this.derived(name),
    });
    const member: Member = { zone, view, base: 0, revision: 0, countsMoves: isPlatform };
    this.#members.set(origin, member);
    this.#lengths.add(origin.length);
    return member;
  }

  #setRecords(
    at: { readonly zone: string; readonly name: string; readonly revision: number },
    records: { readonly type: number; readonly ttl: number; readonly values: readonly string[] },
    touched: Set<Member>,
  ): void {
    const member = this.#members.get(known(at.zone));
    const name = known(at.name);
    if (!member || !isWithin(name, member.zone.origin)) return;
    member.revision = Math.max(member.revision, at.revision);
    touched.add(member);
    const type = records.type === CHALLENGE_TYPE ? TYPE.TXT : records.type;
    const rdatas = records.values.map((value) => knownData(type, value));
    const rrset = rdatas.length > 0 ? { type, ttl: records.ttl, rdatas } : undefined;
    member.zone.set(name, records.type, rrset);
  }

  #setSerial(member: Member): void {
    const { zone, base, revision, countsMoves } = member;
    zone.setSerial(serialOf(base, revision, countsMoves ? this.#seq : 0));
  }
}
