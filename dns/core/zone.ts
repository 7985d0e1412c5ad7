/**
 * A zone: a tree of nodes below an origin (RFC 1034 section 3.1), kept as one table of names. A
 * node without data is an empty non-terminal: it exists because something below it does
 * (RFC 4592 section 2.2.2).
 */
import { TYPE } from "./codes";
import { type Name, nameAt, parentOf } from "./names";

/** Records of one type at a name. All have one TTL (RFC 2181 section 5.2). */
export interface RRset {
  readonly type: number;
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
}

/** What is at a name, by type. An empty non-terminal has none. */
export type Node = ReadonlyMap<number, RRset>;

export const EMPTY_NODE: Node = new Map();

/** What the answerer needs of a zone. */
export interface ZoneView {
  readonly origin: Name;
  readonly soa: RRset;
  /** SOA as a negative answer shows it: its TTL is the smaller of TTL and MINIMUM (RFC 2308 5). */
  readonly negativeSoa: RRset;
  /** Whether parts of the zone are delegated to others. */
  readonly hasCuts: boolean;
  /** The node of a name within the zone, or undefined where no such name exists. */
  node(name: Name): Node | undefined;
  /** All data of the zone as it is at the call, however long the caller takes to read it. */
  nodes(): Iterable<NamedNode>;
}

export interface NamedNode {
  readonly name: Name;
  readonly node: Node;
}

interface Entry {
  readonly rrsets: Map<number, RRset>;
  /** How many names one label longer exist. */
  children: number;
}

/** SOA's numbers behind its two names: serial, refresh, retry, expire, minimum. */
const SOA_NUMBERS_OCTETS = 20;

/** Of a zone that is not served: it is not whole yet, or gone. */
const NO_SOA: RRset = { type: TYPE.SOA, ttl: 0, rdatas: [] };

/** Told of names that come and go: that exist, that have data, that are delegated to others. */
export type Watch = (what: "name" | "data" | "cut", name: Name, by: 1 | -1) => void;

export class Zone implements ZoneView {
  readonly origin: Name;
  readonly #entries = new Map<Name, Entry>();
  #serial = 0;
  #soa = NO_SOA;
  #negativeSoa = NO_SOA;
  #cuts = 0;
  #rrsets = 0;

  readonly #watch: Watch | undefined;

  constructor(origin: Name, watch?: Watch) {
    this.origin = origin;
    this.#watch = watch;
    this.#entries.set(origin, { rrsets: new Map(), children: 0 });
  }

  /** SOA with the serial of now; without records while the zone has none. */
  get soa(): RRset {
    return this.#soa;
  }

  get negativeSoa(): RRset {
    return this.#negativeSoa;
  }

  get hasCuts(): boolean {
    return this.#cuts > 0;
  }

  get serial(): number {
    return this.#serial;
  }

  get size(): number {
    return this.#entries.size;
  }

  get rrsets(): number {
    return this.#rrsets;
  }

  node(name: Name): Node | undefined {
    return this.#entries.get(name)?.rrsets;
  }

  names(): Name[] {
    return [...this.#entries.keys()];
  }

  nodes(): NamedNode[] {
    return this.names().map((name) => ({ name, node: new Map(this.node(name)) }));
  }

  setSerial(serial: number): void {
    this.#serial = serial;
    const soa = this.#entries.get(this.origin)!.rrsets.get(TYPE.SOA);
    if (!soa) {
      this.#soa = NO_SOA;
      this.#negativeSoa = NO_SOA;
      return;
    }
    this.#soa = withSerial(soa, serial);
    this.#negativeSoa = withNegativeTtl(this.#soa);
    this.#entries.get(this.origin)!.rrsets.set(TYPE.SOA, this.#soa);
  }

  /** Put an RRset at a name within the zone, in place of one of that type; none removes it. */
  set(name: Name, type: number, rrset: RRset | undefined): void {
    const had = this.node(name)?.has(type) ?? false;
    const more = Number(rrset !== undefined) - Number(had);
    this.#rrsets += more;
    const isCut = type === TYPE.NS && name !== this.origin;
    if (isCut) this.#cuts += more;
    if (more === 1 || more === -1) {
      this.#watch?.("data", name, more);
      if (isCut) this.#watch?.("cut", name, more);
    }
    if (rrset) this.#ensure(name).rrsets.set(type, rrset);
    else this.#entries.get(name)?.rrsets.delete(type);
    if (!rrset) this.#prune(name);
    if (type === TYPE.SOA && name === this.origin) this.setSerial(this.#serial);
  }

  #ensure(name: Name): Entry {
    const known = this.#entries.get(name);
    if (known) return known;
    const entry: Entry = { rrsets: new Map(), children: 0 };
    this.#entries.set(name, entry);
    this.#watch?.("name", name, 1);
    this.#ensure(parentOf(name)).children++;
    return entry;
  }

  /** Drop names that have neither data nor anything below them. */
  #prune(name: Name): void {
    for (let at = name; at !== this.origin; at = parentOf(at)) {
      const entry = this.#entries.get(at);
      if (!entry || entry.rrsets.size > 0 || entry.children > 0) return;
      this.#entries.delete(at);
      this.#watch?.("name", at, -1);
      this.#entries.get(parentOf(at))!.children--;
    }
  }
}

function withSerial(soa: RRset, serial: number): RRset {
  return { ...soa, rdatas: soa.rdatas.map((rdata) => patched(rdata, serial)) };
}

function patched(rdata: Uint8Array, serial: number): Uint8Array {
  const copy = rdata.slice();
  const at = copy.length - SOA_NUMBERS_OCTETS;
  new DataView(copy.buffer, copy.byteOffset).setUint32(at, serial >>> 0);
  return copy;
}

function withNegativeTtl(soa: RRset): RRset {
  const rdata = soa.rdatas[0];
  if (!rdata) return soa;
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  return { ...soa, ttl: Math.min(soa.ttl, view.getUint32(rdata.length - 4)) };
}

const ONLY_NAME: readonly number[] = [TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.ALIAS];

/** The name that a record of this type points to, as it is written, or undefined. */
export function targetOf(type: number, rdata: Uint8Array): string | undefined {
  if (ONLY_NAME.includes(type)) return nameAt(rdata, 0);
  if (type === TYPE.MX || type === TYPE.SVCB || type === TYPE.HTTPS) return nameAt(rdata, 2);
  return type === TYPE.SRV ? nameAt(rdata, 6) : undefined;
}
