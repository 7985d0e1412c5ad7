/**
 * Dynamic updates (RFC 2136), pure: the message into what it asks for, and that onto a draft of the
 * zone. Written to be read beside section 3; numbers of sections are in the code.
 */
import { type Challenges, challengeValue } from "./challenge";
import { CLASS, isMetaType, OPCODE, RCODE, TYPE } from "./codes";
import type { Draft } from "./draft";
import type { Message, WireRecord } from "./message";
import { isWithin, type Name } from "./names";
import { formatRdata } from "./rdata";
import { readRecords } from "./rules";
import { CLASS_ANY } from "./tsig";

const CLASS_NONE = 254;
const MAX_RECORDS = 1_000;

/** A prerequisite or a change, with its data in canonical form. */
export interface UpdateRecord {
  readonly name: Name;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Empty where the class means that there is none. */
  readonly value: string;
}

export interface Update {
  readonly zone: Name;
  readonly prerequisites: readonly UpdateRecord[];
  readonly changes: readonly UpdateRecord[];
}

/** Read an update, or the response code that it gets (sections 3.1.1, 3.2.4 and 3.4.1). */
export function readUpdate(message: Message): Update | number {
  const [zone, ...others] = message.questions;
  const isUpdate = message.header.opcode === OPCODE.UPDATE && zone && others.length === 0;
  if (!isUpdate || zone.type !== TYPE.SOA) return RCODE.FORMERR;
  if (zone.class !== CLASS.IN) return RCODE.NOTAUTH;
  if (message.answers.length + message.authorities.length > MAX_RECORDS) return RCODE.REFUSED;
  const prerequisites: UpdateRecord[] = [];
  const changes: UpdateRecord[] = [];
  for (const record of message.answers) {
    const read = readOne(zone.name, record, isWellFormedPrerequisite);
    if (typeof read === "number") return read;
    prerequisites.push(read);
  }
  for (const record of message.authorities) {
    const read = readOne(zone.name, record, isWellFormedChange);
    if (typeof read === "number") return read;
    changes.push(read);
  }
  return { zone: zone.name, prerequisites, changes };
}

function readOne(zone: Name, record: WireRecord, isWellFormed: (record: WireRecord) => boolean) {
  if (!isWithin(record.name, zone)) return RCODE.NOTZONE;
  if (!isWellFormed(record)) return RCODE.FORMERR;
  if (record.type === TYPE.ALIAS) return RCODE.REFUSED;
  const { name, type, class: group, ttl, data } = record;
  const hasData = group === CLASS.IN || (group === CLASS_NONE && data.length > 0);
  if (!hasData) return { name, type, class: group, ttl, value: "" };
  const read = readRecords(type, { ttl: 0, values: [formatRdata(type, data)] });
  return read.ok ? { name, type, class: group, ttl, value: read.value.values[0]! } : RCODE.FORMERR;
}

/** Section 3.2.4: what must hold has no TTL, and data only to be compared with. */
function isWellFormedPrerequisite({ class: group, type, ttl, data }: WireRecord): boolean {
  if (ttl !== 0) return false;
  if (group === CLASS.IN) return !isMetaType(type);
  const isType = type === TYPE.ANY || !isMetaType(type);
  return (group === CLASS_ANY || group === CLASS_NONE) && data.length === 0 && isType;
}

/** Section 3.4.1.3. */
function isWellFormedChange({ class: group, type, ttl, data }: WireRecord): boolean {
  if (group === CLASS.IN) return !isMetaType(type);
  if (ttl !== 0) return false;
  if (group === CLASS_NONE) return !isMetaType(type) && data.length > 0;
  return group === CLASS_ANY && data.length === 0 && (type === TYPE.ANY || !isMetaType(type));
}

/** What is at a name for prerequisites: the draft's records, and what follows from elsewhere. */
export interface Seen {
  types(name: Name): readonly number[];
  values(name: Name, type: number): readonly string[];
}

/** Whether all prerequisites hold (section 3.2.5): NOERROR, or the code of the first that does not. */
export function prerequisitesFail(update: Update, seen: Seen): number {
  const wanted = new Map<string, { name: Name; type: number; values: Set<string> }>();
  for (const { name, type, class: group, value } of update.prerequisites) {
    if (group === CLASS.IN) {
      const key = `${type} ${name}`;
      const entry = wanted.get(key) ?? { name, type, values: new Set<string>() };
      entry.values.add(comparable(type, value));
      wanted.set(key, entry);
      continue;
    }
    const types = seen.types(name);
    const exists = type === TYPE.ANY ? types.length > 0 : types.includes(type);
    if (group === CLASS_ANY && !exists) {
      return type === TYPE.ANY ? RCODE.NXDOMAIN : RCODE.NXRRSET;
    }
    if (group === CLASS_NONE && exists) {
      return type === TYPE.ANY ? RCODE.YXDOMAIN : RCODE.YXRRSET;
    }
  }
  for (const { name, type, values } of wanted.values()) {
    const found = seen.values(name, type).map((value) => comparable(type, value));
    const isSame = found.length === values.size && found.every((value) => values.has(value));
    if (!isSame) return RCODE.NXRRSET;
  }
  return RCODE.NOERROR;
}

/** What an update changes: the zone's records, and the DNS-01 values beside them. */
export interface Drafted {
  readonly draft: Draft;
  readonly challenges: Challenges;
}

/** Carry the changes out, in order (section 3.4.2). REFUSED when what comes out may not stand. */
export function applyUpdate({ draft, challenges }: Drafted, update: Update): number {
  for (const change of update.changes) applyOne({ draft, challenges }, change);
  const isRight = draft.changes().every((row) => {
    return row.values.length === 0 || readRecords(row.type, row).ok;
  });
  return isRight ? RCODE.NOERROR : RCODE.REFUSED;
}

const COVERS_TXT: readonly number[] = [TYPE.TXT, TYPE.ANY];

function applyOne({ draft, challenges }: Drafted, change: UpdateRecord): void {
  const { name, type, value } = change;
  const challenge = challengeValue(name, type, value);
  if (change.class === CLASS.IN) {
    if (challenge === undefined) return add(draft, change);
    if (!draft.types(name).includes(TYPE.CNAME)) challenges.put(name, challenge);
    return;
  }
  if (challenge !== undefined) challenges.remove(name, challenge);
  else if (change.class === CLASS_ANY && COVERS_TXT.includes(type)) challenges.clear(name);
  if (change.class === CLASS_NONE) removeRecord(draft, change);
  else if (type === TYPE.ANY) for (const each of draft.types(name)) removeRrset(draft, name, each);
  else removeRrset(draft, name, type);
}

/** Section 3.4.2.2: a record beside a CNAME, or a CNAME beside others, is left out in silence. */
function add(draft: Draft, { name, type, ttl, value }: UpdateRecord): void {
  const types = draft.types(name);
  const isAlias = types.includes(TYPE.CNAME);
  if (type === TYPE.CNAME ? types.length > 0 && !isAlias : isAlias) return;
  if (type === TYPE.SOA && name !== draft.origin) return;
  const isSingle = type === TYPE.CNAME || type === TYPE.SOA;
  const others = isSingle ? [] : (draft.get(name, type)?.values ?? []);
  const same = comparable(type, value);
  const kept = others.filter((other) => comparable(type, other) !== same);
  // All records of an RRset have one TTL (RFC 2181 section 5.2): that of the last one added.
  draft.set(name, type, { ttl, values: [...kept, value] });
}

/** Section 3.4.2.3: the zone keeps its SOA and its NS. */
function removeRrset(draft: Draft, name: Name, type: number): void {
  const isKept = name === draft.origin && (type === TYPE.SOA || type === TYPE.NS);
  if (!isKept) draft.set(name, type, undefined);
}

/** Section 3.4.2.4. */
function removeRecord(draft: Draft, { name, type, value }: UpdateRecord): void {
  const records = draft.get(name, type);
  if (!records || type === TYPE.SOA) return;
  const gone = comparable(type, value);
  const values = records.values.filter((other) => comparable(type, other) !== gone);
  const isLastNs = type === TYPE.NS && name === draft.origin && values.length === 0;
  if (!isLastNs) draft.set(name, type, { ttl: records.ttl, values });
}

const NAMED: readonly number[] = [TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.MX, TYPE.SRV, TYPE.SOA];

/** Names in data are the same in either case (RFC 2136 section 1.1.1). */
const comparable = (type: number, value: string): string =>
  NAMED.includes(type) ? value.toLowerCase() : value;
