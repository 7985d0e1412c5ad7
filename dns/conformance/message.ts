/**
 * A second reader and writer of DNS messages, for the suite only: strict, slow, and written without
 * the name server's own, so that a mistake in one is seen by the other.
 */

export const TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
};

export const RCODES: Readonly<Record<string, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  NOTAUTH: 9,
  BADVERS: 16,
  BADCOOKIE: 23,
};

export const OPTIONS = { NSID: 3, COOKIE: 10, KEEPALIVE: 11, PADDING: 12 } as const;

const OPT = 41;

export interface Option {
  readonly code: number;
  readonly data: Buffer;
}

export interface Opt {
  readonly size: number;
  readonly extendedRcode: number;
  readonly version: number;
  readonly flags: number;
  readonly options: readonly Option[];
}

export interface Rr {
  readonly owner: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Without compression. */
  readonly rdata: Buffer;
  /** Whether a name in the data was compressed. */
  readonly hasCompressedData: boolean;
}

export interface Message {
  readonly octets: Buffer;
  readonly id: number;
  readonly qr: boolean;
  readonly opcode: number;
  readonly aa: boolean;
  readonly tc: boolean;
  readonly rd: boolean;
  readonly ra: boolean;
  /** The three bits Z, AD and CD. */
  readonly z: number;
  /** With OPT's upper bits. */
  readonly rcode: number;
  /** The question section as it stands. */
  readonly question: Buffer;
  readonly questions: number;
  readonly answers: readonly Rr[];
  readonly authorities: readonly Rr[];
  /** Without OPT. */
  readonly additionals: readonly Rr[];
  readonly opt: Opt | undefined;
}

/** Types whose data holds names that may be compressed (RFC 3597 section 4): octets before, names. */
const NAMES_IN_DATA: Readonly<Record<number, readonly [skip: number, names: number]>> = {
  2: [0, 1],
  5: [0, 1],
  6: [0, 2],
  12: [0, 1],
  15: [2, 1],
};

/** Octets with a place in them; each read past the end is a fault of the message. */
class Cursor {
  readonly octets: Buffer;
  at: number;
  /** Where names began, as pointers may say it. */
  readonly #names = new Set<number>();

  constructor(octets: Buffer, at = 0) {
    this.octets = octets;
    this.at = at;
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  take(length: number): Buffer {
    if (this.at + length > this.octets.length) throw new Error(`it ends at ${this.octets.length}`);
    this.at += length;
    return this.octets.subarray(this.at - length, this.at);
  }

  /** A name, uncompressed. Pointers lead to labels of earlier names, and nowhere else. */
  name(): { wire: Buffer; isCompressed: boolean } {
    const labels: Buffer[] = [];
    const own: number[] = [];
    let target: number | undefined;
    for (let length = -1; length !== 0;) {
      if (target === undefined) own.push(this.at);
      const from = target === undefined ? this : new Cursor(this.octets, target);
      length = from.u8();
      if (length >= 0xc0) {
        target = ((length & 0x3f) << 8) | from.u8();
        if (!this.#names.has(target)) throw new Error(`a pointer to ${target}, where no name is`);
        continue;
      }
      if (length > 63) throw new Error(`a label of type ${length >> 6}`);
      labels.push(Buffer.of(length), from.take(length));
      if (target !== undefined) target = from.at;
    }
    const wire = Buffer.concat(labels);
    if (wire.length > 255) throw new Error(`a name of ${wire.length} octets`);
    // Only now: a name that points into itself is none.
    for (const start of own) this.#names.add(start);
    return { wire, isCompressed: target !== undefined };
  }
}

/** Read a message whole; throws with the reason when it is not exactly one. */
export function decode(octets: Buffer): Message {
  const cursor = new Cursor(octets);
  const id = cursor.u16();
  const flags = cursor.u16();
  const counts = [cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16()] as const;
  for (let count = 0; count < counts[0]; count++) {
    cursor.name();
    cursor.take(4);
  }
  const question = octets.subarray(12, cursor.at);
  const section = (count: number): Rr[] => Array.from({ length: count }, () => readRr(cursor));
  const answers = section(counts[1]);
  const authorities = section(counts[2]);
  const all = section(counts[3]);
  if (cursor.at !== octets.length) throw new Error(`${octets.length - cursor.at} octets too many`);
  if ([...answers, ...authorities].some(({ type }) => type === OPT))
    throw new Error("OPT misplaced");
  const opts = all.filter(({ type }) => type === OPT);
  if (opts.length > 1) throw new Error(`${opts.length} OPT records`);
  const opt = opts[0] && readOpt(opts[0]);
  return {
    octets,
    id,
    qr: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    aa: (flags & 0x0400) !== 0,
    tc: (flags & 0x0200) !== 0,
    rd: (flags & 0x0100) !== 0,
    ra: (flags & 0x0080) !== 0,
    z: (flags >> 4) & 7,
    rcode: (flags & 0xf) | ((opt?.extendedRcode ?? 0) << 4),
    question,
    questions: counts[0],
    answers,
    authorities,
    additionals: all.filter(({ type }) => type !== OPT),
    opt,
  };
}

function readRr(cursor: Cursor): Rr {
  const owner = cursor.name();
  const type = cursor.u16();
  const klass = cursor.u16();
  const ttl = cursor.u32();
  const length = cursor.u16();
  const end = cursor.at + length;
  if (end > cursor.octets.length) throw new Error(`data of ${length} octets reach past the end`);
  const [skip, names] = NAMES_IN_DATA[type] ?? [length, 0];
  const parts = [cursor.take(Math.min(skip, length))];
  let hasCompressedData = false;
  for (let count = 0; count < names; count++) {
    const name = cursor.name();
    parts.push(name.wire);
    hasCompressedData ||= name.isCompressed;
  }
  if (cursor.at > end) throw new Error(`data of ${length} octets hold a longer name`);
  parts.push(cursor.take(end - cursor.at));
  const rdata = Buffer.concat(parts);
  return { owner: nameText(owner.wire), type, class: klass, ttl, rdata, hasCompressedData };
}

function readOpt({ owner, class: size, ttl, rdata }: Rr): Opt {
  if (owner !== ".") throw new Error(`OPT is at "${owner}"`);
  const options: Option[] = [];
  const cursor = new Cursor(rdata);
  while (cursor.at < rdata.length) {
    const code = cursor.u16();
    options.push({ code, data: cursor.take(cursor.u16()) });
  }
  const version = (ttl >>> 16) & 0xff;
  return { size, extendedRcode: ttl >>> 24, version, flags: ttl & 0xffff, options };
}

/** A wire name as text, in lower case and with a last dot; what is no letter or digit escaped. */
export function nameText(wire: Buffer): string {
  const labels: string[] = [];
  for (let at = 0; wire[at]! > 0; at += 1 + wire[at]!) {
    const label = wire.subarray(at + 1, at + 1 + wire[at]!);
    labels.push(Array.from(label, octetText).join(""));
  }
  return `${labels.join(".")}.`;
}

function octetText(octet: number): string {
  const text = String.fromCharCode(octet);
  if (/[A-Za-z0-9_*-]/.test(text)) return text.toLowerCase();
  return `\\${String(octet).padStart(3, "0")}`;
}

/** The octets of a name as text; `\DDD` is an octet, a last dot changes nothing. */
export function nameWire(text: string): Buffer {
  const parts = text.split(".").filter((label) => label !== "");
  const labels = parts.map((label) =>
    Buffer.from(
      label.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number(code))),
      "latin1",
    ),
  );
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.of(label.length), label]),
    Buffer.of(0),
  ]);
}

export interface QueryOptions {
  readonly id?: number;
  /** Header flags without the opcode; RD is set unless said otherwise. */
  readonly flags?: number;
  readonly opcode?: number;
  readonly class?: number;
  /** Adds OPT. */
  readonly edns?: Partial<Omit<Opt, "extendedRcode">>;
}

export const ID = 0x5eed;

/** A query, well-formed unless the options say otherwise. */
export function query(name: string, type: string | number, options: QueryOptions = {}): Buffer {
  const { id = ID, flags = 0x0100, opcode = 0, edns } = options;
  const code = typeof type === "number" ? type : (TYPES[type] ?? Number(type.slice(4)));
  return Buffer.concat([
    words(id, flags | (opcode << 11), 1, 0, 0, edns ? 1 : 0),
    nameWire(name),
    words(code, options.class ?? 1),
    edns ? optRecord(edns) : Buffer.alloc(0),
  ]);
}

export function optRecord(opt: Partial<Omit<Opt, "extendedRcode">>): Buffer {
  const { size = 1232, version = 0, flags = 0, options = [] } = opt;
  const data = Buffer.concat(
    options.flatMap(({ code, data: value }) => [words(code, value.length), value]),
  );
  return Buffer.concat([Buffer.of(0), words(OPT, size, version, flags, data.length), data]);
}

/** 16-bit numbers in a row. */
export function words(...values: readonly number[]): Buffer {
  const octets = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) octets.writeUInt16BE(value, 2 * index);
  return octets;
}
