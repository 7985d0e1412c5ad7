/**
 * Messages on the wire (RFC 1035 section 4.1, RFC 6891): a reader that touches each octet of a
 * query once, and a writer that compresses names and never grows past its limit.
 */
import { CLASS, OPTION, TYPE } from "./codes";
import { isCookieLength } from "./cookies";
import {
  foldOctet,
  isWithin,
  MAX_LABEL_OCTETS,
  MAX_NAME_OCTETS,
  type Name,
  nameAt,
  parentOf,
} from "./names";

export const HEADER_OCTETS = 12;

/** OPT without options: root owner, type, class, TTL, length (RFC 6891 section 6.1.2). */
export const OPT_OCTETS = 11;
/** An option's code and length. */
const OPTION_OCTETS = 4;

export const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100 } as const;
const OPCODE_MASK = 0x7800;
/** The only flag of OPT that an answer copies (RFC 3225). */
const DO = 0x8000;
const POINTER = 0xc000;
/** A pointer has 14 bits of offset. */
const MAX_POINTER = 0x3fff;

export interface Question {
  /** The name asked, folded. */
  readonly name: Name;
  readonly type: number;
  readonly class: number;
  /** Where the question section ends in the query; it is copied octet for octet. */
  readonly end: number;
}

export interface Edns {
  readonly version: number;
  /** The size that the asker takes over UDP, at least 512 (RFC 6891 section 6.2.3). */
  readonly size: number;
  readonly dnssecOk: boolean;
  /** The COOKIE option's data, of a length that cookies have. */
  readonly cookie: Uint8Array | undefined;
  readonly wantsNsid: boolean;
  readonly wantsKeepalive: boolean;
}

export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly opcode: number;
  readonly isResponse: boolean;
}

/** A query, as far as it could be read: no question means that it is malformed. */
export interface Query {
  readonly header: Header;
  readonly question: Question | undefined;
  readonly edns: Edns | undefined;
  /** There is no question, and none is meant: the asker wants a cookie (RFC 7873 section 5.4). */
  readonly isCookieOnly: boolean;
}

const u16 = (octets: Uint8Array, at: number): number => (octets[at]! << 8) | octets[at + 1]!;

/** The header, or undefined below twelve octets: there is nothing to answer to. */
export function readHeader(octets: Uint8Array): Header | undefined {
  if (octets.length < HEADER_OCTETS) return undefined;
  const flags = u16(octets, 2);
  const isResponse = (flags & FLAG.QR) !== 0;
  return { id: u16(octets, 0), flags, opcode: (flags & OPCODE_MASK) >> 11, isResponse };
}

/**
 * Read a query: one question, no answers, at most one OPT. Everything else is malformed: counts
 * that lie, a pointer in the question, two OPTs, octets left over. Linear in the query's length.
 */
export function readQuery(octets: Uint8Array, header: Header): Query {
  const questions = u16(octets, 4);
  const hasAnswers = u16(octets, 6) !== 0 || u16(octets, 8) !== 0;
  if (questions > 1 || hasAnswers) return unread(header); // RFC 9619
  const question = questions === 1 ? readQuestion(octets) : undefined;
  if (questions === 1 && !question) return unread(header);
  const edns = readAdditional(octets, question?.end ?? HEADER_OCTETS, u16(octets, 10));
  if (edns === "malformed") return unread(header);
  if (question) return { header, question, edns, isCookieOnly: false };
  return edns?.cookie ? { header, question, edns, isCookieOnly: true } : unread(header);
}

/** A query of which no more than its header is known. */
export const unread = (header: Header): Query => {
  return { header, question: undefined, edns: undefined, isCookieOnly: false };
};

function readQuestion(octets: Uint8Array): Question | undefined {
  let at = HEADER_OCTETS;
  let name = "";
  for (;;) {
    const length = octets[at];
    if (length === undefined || length > MAX_LABEL_OCTETS) return undefined;
    if (at - HEADER_OCTETS + 1 + length > MAX_NAME_OCTETS) return undefined;
    const end = at + 1 + length;
    if (end > octets.length) return undefined;
    for (; at < end; at++) name += String.fromCharCode(foldOctet(octets[at]!));
    if (length === 0) break;
  }
  if (at + 4 > octets.length) return undefined;
  return { name, type: u16(octets, at), class: u16(octets, at + 2), end: at + 4 };
}

/** The OPT among `count` records from `at`, which must end where the query ends. */
function readAdditional(octets: Uint8Array, at: number, count: number) {
  let edns: Edns | undefined;
  for (let record = 0; record < count; record++) {
    const fixed = skipName(octets, at);
    if (fixed === undefined || fixed + 10 > octets.length) return "malformed" as const;
    const data = fixed + 10;
    const end = data + u16(octets, fixed + 8);
    if (end > octets.length) return "malformed" as const;
    if (u16(octets, fixed) === TYPE.OPT) {
      if (edns || fixed !== at + 1) return "malformed" as const;
      edns = readOpt(octets, fixed, end);
      if (!edns) return "malformed" as const;
    }
    at = end;
  }
  return at === octets.length ? edns : ("malformed" as const);
}

/** OPT between its fixed part and `end`; undefined when its options are not whole. */
function readOpt(octets: Uint8Array, fixed: number, end: number): Edns | undefined {
  let cookie: Uint8Array | undefined;
  let wantsNsid = false;
  let wantsKeepalive = false;
  let at = fixed + 10;
  while (at < end) {
    if (at + OPTION_OCTETS > end) return undefined;
    const code = u16(octets, at);
    const data = at + OPTION_OCTETS;
    at = data + u16(octets, at + 2);
    if (code === OPTION.NSID) wantsNsid = true;
    if (code === OPTION.TCP_KEEPALIVE) wantsKeepalive = true;
    if (code !== OPTION.COOKIE) continue;
    if (!isCookieLength(at - data)) return undefined;
    cookie ??= octets.subarray(data, at); // Of several, the first counts (RFC 7873 section 5.2).
  }
  if (at !== end) return undefined;
  const size = Math.max(512, u16(octets, fixed + 2));
  const dnssecOk = (u16(octets, fixed + 6) & DO) !== 0;
  return { version: octets[fixed + 5]!, size, dnssecOk, cookie, wantsNsid, wantsKeepalive };
}

/** Where the name at `at` ends. A pointer ends it; nobody follows it, so nobody can loop. */
export function skipName(octets: Uint8Array, at: number): number | undefined {
  for (const start = at; at - start < MAX_NAME_OCTETS;) {
    const length = octets[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > MAX_LABEL_OCTETS) return undefined;
    at += 1 + length;
  }
  return undefined;
}

/** Where names are in the RDATA of the types that may be compressed (RFC 3597 section 4). */
const COMPRESSED_NAMES: Readonly<Record<number, { skip: number; names: number }>> = {
  [TYPE.NS]: { skip: 0, names: 1 },
  [TYPE.CNAME]: { skip: 0, names: 1 },
  [TYPE.PTR]: { skip: 0, names: 1 },
  [TYPE.MX]: { skip: 2, names: 1 },
  [TYPE.SOA]: { skip: 0, names: 2 },
};

/** A record to write: the owner is said by the answer, since a node may have many names. */
export interface RecordData {
  readonly owner: Name;
  readonly type: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

export interface Option {
  readonly code: number;
  readonly data: Uint8Array;
}

/** What an answer's OPT says. */
export interface Opt {
  readonly size: number;
  readonly rcode: number;
  readonly options: readonly Option[];
}

/** Octets that OPT takes with these options. */
export const optOctets = (options: readonly Option[]): number =>
  options.reduce((sum, { data }) => sum + OPTION_OCTETS + data.length, OPT_OCTETS);

/**
 * Writes one message into `octets`. Records go up to `limit`: one that does not fit is not written
 * at all, and `record()` says so. OPT comes last and may pass the limit: leave room for it.
 */
export class Writer {
  readonly #octets: Uint8Array;
  readonly #limit: number;
  readonly #question: Question | undefined;
  /** Names written behind the question, and where. Most answers have none. */
  #offsets: Map<Name, number> | undefined;
  #end: number;
  #minTtl = Infinity;

  constructor(octets: Uint8Array, limit: number, query: Uint8Array, question?: Question) {
    this.#octets = octets;
    this.#limit = Math.min(limit, octets.length);
    this.#question = question;
    this.#end = question ? question.end : HEADER_OCTETS;
    octets.set(query.subarray(0, this.#end));
    octets.fill(0, 4, HEADER_OCTETS);
    if (question) this.#set16(4, 1);
  }

  get length(): number {
    return this.#end;
  }

  /** How long all records that were written may be kept. Infinity without any. */
  get minTtl(): number {
    return this.#minTtl;
  }

  flags(flags: number): void {
    this.#set16(2, flags);
  }

  /** Count more records in a section: 1 answer, 2 authority, 3 additional. */
  addCount(section: 1 | 2 | 3, records: number): void {
    const at = 4 + 2 * section;
    this.#set16(at, u16(this.#octets, at) + records);
  }

  /** Forget all records: the message does not hold them (RFC 2181 section 9). */
  clear(): void {
    this.truncate(this.#question ? this.#question.end : HEADER_OCTETS);
    this.#octets.fill(0, 6, HEADER_OCTETS);
  }

  /** Forget what was written behind `length`, and was not counted yet. */
  truncate(length: number): void {
    this.#end = length;
    for (const [name, offset] of this.#offsets ?? []) {
      if (offset >= length) this.#offsets?.delete(name);
    }
  }

  record({ owner, type, ttl, rdata }: RecordData): boolean {
    const start = this.#end;
    if (!this.#name(owner) || !this.#fits(10)) return this.#undo(start);
    this.#put16(type);
    this.#put16(this.#question?.class === CLASS.CH ? CLASS.CH : CLASS.IN);
    this.#put16(ttl >>> 16);
    this.#put16(ttl & 0xffff);
    this.#end += 2;
    const data = this.#end;
    if (!this.#rdata(type, rdata)) return this.#undo(start);
    this.#set16(data - 2, this.#end - data);
    if (ttl < this.#minTtl) this.#minTtl = ttl;
    return true;
  }

  /** OPT: our size, the upper bits of the rcode, version 0, DO as it was asked, and options. */
  opt(edns: Edns, { size, rcode, options }: Opt): void {
    this.#octets[this.#end++] = 0;
    this.#put16(TYPE.OPT);
    this.#put16(size);
    this.#put16((rcode >> 4) << 8);
    this.#put16(edns.dnssecOk ? DO : 0);
    const length = this.#end;
    this.#end += 2;
    for (const { code, data } of options) {
      this.#put16(code);
      this.#put16(data.length);
      this.#octets.set(data, this.#end);
      this.#end += data.length;
    }
    this.#set16(length, this.#end - length - 2);
  }

  #rdata(type: number, rdata: Uint8Array): boolean {
    const layout = COMPRESSED_NAMES[type];
    if (!layout) return this.#raw(rdata);
    if (!this.#raw(rdata.subarray(0, layout.skip))) return false;
    let at = layout.skip;
    for (let count = 0; count < layout.names; count++) {
      const name = nameAt(rdata, at);
      if (name === undefined || !this.#name(name)) return false;
      at += name.length;
    }
    return this.#raw(rdata.subarray(at));
  }

  /** Write a name, ending in a pointer when its tail was written before (RFC 1035 4.1.4). */
  #name(name: string): boolean {
    for (let rest = name; rest.charCodeAt(0) !== 0; rest = parentOf(rest)) {
      const known = this.#offsetOf(rest);
      if (known !== undefined) return this.#pointer(known);
      const length = rest.charCodeAt(0);
      if (!this.#fits(1 + length)) return false;
      if (this.#end <= MAX_POINTER) (this.#offsets ??= new Map()).set(rest, this.#end);
      for (let at = 0; at <= length; at++) this.#octets[this.#end++] = rest.charCodeAt(at);
    }
    return this.#raw(ROOT_OCTETS);
  }

  /** Where a name stands already: in the question, or among what was written. */
  #offsetOf(name: Name): number | undefined {
    const asked = this.#question?.name;
    if (asked !== undefined && isWithin(asked, name)) {
      return HEADER_OCTETS + asked.length - name.length;
    }
    return this.#offsets?.get(name);
  }

  #pointer(offset: number): boolean {
    if (!this.#fits(2)) return false;
    this.#put16(POINTER | offset);
    return true;
  }

  #raw(octets: Uint8Array): boolean {
    if (!this.#fits(octets.length)) return false;
    this.#octets.set(octets, this.#end);
    this.#end += octets.length;
    return true;
  }

  #undo(start: number): false {
    this.truncate(start);
    return false;
  }

  #fits(length: number): boolean {
    return this.#end + length <= this.#limit;
  }

  #put16(value: number): void {
    this.#set16(this.#end, value);
    this.#end += 2;
  }

  #set16(at: number, value: number): void {
    this.#octets[at] = value >> 8;
    this.#octets[at + 1] = value & 0xff;
  }
}

const ROOT_OCTETS = Uint8Array.of(0);
