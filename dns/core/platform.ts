/**
 * Names that follow from where repls live. The table knows a repl's cluster by index, and each thread
 * a cluster's addresses as one prebuilt node: moving a repl writes one number, and new ingress
 * addresses of a cluster replace one node, however many names point there.
 *
 *     <name>.<owner>.<zone>   <name>--<owner>.<zone>   <id>.id.<zone>     A and AAAA of the home
 *     <owner>.<zone>   id.<zone>                                          exist, without data
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address";
import { CLASS, TYPE } from "./codes";
import type { HashKey } from "./half-siphash";
import { child, MAX_LABEL_OCTETS, MAX_NAME_OCTETS, type Name } from "./names";
import { EMPTY_TABLE, Table } from "./table";
import { TableWriter } from "./table-writer";
import { HEADER_OCTETS } from "./wire";
import { EMPTY_NODE, type NamedNode, type Node, type RRset } from "./zone";

/** A resolver may keep a repl's address this long, so a move is seen everywhere within it. */
export const PLATFORM_TTL_SECONDS = 60;

/** Between name and owner where both share a label; so neither may contain it. */
const SEPARATOR = "--";
/** In place of a record: the name of an owner, or of the ids, exists without data. */
const WITHOUT_DATA = -2;
const ID_LABEL = "\x02id";
/** What a table holds: octets, 1 to 63 of them. */
// oxlint-disable-next-line no-control-regex -- any octet may be in a label
const LABEL = /^[\0-\xff]{1,63}$/;

export interface Repl {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
  readonly clusterId: string;
}

/** A cluster's index, as the table has it, and the addresses that its repls resolve to. */
export interface ClusterAddresses {
  readonly index: number;
  readonly ingress: readonly string[];
}

/** Of a cluster that nobody has described: its repls exist without data. */
const UNKNOWN: Node = new Map();

export interface PlatformOptions {
  /** For a table of its own. Without it, the table is another thread's, and only read. */
  readonly hashKey?: HashKey | undefined;
  /** Called where the table leads to a cluster of which this thread was not told: to hear of it. */
  readonly onUnknownCluster?: () => void;
}

export class Platform {
  readonly #table: Table;
  /** The same table, where this thread writes it. */
  readonly #writer: TableWriter | undefined;
  readonly #clusters = new Map<string, number>();
  readonly #clusterIds: string[] = [];
  readonly #ingress: (readonly string[])[] = [];
  readonly #nodes: Node[] = [];
  /** The same as octets, for questions whose name is written at offset 12. */
  readonly #records: { readonly ipv4: Uint8Array; readonly ipv6: Uint8Array }[] = [];
  /** Labels that are looked for. */
  readonly #key = new Uint8Array(MAX_NAME_OCTETS);

  readonly #onUnknownCluster: () => void;

  constructor({ hashKey, onUnknownCluster = () => undefined }: PlatformOptions) {
    this.#writer = hashKey && new TableWriter(hashKey);
    this.#table = this.#writer ?? new Table(EMPTY_TABLE);
    this.#onUnknownCluster = onUnknownCluster;
  }

  get table(): Table {
    return this.#table;
  }

  /** Repls there are. Only who writes knows. */
  get size(): number {
    return this.#writer?.size ?? 0;
  }

  /** Set the addresses that a cluster's repls resolve to. What is no IP address is left out. */
  setCluster(id: string, ingress: readonly string[]): void {
    this.setClusterAt({ index: this.indexOf(id), ingress });
  }

  /** The same, for who was told the index. */
  setClusterAt({ index, ingress }: ClusterAddresses): void {
    this.#ingress[index] = ingress;
    const node = addressNode(ingress);
    this.#nodes[index] = node;
    this.#records[index] = {
      ipv4: recordOctets(node.get(TYPE.A)),
      ipv6: recordOctets(node.get(TYPE.AAAA)),
    };
  }

  /** Prebuilt A or AAAA records of a cluster, perhaps none; undefined for a cluster not heard of. */
  recordsOf(cluster: number, type: number): Uint8Array | undefined {
    const records = this.#records[cluster];
    return type === TYPE.A ? records?.ipv4 : records?.ipv6;
  }

  /** All that are known, whether or not somebody has described them. */
  clusters(): ClusterAddresses[] {
    return this.#clusterIds.map((_id, index) => ({ index, ingress: this.#ingress[index] ?? [] }));
  }

  /** The index of a cluster, also of one that is heard of for the first time. */
  indexOf(clusterId: string): number {
    const known = this.#clusters.get(clusterId);
    if (known !== undefined) return known;
    const index = this.#clusterIds.push(clusterId) - 1;
    this.#clusters.set(clusterId, index);
    return index;
  }

  /** Addresses of all clusters. */
  addresses(): string[] {
    const found = this.#nodes.flatMap((node) => [
      ...(node.get(TYPE.A)?.rdatas.map(formatIpv4) ?? []),
      ...(node.get(TYPE.AAAA)?.rdatas.map(formatIpv6) ?? []),
    ]);
    return [...new Set(found)];
  }

  /** Place a repl. False for an older generation than the one known: that changes nothing. */
  setRepl(repl: Repl): boolean {
    const table = this.#written();
    const known = table.find(repl.id);
    if (known >= 0 && table.generationOf(known) > repl.generation) return false;
    const { id, name, owner, generation, clusterId } = repl;
    table.place({ id, name, owner, generation, cluster: this.indexOf(clusterId) }, known);
    return true;
  }

  removeRepl(id: string): void {
    const table = this.#written();
    const known = table.find(id);
    if (known >= 0) table.remove(known);
  }

  /** Many are placed from here to `settle`: about so many, or 0 where nobody knows. */
  expect(repls: number): void {
    this.#written().expect(repls);
  }

  settle(): void {
    this.#written().settle();
  }

  /**
   * All repls; one that comes or goes meanwhile may be among them or not. Those that have lost their
   * name come first, so that whoever places them in this order gives each name to the same repl.
   */
  *repls(): Generator<Repl> {
    const writer = this.#written();
    const { buffers, recordCount } = writer;
    const begun = new Table(buffers);
    const isDone = new Uint8Array(recordCount);
    for (const isLast of [false, true]) {
      for (let index = 0; index < recordCount; index++) {
        if (isDone[index] || begun.generationOf(index) < 0) continue;
        if (begun.isNamed(index) && !isLast) continue;
        isDone[index] = 1;
        // In new buffers it is elsewhere, or no more.
        const repl =
          writer.buffers === buffers ? this.#replAt(index) : this.repl(begun.idOf(index));
        if (repl) yield repl;
      }
    }
  }

  repl(id: string): Repl | undefined {
    const end = this.#keyOf(id);
    const index = end < 0 ? -1 : this.#table.findId(this.#key, 0, end);
    return index < 0 ? undefined : this.#replAt(index);
  }

  #replAt(index: number): Repl {
    const table = this.#table;
    const clusterId = this.#clusterIds[table.clusterOf(index)]!;
    return {
      id: table.idOf(index),
      name: table.nameOf(index),
      owner: table.ownerOf(index),
      generation: table.generationOf(index),
      clusterId,
    };
  }

  /** The repl that has a name below the platform zone's origin, in any of its forms. */
  replAt(name: Name, origin: Name): Repl | undefined {
    const index = this.#recordAt(name, origin);
    return index < 0 ? undefined : this.#replAt(index);
  }

  /** Count a query for the repl that has a name, if one has. Any thread may. */
  countQuery(name: Name, origin: Name): void {
    const index = this.#recordAt(name, origin);
    if (index >= 0) this.#table.countQuery(index);
  }

  /** The queries that were answered about a repl, by all threads; 0 of one that is unknown. */
  queriesOf(id: string): number {
    const end = this.#keyOf(id);
    const index = end < 0 ? -1 : this.#table.findId(this.#key, 0, end);
    return index < 0 ? 0 : this.#table.queriesOf(index);
  }

  /** Those most asked for, `count` of them at most. */
  mostAsked(count: number): { repl: Repl; queries: number }[] {
    const { recordCount } = this.#written();
    const table = this.#table;
    const best: number[] = [];
    let least = 0;
    for (let index = 0; index < recordCount; index++) {
      const queries = table.queriesOf(index);
      if (queries <= least || table.generationOf(index) < 0) continue;
      best.push(index);
      // Now and then the lesser half goes, and with it what need not be looked at.
      if (best.length < 2 * count) continue;
      best.sort((a, b) => table.queriesOf(b) - table.queriesOf(a));
      best.length = count;
      least = table.queriesOf(best.at(-1)!);
    }
    best.sort((a, b) => table.queriesOf(b) - table.queriesOf(a));
    return best.slice(0, count).map((index) => {
      return { repl: this.#replAt(index), queries: table.queriesOf(index) };
    });
  }

  /** The node of a name below the platform zone's origin. */
  node(name: Name, origin: Name): Node | undefined {
    const node = this.#find(name, origin);
    if (node !== UNKNOWN) return node;
    this.#onUnknownCluster();
    const again = this.#find(name, origin);
    return again === UNKNOWN ? EMPTY_NODE : again;
  }

  #find(name: Name, origin: Name): Node | undefined {
    const index = this.#recordAt(name, origin);
    if (index < 0) return index === WITHOUT_DATA ? EMPTY_NODE : undefined;
    return this.#nodes[this.#table.clusterOf(index)] ?? UNKNOWN;
  }

  /** The record of the repl that has a name; -1, or that the name exists all the same. */
  #recordAt(name: Name, origin: Name): number {
    const firstEnd = 1 + name.charCodeAt(0);
    const depth = name.length - origin.length;
    if (firstEnd > depth) return -1;
    for (let at = 0; at < depth; at++) this.#key[at] = name.charCodeAt(at);
    if (firstEnd === depth) return this.#oneLabel(name.slice(1, firstEnd), firstEnd);
    // A name of two labels ends where the origin begins; a longer one is nothing of ours.
    if (firstEnd + 1 + name.charCodeAt(firstEnd) !== depth) return -1;
    const isById = name.startsWith(ID_LABEL, firstEnd) && depth - firstEnd === ID_LABEL.length;
    return isById
      ? this.#table.findId(this.#key, 0, firstEnd)
      : this.#table.findName(this.#key, 0, depth);
  }

  /** All names and their data as they are at the call. Names are made one by one: there are many. */
  nodes(origin: Name): Iterable<NamedNode> {
    const { recordCount: records, ownerCount: owners } = this.#written();
    // What a record says does not change, but for where the repl is, and whether it is one.
    const table = new Table(this.#table.buffers);
    const places = Int32Array.from({ length: records }, (_, index) => {
      if (table.generationOf(index) < 0) return GONE;
      return 2 * table.clusterOf(index) + Number(table.isNamed(index));
    });
    const hasRepls = Uint8Array.from({ length: owners }, (_, owner) =>
      Number(table.ownerRepls(owner) > 0),
    );
    return platformNodes(origin, { table, places, hasRepls, nodes: [...this.#nodes] });
  }

  #oneLabel(label: string, end: number): number {
    if (label === "id" || this.#table.findOwner(this.#key, 0, end) >= 0) return WITHOUT_DATA;
    const at = label.indexOf(SEPARATOR);
    const owner = label.slice(at + SEPARATOR.length);
    if (at <= 0 || owner === "") return -1;
    const nameEnd = this.#write(label.slice(0, at), 0);
    return this.#table.findName(this.#key, 0, this.#write(owner, nameEnd));
  }

  #keyOf(label: string): number {
    return LABEL.test(label) ? this.#write(label, 0) : -1;
  }

  #write(label: string, at: number): number {
    this.#key[at] = label.length;
    for (let index = 0; index < label.length; index++) {
      this.#key[at + 1 + index] = label.charCodeAt(index);
    }
    return at + 1 + label.length;
  }

  #written(): TableWriter {
    if (!this.#writer) throw new Error("Cannot change where repls live: this thread only reads it");
    return this.#writer;
  }
}

function addressNode(ingress: readonly string[]): Node {
  const node = new Map<number, RRset>();
  const add = (type: number, octets: readonly (Uint8Array | undefined)[]): void => {
    const rdatas = octets.filter((address) => address !== undefined);
    if (rdatas.length > 0) node.set(type, { type, ttl: PLATFORM_TTL_SECONDS, rdatas });
  };
  add(TYPE.A, ingress.map(parseIpv4));
  add(TYPE.AAAA, ingress.map(parseIpv6));
  return node;
}

/** Owner as a pointer to the question, type, class IN, TTL, length, data. */
export const RECORD_OCTETS = 12;

function recordOctets(rrset: RRset | undefined): Uint8Array {
  const records = (rrset?.rdatas ?? []).map((rdata) => {
    const fixed = [0xc0, HEADER_OCTETS, 0, rrset!.type, 0, CLASS.IN, 0, 0, 0, rrset!.ttl, 0];
    return [...fixed, rdata.length, ...rdata];
  });
  return Uint8Array.from(records.flat());
}

interface Captured {
  readonly table: Table;
  /** Of each record: {@link GONE}, or twice the cluster, and one more where the name leads to it. */
  readonly places: Int32Array;
  readonly hasRepls: Uint8Array;
  readonly nodes: readonly Node[];
}

const GONE = -1;

function* platformNodes(origin: Name, captured: Captured): Generator<NamedNode> {
  const { table, places, hasRepls, nodes } = captured;
  const at = function* (node: Node, ...labels: readonly string[]): Generator<NamedNode> {
    const name = labels.reduceRight((below, label) => child(label, below), origin);
    const isName = labels.every((label) => label.length <= MAX_LABEL_OCTETS);
    if (isName && name.length <= MAX_NAME_OCTETS) yield { name, node };
  };
  yield* at(EMPTY_NODE, "id");
  for (const [owner, has] of hasRepls.entries()) {
    if (has) yield* at(EMPTY_NODE, table.ownerLabel(owner));
  }
  for (const [index, place] of places.entries()) {
    if (place === GONE) continue;
    const node = nodes[place >> 1] ?? EMPTY_NODE;
    yield* at(node, table.idOf(index), "id");
    if ((place & 1) === 0) continue;
    const [name, owner] = [table.nameOf(index), table.ownerOf(index)];
    yield* at(node, name, owner);
    yield* at(node, `${name}${SEPARATOR}${owner}`);
  }
}
