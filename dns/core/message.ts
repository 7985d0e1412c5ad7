/**
 * Whole messages, read into records: what signed requests, updates and answers to us need. Queries
 * take the shorter way of `wire.ts`.
 */
import { TYPE } from "./codes";
import { fold, MAX_LABEL_OCTETS, MAX_NAME_OCTETS, type Name, nameOctets } from "./names";
import { type Header, HEADER_OCTETS, readHeader } from "./wire";

export interface WireQuestion {
  readonly name: Name;
  readonly type: number;
  readonly class: number;
}

export interface WireRecord extends WireQuestion {
  readonly ttl: number;
  /** Without pointers, whatever stood in the message. */
  readonly data: Uint8Array;
  /** Where it begins in the message. */
  readonly start: number;
}

export interface Message {
  readonly header: Header;
  readonly questions: readonly WireQuestion[];
  readonly answers: readonly WireRecord[];
  readonly authorities: readonly WireRecord[];
  readonly additionals: readonly WireRecord[];
  /** Where the question section ends. */
  readonly questionEnd: number;
}

const u16 = (octets: Uint8Array, at: number): number => (octets[at]! << 8) | octets[at + 1]!;
const u32 = (octets: Uint8Array, at: number): number =>
  u16(octets, at) * 65536 + u16(octets, at + 2);

/** Read a message to its last octet; undefined when it is malformed or octets are left over. */
export function readMessage(octets: Uint8Array): Message | undefined {
  const header = readHeader(octets);
  if (!header) return undefined;
  const questions = readSection(octets, HEADER_OCTETS, u16(octets, 4), readQuestion);
  const answers = questions && readSection(octets, questions.end, u16(octets, 6), readRecord);
  const authorities = answers && readSection(octets, answers.end, u16(octets, 8), readRecord);
  const additionals =
    authorities && readSection(octets, authorities.end, u16(octets, 10), readRecord);
  if (!additionals || additionals.end !== octets.length) return undefined;
  return {
    header,
    questions: questions.items,
    answers: answers.items,
    authorities: authorities.items,
    additionals: additionals.items,
    questionEnd: questions.end,
  };
}

type Read<T> = { readonly item: T; readonly end: number } | undefined;

/** A count that lies ends at the first record that is not there. */
function readSection<T>(
  octets: Uint8Array,
  start: number,
  count: number,
  read: (octets: Uint8Array, at: number) => Read<T>,
): { items: T[]; end: number } | undefined {
  const items: T[] = [];
  let end = start;
  for (let index = 0; index < count; index++) {
    const found = read(octets, end);
    if (!found) return undefined;
    items.push(found.item);
    end = found.end;
  }
  return { items, end };
}

function readQuestion(octets: Uint8Array, at: number): Read<WireQuestion> {
  const name = readName(octets, at);
  if (!name || name.end + 4 > octets.length) return undefined;
  const [type, group] = [u16(octets, name.end), u16(octets, name.end + 2)];
  return { item: { name: fold(name.item), type, class: group }, end: name.end + 4 };
}

function readRecord(octets: Uint8Array, at: number): Read<WireRecord> {
  const name = readName(octets, at);
  if (!name || name.end + 10 > octets.length) return undefined;
  const start = name.end + 10;
  const end = start + u16(octets, name.end + 8);
  if (end > octets.length) return undefined;
  const type = u16(octets, name.end);
  const data = expanded(octets, type, start, end);
  if (!data) return undefined;
  const ttl = u32(octets, name.end + 4);
  const group = u16(octets, name.end + 2);
  return { item: { name: fold(name.item), type, class: group, ttl, data, start: at }, end };
}

/** The name at `at`, as it is written. Each pointer leads further back, so none leads in circles. */
export function readName(octets: Uint8Array, at: number): Read<string> {
  let name = "";
  let end: number | undefined;
  let bound = at;
  for (let here = at; ;) {
    const length = octets[here];
    if (length === undefined) return undefined;
    if (length >= 0xc0) {
      if (here + 2 > octets.length) return undefined;
      end ??= here + 2;
      const target = u16(octets, here) & 0x3fff;
      if (target >= bound) return undefined;
      bound = target;
      here = target;
      continue;
    }
    const next = here + 1 + length;
    if (length > MAX_LABEL_OCTETS || next > octets.length) return undefined;
    if (name.length + 1 + length > MAX_NAME_OCTETS) return undefined;
    for (; here < next; here++) name += String.fromCharCode(octets[here]!);
    if (length === 0) return { item: name, end: end ?? next };
  }
}

/** Octets in front of the names, and how many names, of the types that may have pointers. */
const NAMES: Readonly<Record<number, { skip: number; names: number }>> = {
  [TYPE.NS]: { skip: 0, names: 1 },
  [TYPE.CNAME]: { skip: 0, names: 1 },
  [TYPE.PTR]: { skip: 0, names: 1 },
  [TYPE.MX]: { skip: 2, names: 1 },
  [TYPE.SRV]: { skip: 6, names: 1 },
  [TYPE.SOA]: { skip: 0, names: 2 },
};

function expanded(
  octets: Uint8Array,
  type: number,
  start: number,
  end: number,
): Uint8Array | undefined {
  const layout = NAMES[type];
  // An update may delete an RRset of any type: then there is no data.
  if (!layout || start === end) return octets.slice(start, end);
  const parts: Uint8Array[] = [octets.subarray(start, start + layout.skip)];
  let at = start + layout.skip;
  for (let count = 0; count < layout.names; count++) {
    const name = readName(octets, at);
    if (!name || name.end > end) return undefined;
    parts.push(nameOctets(name.item));
    at = name.end;
  }
  parts.push(octets.subarray(at, end));
  return joinOctets(parts);
}

export function joinOctets(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
