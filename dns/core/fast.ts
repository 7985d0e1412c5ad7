/**
 * The short way of the queries that are nearly all: what follows from where repls live, asked for
 * plainly. Octets in, octets out, and nothing allocated. Whatever `respond` could say otherwise is
 * {@link NOT_MINE}, and goes there; what is answered here is what `respond` answers, octet for octet.
 *
 * A name of repls is found in the table; one that is not there, nor may be among the zone's own
 * names, does not exist. Addresses are prebuilt by cluster, the SOA of negative answers by zone.
 */
import type { Catalog } from "./catalog";
import { CLASS, RCODE, TYPE } from "./codes";
import { MAX_LABEL_OCTETS, MAX_NAME_OCTETS, nameOctets } from "./names";
import { NegativeSoa } from "./negative-soa";
import { RECORD_OCTETS } from "./platform";
import type { RateLimiter, Verdict } from "./rate-limit";
import { MAX_TCP_OCTETS, MAX_UDP_OCTETS, MIN_UDP_OCTETS } from "./respond";
import { MAX_NEAR, type Table } from "./table";
import { HEADER_OCTETS, OPT_OCTETS } from "./wire";
import type { RRset } from "./zone";

export const NOT_MINE = -1;

/** `_acme-challenge`: its length and first octet, which hardly any other label has. */
const CHALLENGE_LENGTH = 15;
const UNDERSCORE = 0x5f;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
/** Of the header's third octet, and of OPT's flags. */
const QR_AND_OPCODE = 0xf8;
const QR_AND_AA = 0x84;
const TC = 0x02;
const RD = 0x01;
const DO = 0x80;
const A_OCTETS = RECORD_OCTETS + 4;
const AAAA_OCTETS = RECORD_OCTETS + 16;
const HYPHEN = 0x2d;

/** Types of which a question is none, or which are answered for a whole name or zone. */
const isSpecial = (type: number): boolean => type === TYPE.OPT || (type >= 249 && type <= 255);

/** What was found: the index of a repl, or one of these. */
const NOBODY = -1;
const EMPTY = -2;

/** Who asks, as `respond` is told. */
export interface Arrival {
  readonly isUdp: boolean;
  /** Four octets, or sixteen. */
  readonly address: Uint8Array;
  readonly nowMs: number;
}

export class FastPath {
  readonly #catalog: Catalog;
  readonly #limiter: RateLimiter | undefined;
  /** The platform zone's name, without the root's octet. */
  readonly #origin: Uint8Array;
  readonly #originHash: number;
  #soa: NegativeSoa | undefined;
  /** The name asked, folded, without the root's octet until it is counted. */
  readonly #name = new Uint8Array(MAX_NAME_OCTETS + 1);
  #nameOctets = 0;
  /** Octets of it in front of the origin, and where the last label of those begins. */
  #depth = 0;
  #last = 0;
  /** Name and owner that share a label, each behind its length. */
  readonly #parted = new Uint8Array(MAX_LABEL_OCTETS + 1);
  readonly #hashes = new Int32Array(MAX_NEAR);
  readonly #isById = new Uint8Array(MAX_NEAR);
  #expected = 0;
  /** Octets of the query up to its OPT. */
  #octets = 0;
  #hasOpt = false;
  #dnssecOk = 0;
  #size = 0;
  /** Of the last answer, for who counts. */
  rcode = 0;
  type = 0;
  verdict: Verdict = "answer";

  constructor(catalog: Catalog, limiter: RateLimiter | undefined) {
    this.#catalog = catalog;
    this.#limiter = limiter;
    const origin = nameOctets(catalog.platformOrigin);
    this.#origin = origin.subarray(0, -1);
    this.#originHash = limiter?.hash(origin, 0, origin.length) ?? 0;
  }

  /**
   * Answer the query from `start` to `end` into `out` from `at`, which may be the query's own place.
   * The answer's length; 0 when rate limiting has none sent; or {@link NOT_MINE}.
   */
  answer(
    query: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    at: number,
    arrival: Arrival,
  ): number {
    const zone = this.#catalog.platformZone;
    if (!zone || !this.#read(query, start, end) || !this.#isBelowOrigin()) return NOT_MINE;
    const { platform, ownNames } = this.#catalog;
    const { table } = platform;
    const hash = table.hash(this.#name, 0, this.#depth);
    if (ownNames.mayHaveData(hash) || this.#mayBeCut(table)) return NOT_MINE;
    const found = this.#find(table, hash);
    if (found === NOBODY && ownNames.mayExist(hash)) return NOT_MINE;
    const { type } = this;
    let records: Uint8Array = NO_RECORDS;
    if (found >= 0 && (type === TYPE.A || type === TYPE.AAAA)) {
      const known = platform.recordsOf(table.clusterOf(found), type);
      if (!known) return NOT_MINE;
      records = known;
    }
    const soa = records.length > 0 ? undefined : this.#soaOf(zone.negativeSoa);
    const octets = records.length > 0 ? records.length : (soa?.octets.length ?? Infinity);
    if (octets > this.#room(out.length - at, arrival.isUdp)) return NOT_MINE;
    this.rcode = found === NOBODY ? RCODE.NXDOMAIN : RCODE.NOERROR;
    this.verdict = this.#verdict(arrival);
    if (this.verdict === "drop") return 0;
    if (found >= 0) table.countQuery(found);
    const isSlip = this.verdict === "slip";
    const answers = isSlip ? 0 : records.length / (type === TYPE.A ? A_OCTETS : AAAA_OCTETS);
    const authorities = isSlip || !soa ? 0 : 1;
    this.#begin(query, start, out, at, answers, authorities);
    let length = this.#octets;
    if (answers > 0) length += copy(records, out, at + length);
    if (authorities > 0) length += this.#putSoa(soa!, out, at + length);
    return this.#hasOpt ? this.#putOpt(out, at, length) : length;
  }

  /**
   * Told of each of up to MAX_NEAR queries before they are answered: `bringNear` then has what they
   * ask for come from memory together, which takes hardly longer than one after the other does for one.
   */
  expect(query: Uint8Array, start: number, end: number): void {
    if (this.#expected === MAX_NEAR || !this.#read(query, start, end) || !this.#isBelowOrigin())
      return;
    const { table } = this.#catalog.platform;
    const name = this.#name;
    const first = 1 + name[0]!;
    const isById = this.#last === first && isId(name, first);
    const parted = this.#last === 0 ? this.#part() : 0;
    const hash =
      parted > 0
        ? table.hash(this.#parted, 0, parted)
        : table.hash(name, 0, isById ? first : this.#depth);
    this.#hashes[this.#expected] = hash;
    this.#isById[this.#expected++] = isById ? 1 : 0;
  }

  bringNear(): void {
    this.#catalog.platform.table.bringNear(this.#hashes, this.#isById, this.#expected);
    this.#expected = 0;
  }

  /** Read a plain query with a question in class IN, and perhaps an OPT without options. */
  #read(query: Uint8Array, start: number, end: number): boolean {
    if (end - start < HEADER_OCTETS + 5) return false;
    const counts = query[start + 4]! | query[start + 6]! | query[start + 7]! | query[start + 8]!;
    const others = query[start + 9]! | query[start + 10]!;
    const opts = query[start + 11]!;
    const isQuery = (query[start + 2]! & QR_AND_OPCODE) === 0 && query[start + 5] === 1;
    if (!isQuery || (counts | others) !== 0 || opts > 1) return false;
    const nameEnd = this.#readName(query, start + HEADER_OCTETS, end);
    if (nameEnd < 0 || nameEnd + 4 > end) return false;
    this.type = (query[nameEnd]! << 8) | query[nameEnd + 1]!;
    if (query[nameEnd + 2] !== 0 || query[nameEnd + 3] !== CLASS.IN) return false;
    this.#octets = nameEnd + 4 - start;
    this.#hasOpt = opts === 1;
    const isRead = this.#hasOpt ? this.#readOpt(query, nameEnd + 4, end) : nameEnd + 4 === end;
    return isRead && !isSpecial(this.type);
  }

  /** Fold the name into its place; where it ends in the query, or -1 when it is none. */
  #readName(query: Uint8Array, start: number, end: number): number {
    const name = this.#name;
    let at = start;
    for (;;) {
      if (at >= end) return -1;
      const length = query[at]!;
      if (length === 0) break;
      const next = at + 1 + length;
      if (length > MAX_LABEL_OCTETS || next >= end || next - start >= MAX_NAME_OCTETS) return -1;
      name[at - start] = length;
      for (at++; at < next; at++) {
        const octet = query[at]!;
        name[at - start] = octet >= UPPER_A && octet <= UPPER_Z ? octet | 0x20 : octet;
      }
    }
    this.#nameOctets = at - start;
    return at + 1;
  }

  #readOpt(query: Uint8Array, at: number, end: number): boolean {
    const isOpt = query[at] === 0 && query[at + 1] === 0 && query[at + 2] === TYPE.OPT;
    if (end - at !== OPT_OCTETS || !isOpt) return false;
    this.#size = (query[at + 3]! << 8) | query[at + 4]!;
    this.#dnssecOk = query[at + 7]! & DO;
    const hasOptions = (query[at + 9]! | query[at + 10]!) !== 0;
    return query[at + 6] === 0 && !hasOptions;
  }

  /** Whether the name lies below the zone's, and asks for no challenge. */
  #isBelowOrigin(): boolean {
    const name = this.#name;
    const origin = this.#origin;
    const depth = this.#nameOctets - origin.length;
    if (depth <= 0) return false;
    for (let at = 0; at < origin.length; at++) {
      if (name[depth + at] !== origin[at]) return false;
    }
    let last = 0;
    let next = 0;
    while (next < depth) {
      last = next;
      next += 1 + name[next]!;
    }
    this.#depth = depth;
    this.#last = last;
    return next === depth && !isChallenge(name, 0) && !isChallenge(name, last);
  }

  #mayBeCut(table: Table): boolean {
    const { ownNames } = this.#catalog;
    return ownNames.hasCuts && ownNames.mayBeCut(table.hash(this.#name, this.#last, this.#depth));
  }

  /** What `Platform.node` finds, by the hash of all labels in front of the origin. */
  #find(table: Table, hash: number): number {
    const name = this.#name;
    const depth = this.#depth;
    if (this.#last === 0) return this.#findInOne(table, hash);
    const first = 1 + name[0]!;
    if (first !== this.#last) return NOBODY;
    return isId(name, first) ? table.findId(name, 0, first) : table.findName(name, 0, depth, hash);
  }

  /** An owner, `id`, or a name and its owner in one label. */
  #findInOne(table: Table, hash: number): number {
    const name = this.#name;
    const depth = this.#depth;
    if (isId(name, 0) || table.findOwner(name, 0, depth, hash) >= 0) return EMPTY;
    const end = this.#part();
    return end === 0 ? NOBODY : table.findName(this.#parted, 0, end);
  }

  /** Part the first label into name and owner; where they end, or 0 when it is not of both. */
  #part(): number {
    const name = this.#name;
    const depth = this.#depth;
    let at = 1;
    while (at < depth - 1 && !(name[at] === HYPHEN && name[at + 1] === HYPHEN)) at++;
    const owner = depth - at - 2;
    if (at === 1 || owner <= 0) return 0;
    const parted = this.#parted;
    parted[0] = at - 1;
    for (let here = 1; here < at; here++) parted[here] = name[here]!;
    parted[at] = owner;
    for (let here = at + 2; here < depth; here++) parted[here - 1] = name[here]!;
    return depth - 1;
  }

  #soaOf(rrset: RRset): NegativeSoa | undefined {
    if (this.#soa?.rrset !== rrset) {
      this.#soa = new NegativeSoa(rrset, this.#catalog.platformOrigin);
    }
    return this.#soa.suits(this.#name, this.#last, this.#depth) ? this.#soa : undefined;
  }

  /** Octets for records, in `space` octets behind where the answer begins. */
  #room(space: number, isUdp: boolean): number {
    let limit = Math.min(space, MAX_TCP_OCTETS);
    if (isUdp && this.#hasOpt)
      limit = Math.min(limit, MAX_UDP_OCTETS, Math.max(this.#size, MIN_UDP_OCTETS));
    else if (isUdp) limit = Math.min(limit, MIN_UDP_OCTETS);
    return limit - this.#octets - (this.#hasOpt ? OPT_OCTETS : 0);
  }

  #verdict({ isUdp, address, nowMs }: Arrival): Verdict {
    const limiter = this.#limiter;
    if (!limiter || !isUdp || limiter.isExempt(address)) return "answer";
    this.#name[this.#nameOctets] = 0;
    const isMadeUp = this.rcode === RCODE.NXDOMAIN;
    const hash = isMadeUp ? this.#originHash : limiter.hash(this.#name, 0, this.#nameOctets + 1);
    return limiter.takeHashed(address, hash, this.rcode, nowMs);
  }

  /** The header, and the question as it was asked. */
  #begin(
    query: Uint8Array,
    start: number,
    out: Uint8Array,
    at: number,
    answers: number,
    authorities: number,
  ): void {
    if (out !== query || at !== start) {
      for (let index = 0; index < this.#octets; index++) out[at + index] = query[start + index]!;
    }
    const truncated = this.verdict === "slip" ? TC : 0;
    out[at + 2] = QR_AND_AA | truncated | (out[at + 2]! & RD);
    out[at + 3] = this.rcode;
    out[at + 6] = answers >> 8;
    out[at + 7] = answers & 0xff;
    out[at + 9] = authorities;
  }

  #putSoa(soa: NegativeSoa, out: Uint8Array, at: number): number {
    const { octets, pointers } = soa;
    copy(octets, out, at);
    const longer = this.#nameOctets + 1 - soa.nameOctets;
    for (let index = 0; index < pointers.length; index++) {
      const pointer = at + pointers[index]!;
      const offset = ((out[pointer]! << 8) | out[pointer + 1]!) + longer;
      out[pointer] = offset >> 8;
      out[pointer + 1] = offset & 0xff;
    }
    return octets.length;
  }

  #putOpt(out: Uint8Array, start: number, length: number): number {
    const at = start + length;
    out[at] = 0;
    out[at + 1] = 0;
    out[at + 2] = TYPE.OPT;
    out[at + 3] = MAX_UDP_OCTETS >> 8;
    out[at + 4] = MAX_UDP_OCTETS & 0xff;
    out[at + 5] = 0;
    out[at + 6] = 0;
    out[at + 7] = this.#dnssecOk;
    out[at + 8] = 0;
    out[at + 9] = 0;
    out[at + 10] = 0;
    return length + OPT_OCTETS;
  }
}

const NO_RECORDS = new Uint8Array(0);

/** Whether the label at `at` may be that of challenges. */
const isChallenge = (name: Uint8Array, at: number): boolean =>
  name[at] === CHALLENGE_LENGTH && name[at + 1] === UNDERSCORE;

/** Whether the label at `at` is `id`. */
const isId = (name: Uint8Array, at: number): boolean =>
  name[at] === 2 && name[at + 1] === 0x69 && name[at + 2] === 0x64;

function copy(octets: Uint8Array, to: Uint8Array, at: number): number {
  for (let index = 0; index < octets.length; index++) to[at + index] = octets[index]!;
  return octets.length;
}
