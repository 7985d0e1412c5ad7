/**
 * Names that follow from where repls live. A repl knows its cluster by index and a cluster its
 * addresses as one prebuilt node: moving a repl writes one number, and new ingress addresses of a
 * cluster replace one node, however many names point there.
 *
 *     <name>.<owner>.<zone>   <name>--<owner>.<zone>   <id>.id.<zone>     A and AAAA of the home
 *     <owner>.<zone>   id.<zone>                                          exist, without data
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address";
import { TYPE } from "./codes";
import { child, MAX_LABEL_OCTETS, MAX_NAME_OCTETS, type Name } from "./names";
import { EMPTY_NODE, type NamedNode, type Node, type RRset } from "./zone";

/** A resolver may keep a repl's address this long, so a move is seen everywhere within it. */
export const PLATFORM_TTL_SECONDS = 60;

/** Between name and owner where both share a label; so neither may contain it. */
const SEPARATOR = "--";

export interface Repl {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
  readonly clusterId: string;
}

interface Slot {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  generation: number;
  cluster: number;
}

export class Platform {
  readonly #clusters = new Map<string, number>();
  readonly #clusterIds: string[] = [];
  readonly #nodes: Node[] = [];
  readonly #byId = new Map<string, Slot>();
  readonly #byOwner = new Map<string, Map<string, Slot>>();

  get size(): number {
    return this.#byId.size;
  }

  /** Set the addresses that a cluster's repls resolve to. What is no IP address is left out. */
  setCluster(id: string, ingress: readonly string[]): void {
    this.#nodes[this.#indexOf(id)] = addressNode(ingress);
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
    const known = this.#byId.get(repl.id);
    if (known && known.generation > repl.generation) return false;
    const cluster = this.#indexOf(repl.clusterId);
    if (known && known.name === repl.name && known.owner === repl.owner) {
      known.cluster = cluster;
      known.generation = repl.generation;
      return true;
    }
    if (known) this.removeRepl(repl.id);
    const { id, name, owner, generation } = repl;
    const slot: Slot = { id, name, owner, generation, cluster };
    this.#byId.set(id, slot);
    const names = this.#byOwner.get(owner) ?? new Map<string, Slot>();
    this.#byOwner.set(owner, names.set(name, slot));
    return true;
  }

  removeRepl(id: string): void {
    const slot = this.#byId.get(id);
    if (!slot) return;
    this.#byId.delete(id);
    const names = this.#byOwner.get(slot.owner)!;
    if (names.get(slot.name) === slot) names.delete(slot.name);
    if (names.size === 0) this.#byOwner.delete(slot.owner);
  }

  repl(id: string): Repl | undefined {
    const slot = this.#byId.get(id);
    if (!slot) return undefined;
    const { name, owner, generation, cluster } = slot;
    return { id, name, owner, generation, clusterId: this.#clusterIds[cluster]! };
  }

  /** All repls; one that comes or goes meanwhile may be among them or not. */
  *repls(): Generator<Repl> {
    for (const { id, name, owner, generation, cluster } of this.#byId.values()) {
      yield { id, name, owner, generation, clusterId: this.#clusterIds[cluster]! };
    }
  }

  /** The node of a name below the platform zone's origin. */
  node(name: Name, origin: Name): Node | undefined {
    const firstEnd = 1 + name.charCodeAt(0);
    const depth = name.length - origin.length;
    if (firstEnd > depth) return undefined;
    const first = name.slice(1, firstEnd);
    if (firstEnd === depth) return this.#oneLabel(first);
    // A name of two labels ends where the origin begins; a longer one is nothing of ours.
    if (firstEnd + 1 + name.charCodeAt(firstEnd) !== depth) return undefined;
    const second = name.slice(firstEnd + 1, depth);
    const slot = second === "id" ? this.#byId.get(first) : this.#byOwner.get(second)?.get(first);
    return slot && this.#nodeOf(slot);
  }

  /** All names and their data as they are at the call. Names are made one by one: there are many. */
  nodes(origin: Name): Iterable<NamedNode> {
    const slots = [...this.#byId.values()];
    const nodes = slots.map((slot) => this.#nodeOf(slot));
    const isNamed = slots.map((slot) => this.#byOwner.get(slot.owner)?.get(slot.name) === slot);
    const owners = [...this.#byOwner.keys()];
    return platformNodes(origin, { slots, nodes, isNamed, owners });
  }

  #oneLabel(label: string): Node | undefined {
    if (label === "id" || this.#byOwner.has(label)) return EMPTY_NODE;
    const at = label.indexOf(SEPARATOR);
    if (at < 0) return undefined;
    const owner = label.slice(at + SEPARATOR.length);
    const slot = this.#byOwner.get(owner)?.get(label.slice(0, at));
    return slot && this.#nodeOf(slot);
  }

  /** A cluster that nobody has described yet has no addresses: its repls exist without data. */
  #nodeOf(slot: Slot): Node {
    return this.#nodes[slot.cluster] ?? EMPTY_NODE;
  }

  #indexOf(clusterId: string): number {
    const known = this.#clusters.get(clusterId);
    if (known !== undefined) return known;
    const index = this.#clusterIds.push(clusterId) - 1;
    this.#clusters.set(clusterId, index);
    return index;
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

interface Captured {
  readonly slots: readonly Slot[];
  readonly nodes: readonly Node[];
  /** The repl has its name; one with an equal name may have come after it. */
  readonly isNamed: readonly boolean[];
  readonly owners: readonly string[];
}

function* platformNodes(origin: Name, captured: Captured): Generator<NamedNode> {
  const { slots, nodes, isNamed, owners } = captured;
  const at = function* (node: Node, ...labels: readonly string[]): Generator<NamedNode> {
    const name = labels.reduceRight((below, label) => child(label, below), origin);
    const isName = labels.every((label) => label.length <= MAX_LABEL_OCTETS);
    if (isName && name.length <= MAX_NAME_OCTETS) yield { name, node };
  };
  yield* at(EMPTY_NODE, "id");
  for (const owner of owners) yield* at(EMPTY_NODE, owner);
  for (const [index, { id, name, owner }] of slots.entries()) {
    const node = nodes[index]!;
    yield* at(node, id, "id");
    if (!isNamed[index]) continue;
    yield* at(node, name, owner);
    yield* at(node, `${name}${SEPARATOR}${owner}`);
  }
}
