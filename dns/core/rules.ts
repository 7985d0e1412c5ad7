/** What may be put into a zone: the API's checks, each with the reason of the RFC. */
import { isMetaType, TYPE, typeCode, typeName } from "./codes";
import type { Records } from "./draft";
import {
  fault,
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

/** RFC 2181 section 8: the top bit of a TTL is not used. */
const MAX_TTL_SECONDS = 2 ** 31 - 1;
const MAX_VALUES = 200;
/** The whole set must fit into one message, with its question and SOA (RFC 1035 section 4.2.2). */
const MAX_RRSET_OCTETS = 60_000;
const RECORD_OVERHEAD_OCTETS = 12;
/** One string of a TXT record (RFC 1035 section 3.3). */
const MAX_CHALLENGE_OCTETS = 255;

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

/** Records of a type in canonical form, each once, or why they are none. */
export function readRecords(type: number, { ttl, values }: Records): Parsed<Records> {
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > MAX_TTL_SECONDS) {
    return fault(`TTL ${ttl}: expected 0 to ${MAX_TTL_SECONDS} seconds (RFC 2181 8)`);
  }
  if (values.length === 0) return fault("no values: delete the RRset instead");
  if (values.length > MAX_VALUES) return fault(`${values.length} values: at most ${MAX_VALUES}`);
  const texts = new Set<string>();
  let octets = 0;
  for (const value of values) {
    const rdata = parseRdata(type, value);
    if (!rdata.ok) return rdata;
    octets += RECORD_OVERHEAD_OCTETS + rdata.value.length;
    const text = formatRdata(type, rdata.value);
    texts.add(type === TYPE.SOA ? withSoaSerial(text, 0) : text);
  }
  if (octets > MAX_RRSET_OCTETS) {
    return fault(`the RRset is ${octets} octets: at most ${MAX_RRSET_OCTETS} (RFC 1035 4.2.2)`);
  }
  return parsed({ ttl, values: [...texts] });
}

/** SOA data in presentation form with another serial. The server keeps it, so it is stored as 0. */
export function withSoaSerial(soa: string, serial: number): string {
  return soa.replace(/^(\S+ \S+) \d+/, `$1 ${serial}`);
}

/** A DNS-01 value as an ACME client asks for it (RFC 8555 section 8.4). */
export function faultOfChallengeValue(value: string): string | undefined {
  if (value.length > 0 && value.length <= MAX_CHALLENGE_OCTETS && /^[\x20-\x7e]+$/.test(value)) {
    return undefined;
  }
  return `the challenge value has ${value.length} characters: expected 1 to 255 of printable ASCII`;
}
