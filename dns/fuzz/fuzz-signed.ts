/** Feeds packets to what the main thread reads of signed messages, and to the changes that they ask for. */
import { ZONES } from "../conformance/zones";
import { Challenges } from "../core/challenge";
import { RCODE, TYPE, typeCode } from "../core/codes";
import { Draft, type Row } from "../core/draft";
import { faultOfDraft } from "../core/integrity";
import { joinOctets, type Message, readMessage } from "../core/message";
import { fold, type Name, nameOctets, parseName } from "../core/names";
import { formatRdata, parseRdata } from "../core/rdata";
import { type Hmac, type Key, readTsig, sign, unsigned, verify } from "../core/tsig";
import { applyUpdate, prerequisitesFail, readUpdate } from "../core/update";
import type { Fuzzed } from "./fuzz";
import { packetsFrom, randomOf } from "./mutate";

const ZONE = "wire.test";
const NOW = 1_800_000_000;
const [CLASS_IN, CLASS_NONE, CLASS_ANY] = [1, 254, 255];

/** So weak that packets pass that are changed: what comes behind the signature is to be reached. */
const hmac: Hmac = (_algorithm, _secret, data) => new Uint8Array(32).fill(data.length % 4);

function wireName(text: string): Name {
  const name = parseName(text);
  if (!name.ok) throw new Error(name.reason);
  return fold(name.value);
}

const origin = wireName(ZONE);
const key: Key = { name: wireName("fuzz.key"), algorithm: "hmac-sha256", secret: new Uint8Array() };

const u16 = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]));

/** A record of an update: `name type data`; without data, all of the type. */
function record(group: number, text: string): Uint8Array {
  const [name = "", type = "", ...words] = text.split(" ");
  const code = type === "ANY" ? TYPE.ANY : typeCode(type)!;
  const read = words.length > 0 ? parseRdata(code, words.join(" ")) : undefined;
  if (read && !read.ok) throw new Error(read.reason);
  const data = read?.value ?? new Uint8Array();
  const ttl = group === CLASS_IN ? 300 : 0;
  return joinOctets([nameOctets(wireName(name)), u16(code, group, 0, ttl, data.length), data]);
}

function update(prerequisites: readonly Uint8Array[], changes: readonly Uint8Array[]): Uint8Array {
  const head = u16(1, 0x2800, 1, prerequisites.length, changes.length, 0);
  const zone = joinOctets([nameOctets(origin), u16(TYPE.SOA, CLASS_IN)]);
  return joinOctets([head, zone, ...prerequisites, ...changes]);
}

const query = (type: number): Uint8Array =>
  joinOctets([u16(1, 0, 1, 0, 0, 0), nameOctets(origin), u16(type, CLASS_IN)]);

const ADDED = [
  "a.wire.test A 192.0.2.1",
  "a.wire.test AAAA 2001:db8::1",
  "wire.test MX 10 a.wire.test",
  "wire.test NS ns1.wire.test",
  "wire.test SOA ns1.wire.test host.wire.test 9 1 2 3 4",
  "c.wire.test CNAME a.wire.test",
  "_s._tcp.wire.test SRV 1 2 3 a.wire.test",
  't.wire.test TXT "one" "two"',
  '_acme-challenge.wire.test TXT "token"',
  'wire.test CAA 0 issue "ca.example"',
  "d.wire.test DS 1 8 2 " + "00".repeat(32),
  "_443._tcp.wire.test TLSA 3 1 1 " + "00".repeat(32),
  'n.wire.test NAPTR 1 2 "u" "x" "!a!b!" .',
  "h.wire.test HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1",
  "u.wire.test TYPE65280 \\# 4 0a000001",
];

function corpus(): Buffer[] {
  const added = ADDED.map((text) => record(CLASS_IN, text));
  const removed = ADDED.map((text) => record(CLASS_NONE, text));
  const ofType = ADDED.map((text) => record(CLASS_ANY, text.split(" ", 2).join(" ")));
  const ofName = [record(CLASS_ANY, "a.wire.test ANY"), record(CLASS_ANY, "wire.test ANY")];
  const absent = [record(CLASS_NONE, "new.wire.test ANY"), record(CLASS_NONE, "a.wire.test MX")];
  const bare = [
    query(TYPE.SOA),
    query(TYPE.AXFR),
    query(TYPE.IXFR),
    ...[...added, ...removed, ...ofType].map((each) => update([], [each])),
    update([], added),
    update([], [...ofName, ...removed]),
    update(absent, added.slice(0, 3)),
    update([ofType[0]!, added[0]!], ofName),
  ];
  return bare.map((message) => Buffer.from(sign({ message, key, now: NOW, hmac }).message));
}

const nextPacket = packetsFrom(corpus());

/** What the zone holds before each update, as far as the store would have it in canonical form. */
const ROWS: readonly Row[] = [...grouped(ZONES[ZONE] ?? [])];

function* grouped(records: readonly string[]): Generator<Row> {
  const rows = new Map<string, { name: string; type: number; ttl: number; values: string[] }>();
  for (const line of records) {
    const [name = "", ttl, type = "", ...data] = line.split(" ");
    const code = typeCode(type)!;
    const read = parseRdata(code, data.join(" "));
    if (!read.ok) continue;
    const row = rows.get(`${name} ${code}`) ?? { name, type: code, ttl: Number(ttl), values: [] };
    row.values.push(formatRdata(code, read.value));
    rows.set(`${name} ${code}`, row);
  }
  yield* rows.values();
}

/** Read mutated messages until all are, or one breaks something. */
export function fuzzSigned({ seed, packets }: { seed: number; packets: number }): Fuzzed {
  const random = randomOf(seed);
  const outcomes: Record<string, number> = {};
  for (let index = 0; index < packets; index++) {
    const packet = nextPacket(random);
    try {
      const outcome = readSigned(packet);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    } catch (error) {
      const reason = (error as Error).message;
      return { outcomes, broken: { index, packet: packet.toString("hex"), reason } };
    }
  }
  return { outcomes, broken: undefined };
}

function readSigned(packet: Uint8Array): string {
  const message = readMessage(packet);
  if (!message) return "unread";
  const tsig = readTsig(message);
  if (tsig === undefined) return "unsigned";
  if (tsig === "malformed") return tsig;
  if (!readMessage(unsigned(packet, tsig))) throw new Error("no message without its signature");
  const error = verify({ octets: packet, tsig, key, now: NOW, hmac });
  if (error !== 0) return `signature ${error}`;
  return message.header.opcode === 5 ? `update ${changed(message)}` : "query";
}

const nothing = (): boolean => false;
const AROUND = { hasChallenge: nothing, isDerived: nothing, isAlias: nothing, isApp: nothing };

/** Carries the update out; the response code. What would be written must be fit to be read again. */
function changed(message: Message): number {
  const update = readUpdate(message);
  if (typeof update === "number") return update;
  const draft = new Draft(update.zone, update.zone === origin ? ROWS : []);
  const challenges = new Challenges([]);
  const failed = prerequisitesFail(update, {
    types: (name) => draft.types(name),
    values: (name, type) => draft.get(name, type)?.values ?? [],
  });
  if (failed !== RCODE.NOERROR) return failed;
  const rcode = applyUpdate({ draft, challenges }, update);
  if (rcode !== RCODE.NOERROR || challenges.fault() !== undefined) return rcode;
  if (faultOfDraft(draft, AROUND) !== undefined) return RCODE.REFUSED;
  for (const { name, type, values } of draft.changes()) {
    if (!parseName(name).ok) throw new Error(`the name "${name}" cannot be read again`);
    for (const value of values) checkAgain(type, value);
  }
  for (const type of update.zone === origin ? [TYPE.SOA, TYPE.NS] : []) {
    if (!draft.get(origin, type)) throw new Error("the zone lost its SOA or NS");
  }
  return rcode;
}

function checkAgain(type: number, value: string): void {
  const read = parseRdata(type, value);
  if (!read.ok) throw new Error(`the value ${value} cannot be read again: ${read.reason}`);
  const again = formatRdata(type, read.value);
  const isSoa = type === TYPE.SOA;
  if (again !== value && !isSoa) throw new Error(`${value} becomes ${again}`);
}
