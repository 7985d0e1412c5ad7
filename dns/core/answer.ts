/**
 * The answer to a question, from the zones that we serve. Written to be read beside the algorithm
 * of RFC 1034 section 4.3.2, as RFC 4592 and RFC 6604 sharpen it. Reads no clock and no network.
 */
import { CLASS, RCODE, TYPE } from "./codes";
import { child, fold, isWithin, type Name, nameAt, parentOf, ROOT } from "./names";
import { type Node, type RRset, targetOf, type ZoneView } from "./zone";

/** An RRset under the name it is shown at: its own, or the one a wildcard stands in for. */
export interface OwnedRRset {
  readonly owner: Name;
  readonly rrset: RRset;
}

export interface Answer {
  readonly rcode: number;
  /** The AA bit: about the first owner name in the answer (RFC 2181 section 6). */
  readonly isAuthoritative: boolean;
  readonly answers: readonly OwnedRRset[];
  readonly authorities: readonly OwnedRRset[];
  readonly additionals: readonly OwnedRRset[];
  /** Leading additionals that a referral cannot do without (RFC 9471 section 3). */
  readonly glue: number;
  /** The name under which floods of this answer are counted: the same for all that is made up. */
  readonly countedAs: Name;
}

/** Where zones are found. */
export interface Zones {
  zoneOf(name: Name): ZoneView | undefined;
}

export interface Asked {
  readonly name: Name;
  readonly type: number;
  readonly class: number;
}

/** One look-up on the way to an answer. */
export interface Step {
  readonly zone: ZoneView;
  readonly owner: Name;
  readonly found: Found;
}

/** A longer chain is a mistake or a loop: what was found until then is the answer. */
const MAX_CHAIN = 8;

const NONE: readonly OwnedRRset[] = [];

const refused: Answer = {
  rcode: RCODE.REFUSED,
  isAuthoritative: false,
  answers: NONE,
  authorities: NONE,
  additionals: NONE,
  glue: 0,
  countedAs: ROOT,
};

/** Answer `question`. Total: any question has an answer. Each look-up is told to `onStep`. */
export function answer(zones: Zones, question: Asked, onStep?: (step: Step) => void): Answer {
  // Transfers are not offered, and other classes hold nothing (RFC 8906 section 3.1).
  const isTransfer = question.type === TYPE.AXFR || question.type === TYPE.IXFR;
  if (question.class !== CLASS.IN || isTransfer) return refused;
  const zone = zoneFor(zones, question.name, question.type);
  return zone ? follow(zones, zone, question, onStep) : refused;
}

/** DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1), where we serve that. */
function zoneFor(zones: Zones, name: Name, type: number): ZoneView | undefined {
  const zone = zones.zoneOf(name);
  if (type !== TYPE.DS || zone?.origin !== name) return zone;
  const parent = zones.zoneOf(parentOf(name));
  // Without the cut the parent would deny a name that exists.
  return parent?.node(name)?.has(TYPE.NS) ? parent : zone;
}

/** Steps 2 and 3, again for each CNAME. Rcode and SOA are those of the last name (RFC 6604). */
function follow(
  zones: Zones,
  first: ZoneView,
  { name, type }: Asked,
  onStep?: (step: Step) => void,
): Answer {
  const chain: OwnedRRset[] = [];
  let owner = name;
  let zone = first;
  let countedAs: Name | undefined;
  while (chain.length < MAX_CHAIN) {
    const found = lookup(zone, owner, type);
    onStep?.({ zone, owner, found });
    countedAs ??= found.at;
    if (found.kind === "cut") return referral(zones, chain, found, countedAs);
    if (found.kind === "nothing") return negative(zone, RCODE.NXDOMAIN, chain, countedAs);
    const cname = found.node.get(TYPE.CNAME);
    if (!cname || type === TYPE.CNAME || type === TYPE.ANY) {
      return atNode(zones, zone, { owner, type, node: found.node, chain, countedAs });
    }
    chain.push({ owner, rrset: cname });
    owner = fold(nameAt(cname.rdatas[0]!, 0) ?? owner);
    if (chain.some((link) => link.owner === owner)) break;
    const next = zoneFor(zones, owner, type);
    if (!next) break;
    zone = next;
  }
  return positive(chain, [], countedAs ?? name);
}

/** What is there, and where: at the name, its wildcard, its cut; nothing is in the whole zone. */
export type Found =
  | { readonly kind: "node"; readonly at: Name; readonly node: Node }
  | { readonly kind: "cut"; readonly at: Name; readonly ns: RRset }
  | { readonly kind: "nothing"; readonly at: Name; readonly encloser: Name };

/** Step 3: from the origin down, label by label, until the name, a cut, or nothing. */
function lookup(zone: ZoneView, name: Name, type: number): Found {
  if (!zone.hasCuts) {
    const node = zone.node(name);
    if (node) return { kind: "node", at: name, node };
  }
  let closest = zone.origin;
  for (const at of pathTo(name, zone.origin)) {
    const node = zone.node(at);
    if (!node) {
      // Only the closest encloser's wildcard stands in (RFC 4592 section 3.3.1).
      const wildcard = child("*", closest);
      const stand = zone.node(wildcard);
      return stand
        ? { kind: "node", at: wildcard, node: stand }
        : { kind: "nothing", at: zone.origin, encloser: closest };
    }
    const ns = node.get(TYPE.NS);
    if (ns && !(at === name && type === TYPE.DS)) return { kind: "cut", at, ns };
    closest = at;
  }
  return { kind: "node", at: name, node: zone.node(name)! };
}

/** The names below `origin` on the way down to `name`, which is the last. */
function* pathTo(name: Name, origin: Name): Generator<Name> {
  const starts: number[] = [];
  for (let at = 0; name.length - at > origin.length; at += 1 + name.charCodeAt(at)) starts.push(at);
  for (let index = starts.length - 1; index >= 0; index--) yield name.slice(starts[index]);
}

interface Hit {
  readonly owner: Name;
  readonly type: number;
  readonly node: Node;
  readonly chain: readonly OwnedRRset[];
  readonly countedAs: Name;
}

function atNode(zones: Zones, zone: ZoneView, hit: Hit): Answer {
  const { owner, type, node, chain, countedAs } = hit;
  const rrset = type === TYPE.ANY ? anyOf(node) : node.get(type);
  if (!rrset) return negative(zone, RCODE.NOERROR, chain, countedAs);
  return positive([...chain, { owner, rrset }], addressesOf(zones, owner, rrset), countedAs);
}

/** ANY gets one small RRset instead of all (RFC 8482 sections 4.1 and 4.2). */
function anyOf(node: Node): RRset | undefined {
  return node.size === 0 ? undefined : (node.get(TYPE.CNAME) ?? RFC8482);
}

const RFC8482: RRset = {
  type: TYPE.HINFO,
  ttl: 60,
  rdatas: [Uint8Array.of(7, ...Array.from("RFC8482", (letter) => letter.charCodeAt(0)), 0)],
};

function positive(
  answers: readonly OwnedRRset[],
  additionals: readonly OwnedRRset[],
  countedAs: Name,
): Answer {
  return {
    rcode: RCODE.NOERROR,
    isAuthoritative: true,
    answers,
    authorities: NONE,
    additionals,
    glue: 0,
    countedAs,
  };
}

/** NXDOMAIN or NODATA, with the SOA so that it may be cached (RFC 2308 sections 3 and 5). */
function negative(
  zone: ZoneView,
  rcode: number,
  answers: readonly OwnedRRset[],
  countedAs: Name,
): Answer {
  return {
    rcode,
    isAuthoritative: true,
    answers,
    authorities: [{ owner: zone.origin, rrset: zone.negativeSoa }],
    additionals: NONE,
    glue: 0,
    countedAs,
  };
}

/** Step 3b: the zone is cut here; who knows more is said with the addresses we hold. */
function referral(
  zones: Zones,
  chain: readonly OwnedRRset[],
  { at, ns }: { readonly at: Name; readonly ns: RRset },
  countedAs: Name,
): Answer {
  const addresses = addressesOf(zones, at, ns);
  const glue = addresses.filter((address) => isWithin(address.owner, at));
  const others = addresses.filter((address) => !isWithin(address.owner, at));
  return {
    rcode: RCODE.NOERROR,
    isAuthoritative: chain.length > 0,
    answers: chain,
    authorities: [{ owner: at, rrset: ns }],
    additionals: [...glue, ...others],
    glue: glue.length,
    countedAs,
  };
}

/** Types that point to hosts whose addresses the asker needs next (step 6, RFC 9460 4.2). */
const POINTING: readonly number[] = [TYPE.NS, TYPE.MX, TYPE.SRV, TYPE.SVCB, TYPE.HTTPS];

/** Addresses of the hosts that the records point to, as far as we have them. */
function addressesOf(zones: Zones, at: Name, { type, rdatas }: RRset): readonly OwnedRRset[] {
  if (!POINTING.includes(type)) return NONE;
  const addresses: OwnedRRset[] = [];
  const targets = rdatas.map((rdata) => fold(targetOf(type, rdata) ?? ROOT));
  for (const owner of new Set(targets)) {
    // The root is nobody: "no service here", or for SVCB the name itself.
    const isSelf = owner === ROOT && (type === TYPE.SVCB || type === TYPE.HTTPS);
    const host = isSelf ? at : owner;
    const node = host === ROOT ? undefined : zones.zoneOf(host)?.node(host);
    for (const rrset of [node?.get(TYPE.A), node?.get(TYPE.AAAA)]) {
      if (rrset) addresses.push({ owner: host, rrset });
    }
  }
  return addresses;
}
