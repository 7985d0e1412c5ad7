/** What may be put into a zone: the API's checks, each with the reason of the RFC. */
import { isMetaType, TYPE, typeCode, typeName } from "./codes";
import {
  fault,
  firstLabel,
  fold,
  formatName,
  isHostname,
  isWithin,
  type Name,
  type Parsed,
  parsed,
  parseName,
  rebase,
  ROOT,
} from "./names";
import { formatRdata, parseRdata } from "./rdata";
import { targetOf } from "./zone";

/** RFC 2181 section 8: the top bit of a TTL is not used. */
const MAX_TTL_SECONDS = 2 ** 31 - 1;
const MAX_VALUES = 200;
/** The whole set must fit into one message, with its question and SOA (RFC 1035 section 4.2.2). */
const MAX_RRSET_OCTETS = 60_000;
const RECORD_OVERHEAD_OCTETS = 12;
/** One string of a TXT record (RFC 1035 section 3.3). */
const MAX_CHALLENGE_OCTETS = 255;

/** What else is known about the name that an RRset is put at. */
export interface Neighbours {
  /** Types that have data at the name in the zone, the candidate's own among them or not. */
  readonly types: readonly number[];
  readonly hasChallenge: boolean;
  /** The name follows from a repl's. */
  readonly isDerived: boolean;
  /** Whether a name is an alias in one of our zones. */
  readonly isAlias: (name: Name) => boolean;
}

export interface Candidate {
  readonly zone: Name;
  readonly name: Name;
  readonly type: number;
  readonly ttl: number;
  readonly values: readonly string[];
}

/** A zone's name: at least one label, and host name labels (RFC 1123 section 2.1). */
export function readZoneName(text: string): Parsed<Name> {
  const name = parseName(text);
  if (!name.ok) return name;
  if (!isHostname(fold(name.value))) return fault(`"${text}": expected a host name (RFC 1123 2.1)`);
  return parsed(fold(name.value));
}

/** An owner name in a zone: `@`, relative, or absolute when it ends in the zone's name or a dot. */
export function readOwnerName(zone: Name, text: string): Parsed<Name> {
  if (text === "@") return parsed(zone);
  const name = parseName(text);
  if (!name.ok) return name;
  const folded = fold(name.value);
  if (isWithin(folded, zone)) return parsed(folded);
  if (text.endsWith(".") && !text.endsWith("\\.")) {
    return fault(`"${text}" is not within the zone "${formatName(zone)}"`);
  }
  const absolute = rebase(folded, ROOT, zone);
  return absolute ? parsed(absolute) : fault(`"${text}" is too long in this zone (RFC 1035 2.3.4)`);
}

/** A type that zones may hold. */
export function readType(text: string): Parsed<number> {
  const type = typeCode(text);
  if (type === undefined) return fault(`"${text}": expected a type such as A, TXT or TYPE65`);
  if (isMetaType(type)) return fault(`${typeName(type)} is no data of a zone (RFC 6895 3.1)`);
  if (type === TYPE.DNAME) {
    return fault("DNAME would rename what repls are called below it (RFC 6672 2.3): not served");
  }
  return parsed(type);
}

/** The values in canonical form, or why they may not stand there. */
export function checkRrset(candidate: Candidate, neighbours: Neighbours): Parsed<string[]> {
  const { type, ttl, values } = candidate;
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_TTL_SECONDS) {
    return fault(`TTL ${ttl}: expected 0 to ${MAX_TTL_SECONDS} seconds (RFC 2181 8)`);
  }
  if (values.length === 0) return fault("no values: delete the RRset instead");
  if (values.length > MAX_VALUES) return fault(`${values.length} values: at most ${MAX_VALUES}`);
  const place = faultOfPlace(candidate, neighbours);
  if (place !== undefined) return fault(place);
  const texts = new Set<string>();
  let octets = 0;
  for (const value of values) {
    const rdata = parseRdata(type, value);
    if (!rdata.ok) return rdata;
    const target = faultOfTarget(type, rdata.value, neighbours);
    if (target !== undefined) return fault(target);
    octets += RECORD_OVERHEAD_OCTETS + rdata.value.length;
    texts.add(formatRdata(type, rdata.value));
  }
  if (octets > MAX_RRSET_OCTETS) {
    return fault(`the RRset is ${octets} octets: at most ${MAX_RRSET_OCTETS} (RFC 1035 4.2.2)`);
  }
  return parsed([...texts]);
}

/** Whether an RRset may be taken away. */
export function faultOfRemoval({ zone, name, type }: Omit<Candidate, "ttl" | "values">) {
  if (name !== zone || (type !== TYPE.SOA && type !== TYPE.NS)) return undefined;
  return `the zone must have its ${typeName(type)} (RFC 1035 5.2, RFC 2181 6.1)`;
}

function faultOfPlace(candidate: Candidate, neighbours: Neighbours): string | undefined {
  const { zone, name, type, values } = candidate;
  const isSingle = type === TYPE.CNAME || type === TYPE.SOA;
  if (isSingle && values.length > 1) {
    return `${values.length} ${typeName(type)} records at one name: at most one (RFC 2181 10.1)`;
  }
  if (type === TYPE.SOA && name !== zone) {
    return `SOA at "${formatName(name)}": it stands at the zone's own name only (RFC 1035 3.3.13)`;
  }
  if (type === TYPE.NS && firstLabel(name) === "*") {
    return "NS at a wildcard has no meaning that servers agree on (RFC 4592 4.2)";
  }
  return type === TYPE.CNAME ? faultOfAlias(candidate, neighbours) : faultBesideAlias(neighbours);
}

/** CNAME is alone at its name (RFC 1034 section 3.6.2, RFC 2181 section 10.1). */
function faultOfAlias({ zone, name }: Candidate, neighbours: Neighbours): string | undefined {
  if (name === zone) return "CNAME at the zone's own name, beside SOA and NS (RFC 1912 2.4)";
  const other = neighbours.types.find((type) => type !== TYPE.CNAME);
  if (other !== undefined) {
    return `CNAME beside ${typeName(other)} data of "${formatName(name)}" (RFC 1034 3.6.2)`;
  }
  if (neighbours.hasChallenge) {
    return `CNAME beside a challenge at "${formatName(name)}" (RFC 1034 3.6.2)`;
  }
  if (neighbours.isDerived) {
    return `CNAME at "${formatName(name)}", which is a repl's name (RFC 1034 3.6.2)`;
  }
  return undefined;
}

function faultBesideAlias({ types }: Neighbours): string | undefined {
  return types.includes(TYPE.CNAME)
    ? "data beside a CNAME, which must be alone at its name (RFC 1034 3.6.2)"
    : undefined;
}

function faultOfTarget(type: number, rdata: Uint8Array, { isAlias }: Neighbours) {
  if (type === TYPE.CNAME || type === TYPE.PTR) return undefined;
  const target = targetOf(type, rdata);
  if (target === undefined || !isAlias(fold(target))) return undefined;
  return `${typeName(type)} to "${formatName(target)}", which is an alias (RFC 2181 10.3)`;
}

/** A DNS-01 value as an ACME client asks for it (RFC 8555 section 8.4). */
export function faultOfChallengeValue(value: string): string | undefined {
  if (value.length > 0 && value.length <= MAX_CHALLENGE_OCTETS && /^[\x20-\x7e]+$/.test(value)) {
    return undefined;
  }
  return `the challenge value has ${value.length} characters: expected 1 to 255 of printable ASCII`;
}
