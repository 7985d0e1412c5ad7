/** Zone files in master format (RFC 1035 section 5): read with line and column, written canonically. */
import { TYPE, typeName } from "./codes";
import type { Row } from "./draft";
import { type Entry, type MasterFault, MasterReader, type MasterToken } from "./master-tokens";
import {
  fault,
  fold,
  formatName,
  isWithin,
  labelsOf,
  MAX_NAME_OCTETS,
  type Name,
  type Parsed,
  parsed,
  parseName,
  rebase,
  ROOT,
} from "./names";
import { parseRdata } from "./rdata";
import { readRecords, readType, withSoaSerial } from "./rules";

/** About a second of the control plane's time, in which nothing else is answered. */
export const MAX_FILE_RECORDS = 25_000;

export interface ZoneFile {
  /** Each RRset once, in the order of the file. */
  readonly rows: readonly Row[];
  /** The SOA's serial. */
  readonly serial: number;
}

export type ReadZoneFile = { readonly ok: true; readonly value: ZoneFile } | Refused;
type Refused = { readonly ok: false } & MasterFault;

interface FileRecord {
  readonly owner: Name;
  readonly type: number;
  readonly ttl: number;
  readonly value: string;
  readonly token: MasterToken;
}

/** From behind: strings before it may hold white space. */
const LAST = -1;
/** Where names stand among the fields; they may be relative, and are not known from numbers. */
const NAME_FIELDS: Readonly<Record<number, readonly number[]>> = {
  [TYPE.NS]: [0],
  [TYPE.CNAME]: [0],
  [TYPE.ALIAS]: [0],
  [TYPE.PTR]: [0],
  [TYPE.MX]: [1],
  [TYPE.SRV]: [3],
  [TYPE.NAPTR]: [LAST],
  [TYPE.SOA]: [0, 1],
  [TYPE.SVCB]: [1],
  [TYPE.HTTPS]: [1],
};
/** From which field on there are strings, which need no quotes in a file. */
const FIRST_STRING: Readonly<Record<number, number>> = {
  [TYPE.TXT]: 0,
  [TYPE.HINFO]: 0,
  [TYPE.NAPTR]: 2,
  [TYPE.CAA]: 2,
};
/** Types with parameters such as `alpn="h2"` (RFC 9460 section 2.1). */
const PARAMETERS: readonly number[] = [TYPE.SVCB, TYPE.HTTPS];
const SOA_TIMES = 3;

/** Read a whole zone. It must hold its SOA, and nothing outside `zone`. */
export function readZoneFile(zone: Name, text: string): ReadZoneFile {
  const reader = new MasterReader(text);
  const state: State = { zone, origin: zone, owner: undefined, ttl: undefined, lastTtl: undefined };
  const records: FileRecord[] = [];
  for (let entry = reader.next(); entry; entry = reader.next()) {
    if ("reason" in entry) return refused(entry);
    const read = readEntry(state, entry);
    if (read && "reason" in read) return refused(read);
    if (read) records.push(read);
    if (records.length > MAX_FILE_RECORDS) {
      return refused(at(entry.tokens[0]!, `more than ${MAX_FILE_RECORDS} records`));
    }
  }
  return gather(zone, records);
}

const refused = (found: MasterFault): Refused => {
  const { line, column, reason } = found;
  return { ok: false, line, column, reason };
};
const at = ({ line, column }: MasterToken, reason: string): MasterFault => {
  return { line, column, reason };
};

interface State {
  readonly zone: Name;
  origin: Name;
  owner: Name | undefined;
  /** Of `$TTL` (RFC 2308 section 4). */
  ttl: number | undefined;
  /** The last that was stated, where there is no `$TTL` (RFC 1035 section 5.1). */
  lastTtl: number | undefined;
}

/** Takes a directive into the state, or reads a record. */
function readEntry(state: State, entry: Entry): FileRecord | MasterFault | undefined {
  const [first] = entry.tokens;
  const isDirective = !entry.isIndented && !first!.isQuoted && first!.text.startsWith("$");
  return isDirective ? readDirective(state, entry.tokens) : readRecord(state, entry);
}

function readDirective(state: State, tokens: readonly MasterToken[]): MasterFault | undefined {
  const [directive, value, extra] = tokens;
  const name = directive!.text.toUpperCase();
  if (name === "$INCLUDE") return at(directive!, "$INCLUDE is refused: a zone is one file here");
  if (name !== "$ORIGIN" && name !== "$TTL") {
    return at(directive!, `"${directive!.text}": expected $ORIGIN, $TTL, or a record`);
  }
  if (!value || extra) return at(extra ?? directive!, `${name} has one value`);
  if (name === "$TTL") {
    const ttl = readDuration(value.text);
    if (ttl === undefined) return at(value, `"${value.text}": expected seconds, or such as 1h30m`);
    state.ttl = ttl;
    return undefined;
  }
  const origin = absolute(state, value);
  if (!origin.ok) return at(value, origin.reason);
  state.origin = fold(origin.value);
  return undefined;
}

function readRecord(state: State, { tokens, isIndented }: Entry): FileRecord | MasterFault {
  const rest = [...tokens];
  if (!isIndented) {
    const token = rest.shift()!;
    const owner = absolute(state, token);
    if (!owner.ok) return at(token, owner.reason);
    state.owner = fold(owner.value);
    if (!isWithin(state.owner, state.zone)) {
      return at(token, `"${formatName(state.owner)}" is not within "${formatName(state.zone)}"`);
    }
  }
  const head = readHead(rest, tokens.at(-1)!);
  if ("reason" in head) return head;
  if (state.owner === undefined) return at(head.token, "a record without an owner before it");
  const ttl = head.ttl ?? state.ttl ?? state.lastTtl;
  if (ttl === undefined) return at(head.token, "a record without a TTL: expected one, or $TTL");
  if (head.ttl !== undefined) state.lastTtl = head.ttl;
  const value = dataText(state, head.type, rest);
  if ("reason" in value) return value;
  const checked = parseRdata(head.type, value.text);
  if (!checked.ok) return at(rest[0] ?? head.token, checked.reason);
  return { owner: state.owner, type: head.type, ttl, value: value.text, token: head.token };
}

interface Head {
  readonly ttl: number | undefined;
  readonly type: number;
  /** The type. */
  readonly token: MasterToken;
}

/** TTL and class, either first and both optional, and the type; takes them off `rest`. */
function readHead(rest: MasterToken[], last: MasterToken): Head | MasterFault {
  let ttl: number | undefined;
  for (let hasClass = false; ;) {
    const token = rest.shift();
    if (!token) return at(last, "a record without a type");
    const text = token.text.toUpperCase();
    const duration = ttl === undefined ? readDuration(text) : undefined;
    if (duration !== undefined) {
      ttl = duration;
    } else if (!hasClass && (text === "IN" || text === "CLASS1")) {
      hasClass = true;
    } else if (["CH", "HS", "CS"].includes(text) || /^CLASS\d+$/.test(text)) {
      return at(token, `class ${text}: expected IN`);
    } else {
      const type = readType(text);
      return type.ok ? { ttl, type: type.value, token } : at(token, type.reason);
    }
  }
}

/** Seconds, or with units as BIND and NSD read them. */
function readDuration(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  if (!/^(\d{1,9}[smhdw])+$/i.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
  const parts = text.toLowerCase().matchAll(/(\d+)([smhdw])/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!]!, 0);
}

/** A name as it stands in the file: `@`, relative to the origin, or with its last dot. */
function absolute({ origin }: State, { text, isQuoted }: MasterToken): Parsed<string> {
  if (text === "@" && !isQuoted) return parsed(origin);
  const name = parseName(text);
  // A dot that is escaped belongs to its label.
  if (!name.ok || /(^|[^\\])(\\\\)*\.$/.test(text)) return name;
  const whole = name.value.slice(0, -ROOT.length) + origin;
  if (whole.length <= MAX_NAME_OCTETS) return parsed(whole);
  return fault(`"${text}" is too long below "${formatName(origin)}" (RFC 1035 2.3.4)`);
}

/** The data in the form that values have everywhere else: names whole, strings in quotes. */
function dataText(state: State, type: number, tokens: readonly MasterToken[]) {
  // `\#`, whatever the type (RFC 3597 section 5).
  if (tokens[0]?.text === "\\#") return { text: tokens.map(({ text }) => text).join(" ") };
  const parts: string[] = [];
  for (const [index, token] of tokens.entries()) {
    const isLast = index === tokens.length - 1;
    const field = fieldText(state, { type, index, isLast, token });
    if (!field.ok) return at(token, field.reason);
    const isRest = token.isGlued && token.isQuoted && PARAMETERS.includes(type);
    parts.push(isRest ? `${parts.pop()}${field.value}` : field.value);
  }
  return { text: parts.join(" ") };
}

interface FileField {
  readonly type: number;
  readonly index: number;
  readonly isLast: boolean;
  readonly token: MasterToken;
}

function fieldText(state: State, field: FileField): Parsed<string> {
  const { type, index, isLast, token } = field;
  const { text, isQuoted } = token;
  const names = NAME_FIELDS[type] ?? [];
  if (names.includes(index) || (isLast && names.includes(LAST))) {
    const name = absolute(state, token);
    return name.ok ? parsed(formatName(name.value)) : name;
  }
  if (isQuoted || index >= (FIRST_STRING[type] ?? Infinity)) return parsed(`"${text}"`);
  const isTime = type === TYPE.SOA && index >= SOA_TIMES;
  return parsed(isTime ? String(readDuration(text) ?? text) : text);
}

/** Records to RRsets, each with one TTL. */
function gather(zone: Name, records: readonly FileRecord[]): ReadZoneFile {
  const rrsets = new Map<string, FileRecord[]>();
  for (const record of records) {
    const key = `${record.type} ${record.owner}`;
    const [first] = rrsets.get(key) ?? [];
    if (first && first.ttl !== record.ttl) {
      const reason = `TTL ${record.ttl}, but the RRset began with ${first.ttl} (RFC 2181 5.2)`;
      return refused(at(record.token, reason));
    }
    if (first) rrsets.get(key)!.push(record);
    else rrsets.set(key, [record]);
  }
  const soa = rrsets.get(`${TYPE.SOA} ${zone}`);
  if (!soa) {
    const reason = `no SOA at "${formatName(zone)}": a zone has one (RFC 1035 5.2)`;
    return { ok: false, line: 1, column: 1, reason };
  }
  const rows: Row[] = [];
  for (const group of rrsets.values()) {
    const { owner, type, ttl, token } = group[0]!;
    const read = readRecords(type, { ttl, values: group.map(({ value }) => value) });
    if (!read.ok) return refused(at(token, read.reason));
    rows.push({ name: formatName(owner), type, ...read.value });
  }
  return { ok: true, value: { rows, serial: serialOfSoa(soa[0]!.value) } };
}

const serialOfSoa = (soa: string): number => Number(soa.split(" ")[2]);

/** The zone as a file: one record a line, names in canonical order (RFC 4034 section 6.1). */
export function formatZoneFile(zone: Name, { rows, serial }: ZoneFile): string {
  const sorted = rows
    .map((row) => ({ row, owner: ownerOf(row) }))
    .sort((a, b) => compareNames(a.owner, b.owner) || rank(a.row.type) - rank(b.row.type));
  const lines = sorted.flatMap(({ row, owner }) => {
    const name = owner === zone ? "@" : formatName(rebase(owner, zone, ROOT)!);
    const head = `${name}\t${row.ttl}\tIN\t${typeName(row.type)}`;
    const values = row.values.map((value) => {
      return row.type === TYPE.SOA ? withSoaSerial(value, serial) : value;
    });
    return values
      .map((value) => `${head}\t${withDots(row.type, value)}`)
      .sort((a, b) => (a < b ? -1 : 1));
  });
  return [`$ORIGIN ${formatName(zone)}.`, ...lines, ""].join("\n");
}

function ownerOf({ name: text }: Row): Name {
  const name = parseName(text);
  return name.ok ? fold(name.value) : ROOT;
}

/** SOA and NS first, as people expect. */
const rank = (type: number): number => (type === TYPE.SOA ? -2 : type === TYPE.NS ? -1 : type);

/** Canonical order: label by label from the right (RFC 4034 section 6.1). */
export function compareNames(a: Name, b: Name): number {
  const [left, right] = [labelsOf(a).reverse(), labelsOf(b).reverse()];
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    if (left[index]! !== right[index]!) return left[index]! < right[index]! ? -1 : 1;
  }
  return left.length - right.length;
}

/** Names in data get their last dot, so that the file's origin is not put behind them. */
function withDots(type: number, value: string): string {
  if (value.startsWith("\\#")) return value;
  const fields = value.split(" ");
  for (const place of NAME_FIELDS[type] ?? []) {
    const index = place === LAST ? fields.length - 1 : place;
    if (fields[index] !== ".") fields[index] += ".";
  }
  return fields.join(" ");
}
