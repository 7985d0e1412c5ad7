/** NOTIFY (RFC 1996): a secondary is told that a zone has changed, and comes for it. */
import { CLASS, OPCODE, TYPE } from "./codes";
import { joinOctets, type Message } from "./message";
import { type Name, nameOctets } from "./names";
import { FLAG, HEADER_OCTETS, Writer } from "./wire";
import type { RRset } from "./zone";

const LIMIT_OCTETS = 512;

/** The message to send, with the SOA as a hint (section 3.7). */
export function notifyMessage(id: number, zone: Name, soa: RRset): Uint8Array {
  const header = new Uint8Array(HEADER_OCTETS);
  const view = new DataView(header.buffer);
  view.setUint16(0, id);
  view.setUint16(4, 1);
  const question = Uint8Array.of(0, TYPE.SOA, 0, CLASS.IN);
  const query = joinOctets([header, nameOctets(zone), question]);
  const asked = { name: zone, type: TYPE.SOA, class: CLASS.IN, end: query.length };
  const out = new Uint8Array(LIMIT_OCTETS);
  const writer = new Writer(out, LIMIT_OCTETS, query, asked);
  const { ttl } = soa;
  const rdata = soa.rdatas[0];
  if (rdata && writer.record({ owner: zone, type: TYPE.SOA, ttl, rdata })) writer.addCount(1, 1);
  writer.flags((OPCODE.NOTIFY << 11) | FLAG.AA);
  return out.slice(0, writer.length);
}

/** Whether a message answers the one sent under `id` about `zone`. */
export function isNotifyAnswer({ header, questions }: Message, id: number, zone: Name): boolean {
  const isAnswer = header.isResponse && header.opcode === OPCODE.NOTIFY && header.id === id;
  return isAnswer && (questions.length === 0 || questions[0]!.name === zone);
}
