/**
 * Everything that a name server instance knows, moved by changes. The main thread and its worker
 * each hold one and apply the same changes, so what one was told the other answers.
 *
 * A change is plain data in presentation form: it goes to the worker by message, to disk in the
 * snapshot, and comes from the database's rows. Names in it are absolute, without a trailing dot.
 */
import { TYPE } from "./codes";
import {
  child,
  fold,
  isWithin,
  MAX_NAME_OCTETS,
  type Name,
  nameOctets,
  parentOf,
  parseName,
  rebase,
} from "./names";
import { Platform, PLATFORM_TTL_SECONDS } from "./platform";
import { parseRdata } from "./rdata";
import { serialOf } from "./serial";
import { EMPTY_NODE, type NamedNode, type Node, type RRset, Zone, type ZoneView } from "./zone";

export type Change =
  | {
      readonly kind: "zone";
      readonly zone: string;
      readonly base: number;
      readonly revision: number;
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

export interface CatalogOptions {
  /** The zone in which repls have their names. */
  readonly platformZone: string;
  /** Where DNS-01 look-ups go unless we have the values ourselves; "" for nowhere. */
  readonly validationZone: string;
}

/** Labels in front of a name whose control is proven there (RFC 8555 section 8.4). */
export const CHALLENGE_LABEL = "_acme-challenge";
const CHALLENGE_PREFIX = `\x0f${CHALLENGE_LABEL}`;

/** A challenge is short-lived, so that a wrong answer is too. */
export const CHALLENGE_TTL_SECONDS = 60;

interface Member {
  readonly zone: Zone;
  readonly view: ZoneView;
  base: number;
  revision: number;
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

export class Catalog {
  #platform = new Platform();
  readonly #members = new Map<Name, Member>();
  /** Octets of the zones' names. */
  readonly #lengths = new Set<number>();
  readonly #platformOrigin: Name;
  readonly #validationOrigin: Name | undefined;
  #seq = 0;

  constructor(options: CatalogOptions) {
    this.#platformOrigin = known(options.platformZone);
    this.#validationOrigin = options.validationZone ? known(options.validationZone) : undefined;
  }

  /** What follows at a name from where repls live, or undefined. */
  derived(name: Name): Node | undefined {
    const isWithinPlatform = isWithin(name, this.#platformOrigin);
    return isWithinPlatform ? this.platform.node(name, this.#platformOrigin) : undefined;
  }

  get platform(): Platform {
    return this.#platform;
  }

  /** Sequence of the last entry of the placement log that answers show. */
  get seq(): number {
    return this.#seq;
  }

  get zones(): { name: Name; serial: number; names: number; rrsets: number }[] {
    return [...this.#members.values()].map(({ zone }) => ({
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
  apply({ changes, seq, isWhole, isAllZones }: Batch): void {
    if (isWhole) this.#forget();
    if (isWhole || isAllZones) this.#forgetZones();
    const touched = new Set<Member>();
    const faults: unknown[] = [];
    for (const change of changes) {
      try {
        this.#applyOne(change, touched);
      } catch (error) {
        faults.push(error);
      }
    }
    if (seq > this.#seq) {
      this.#seq = seq;
      const platform = this.#members.get(this.#platformOrigin);
      if (platform) touched.add(platform);
    }
    for (const member of touched) this.#setSerial(member);
    if (faults.length > 0) throw faults[0];
  }

  #forget(): void {
    this.#platform = new Platform();
    this.#seq = 0;
  }

  #forgetZones(): void {
    this.#members.clear();
    this.#lengths.clear();
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
        return this.platform.setCluster(change.id, change.ingress);
      case "cluster_gone":
        return this.platform.setCluster(change.id, []);
      case "repl":
        this.platform.setRepl(change);
        return;
      case "repl_gone":
        return this.platform.removeRepl(change.id);
    }
  }

  #setZone(change: Change & { kind: "zone" }): Member {
    const origin = known(change.zone);
    const existing = this.#members.get(origin);
    if (existing) {
      existing.base = change.base;
      existing.revision = Math.max(existing.revision, change.revision);
      return existing;
    }
    const zone = new Zone(origin);
    const view = new View(zone, origin === this.#platformOrigin ? this.platform : undefined, {
      validation: this.#validationOrigin,
    });
    const member: Member = { zone, view, base: change.base, revision: change.revision };
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
    const isPlatform = member.zone.origin === this.#platformOrigin;
    member.zone.setSerial(serialOf(member.base, member.revision, isPlatform ? this.#seq : 0));
  }
}

/** Challenges lie beside the TXT records of their name, under a type that no question can have. */
const CHALLENGE_TYPE = 0x10000 + TYPE.TXT;

/** A zone's data, with what follows from the platform's state laid under it. */
class View implements ZoneView {
  readonly #zone: Zone;
  readonly #platform: Platform | undefined;
  readonly #validation: Name | undefined;

  constructor(zone: Zone, platform: Platform | undefined, to: { validation: Name | undefined }) {
    this.#zone = zone;
    this.#platform = platform;
    this.#validation = to.validation;
  }

  get origin(): Name {
    return this.#zone.origin;
  }

  get soa(): RRset {
    return this.#zone.soa;
  }

  get negativeSoa(): RRset {
    return this.#zone.negativeSoa;
  }

  get hasCuts(): boolean {
    return this.#zone.hasCuts;
  }

  node(name: Name): Node | undefined {
    const own = this.#zone.node(name);
    const node = own?.has(CHALLENGE_TYPE) ? withChallenges(own) : own;
    if (!this.#platform || node?.has(TYPE.CNAME)) return node;
    if (name.startsWith(CHALLENGE_PREFIX)) return this.#challengeNode(name, node);
    const derived = this.#platform.node(name, this.origin);
    if (!derived || !node || node.size === 0) return derived ?? node;
    return derived.size === 0 ? node : new Map([...derived, ...node]);
  }

  nodes(): Iterable<NamedNode> {
    // Names of challenges first: what stands there is not made again.
    const rank = (name: Name): number => Number(!name.startsWith(CHALLENGE_PREFIX));
    const names = this.#zone.names().sort((a, b) => rank(a) - rank(b));
    const own = names.map((name) => ({ name, node: this.node(name) ?? EMPTY_NODE }));
    const derived = this.#platform?.nodes(this.origin) ?? [];
    const validation = this.#platform && this.#validation;
    return withChallengeAliases(merged(own, derived), this.origin, validation);
  }

  /** `_acme-challenge.X`: what we were given, else the way to where someone else answers for X. */
  #challengeNode(name: Name, own: Node | undefined): Node | undefined {
    const validation = this.#validation;
    if (own?.has(TYPE.TXT) || validation === undefined || isWithin(name, validation)) return own;
    const parent = parentOf(name);
    const target = rebase(name, this.origin, validation);
    if (target === undefined || parent.startsWith(CHALLENGE_PREFIX) || !this.node(parent))
      return own;
    return aliasNode(target);
  }
}

function aliasNode(target: Name): Node {
  const rdatas = [nameOctets(target)];
  return new Map([[TYPE.CNAME, { type: TYPE.CNAME, ttl: PLATFORM_TTL_SECONDS, rdatas }]]);
}

/** A zone's own nodes, which know what is derived at their names, and the other derived ones. */
function* merged(own: readonly NamedNode[], derived: Iterable<NamedNode>): Generator<NamedNode> {
  const names = new Set(own.map(({ name }) => name));
  yield* own;
  for (const one of derived) if (!names.has(one.name)) yield one;
}

/** The nodes, and for each name where someone else answers its challenges, as `#challengeNode` does. */
function* withChallengeAliases(
  nodes: Iterable<NamedNode>,
  origin: Name,
  validation: Name | undefined,
): Generator<NamedNode> {
  const challenged = new Set<Name>();
  for (const one of nodes) {
    yield one;
    if (one.name.startsWith(CHALLENGE_PREFIX)) challenged.add(one.name);
    if (validation === undefined || one.name.startsWith(CHALLENGE_PREFIX)) continue;
    const name = child(CHALLENGE_LABEL, one.name);
    const target = rebase(name, origin, validation);
    const isElsewhere = target !== undefined && !isWithin(name, validation);
    if (isElsewhere && name.length <= MAX_NAME_OCTETS && !challenged.has(name)) {
      yield { name, node: aliasNode(target) };
    }
  }
}

function withChallenges(own: Node): Node {
  const merged = new Map(own);
  const challenges = merged.get(CHALLENGE_TYPE)!;
  const others = merged.get(TYPE.TXT);
  merged.delete(CHALLENGE_TYPE);
  merged.set(TYPE.TXT, {
    type: TYPE.TXT,
    ttl: Math.min(challenges.ttl, others?.ttl ?? challenges.ttl),
    rdatas: [...challenges.rdatas, ...(others?.rdatas ?? [])],
  });
  return merged.size > 0 ? merged : EMPTY_NODE;
}
