/** What a zone answers: its own data, DNS-01 challenges, and what follows from the platform's state. */
import { TYPE } from "./codes";
import {
  child,
  fold,
  isWithin,
  MAX_NAME_OCTETS,
  type Name,
  nameAt,
  nameOctets,
  parentOf,
  rebase,
} from "./names";
import { type Platform, PLATFORM_TTL_SECONDS } from "./platform";
import {
  EMPTY_NODE,
  type NamedNode,
  type Node,
  type RRset,
  type Zone,
  type ZoneView,
} from "./zone";

/** Labels in front of a name whose control is proven there (RFC 8555 section 8.4). */
export const CHALLENGE_LABEL = "_acme-challenge";
const CHALLENGE_PREFIX = `\x0f${CHALLENGE_LABEL}`;

/** Challenges lie beside the TXT records of their name, under a type that no question can have. */
export const CHALLENGE_TYPE = 0x10000 + TYPE.TXT;

/** What a zone's answers follow from besides its own data. */
export interface Beside {
  /** Of the zone in which repls have their names. */
  readonly platform: Platform | undefined;
  /** Where DNS-01 look-ups for that zone go unless it has the values itself. */
  readonly validation: Name | undefined;
  /** The node of a name of a repl, in whichever zone. */
  readonly addressesOf: (name: Name) => Node | undefined;
}

/** A zone's data, with what follows from the platform's state laid under it. */
export class View implements ZoneView {
  readonly #zone: Zone;
  readonly #platform: Platform | undefined;
  readonly #validation: Name | undefined;
  readonly #addressesOf: Beside["addressesOf"];

  constructor(zone: Zone, { platform, validation, addressesOf }: Beside) {
    this.#zone = zone;
    this.#platform = platform;
    this.#validation = validation;
    this.#addressesOf = addressesOf;
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
    const whole = own?.has(CHALLENGE_TYPE) ? withChallenges(own) : own;
    const node = whole?.has(TYPE.ALIAS) ? this.#withAddresses(whole) : whole;
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

  /** The addresses of the moment in place of the ALIAS; none while its app has none. */
  #withAddresses(node: Node): Node {
    const merged = new Map(node);
    const alias = node.get(TYPE.ALIAS)!;
    merged.delete(TYPE.ALIAS);
    for (const [type, rrset] of this.#addressesOf(targetOfAlias(alias)) ?? []) {
      merged.set(type, { ...rrset, ttl: Math.min(rrset.ttl, alias.ttl) });
    }
    return merged.size > 0 ? merged : EMPTY_NODE;
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

export const targetOfAlias = ({ rdatas }: RRset): Name => fold(nameAt(rdatas[0]!, 0)!);

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
  const isNew = (rdata: Uint8Array): boolean =>
    !challenges.rdatas.some((each) => isSame(each, rdata));
  merged.set(TYPE.TXT, {
    type: TYPE.TXT,
    ttl: Math.min(challenges.ttl, others?.ttl ?? challenges.ttl),
    rdatas: [...challenges.rdatas, ...(others?.rdatas ?? []).filter(isNew)],
  });
  return merged;
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((octet, index) => octet === b[index]);
