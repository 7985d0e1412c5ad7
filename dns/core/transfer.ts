/** Zone transfers out (RFC 5936): all of a zone in a row of messages, its SOA first and last. */
import { TYPE } from "./codes";
import type { Name } from "./names";
import { FLAG, type Question, Writer } from "./wire";
import type { NamedNode, RRset, ZoneView } from "./zone";

/** Names can only be pointed to in the first 16 KiB of a message (RFC 1035 section 4.1.4). */
const MESSAGE_OCTETS = 16_384;
const NO_RECORDS: readonly NamedNode[] = [];

export interface Transfer {
  /** The octets that asked, without their signature. */
  readonly query: Uint8Array;
  readonly question: Question;
  readonly zone: ZoneView;
}

/** The zone as it is at the call. `reserve` octets of each message stay free for a signature. */
export function transferOf({ query, question, zone }: Transfer, reserve: number) {
  return messages({ query, question, soa: zone.soa, origin: zone.origin }, zone.nodes(), reserve);
}

/** Only the SOA: who asks has it all already, or should ask over TCP (RFC 1995 sections 2 and 4). */
export function currentSoa({ query, question, zone }: Transfer, reserve: number): Uint8Array {
  const { soa, origin } = zone;
  const [only] = messages({ query, question, soa, origin, isShort: true }, NO_RECORDS, reserve);
  return only!;
}

interface Stream {
  readonly query: Uint8Array;
  readonly question: Question;
  readonly soa: RRset;
  readonly origin: Name;
  readonly isShort?: boolean;
}

function* messages(stream: Stream, nodes: Iterable<NamedNode>, reserve: number) {
  const { query, question, soa, origin, isShort } = stream;
  const limit = MESSAGE_OCTETS - reserve;
  const out = new Uint8Array(limit);
  let writer = new Writer(out, limit, query, question);
  let count = 0;
  const finished = (): Uint8Array => {
    writer.flags(FLAG.QR | FLAG.AA | (((query[2]! << 8) | query[3]!) & FLAG.RD));
    writer.addCount(1, count);
    return out.slice(0, writer.length);
  };
  for (const record of records(origin, soa, nodes, isShort ?? false)) {
    if (!writer.record(record)) {
      yield finished();
      writer = new Writer(out, limit, query);
      count = 0;
      // Data is bounded so that one record always fits.
      writer.record(record);
    }
    count++;
  }
  yield finished();
}

function* records(origin: Name, soa: RRset, nodes: Iterable<NamedNode>, isShort: boolean) {
  const { ttl } = soa;
  const border = { owner: origin, type: TYPE.SOA, ttl, rdata: soa.rdatas[0]! };
  yield border;
  if (isShort) return;
  for (const { name, node } of nodes) {
    for (const rrset of node.values()) {
      if (rrset.type === TYPE.SOA) continue;
      for (const rdata of rrset.rdatas) {
        yield { owner: name, type: rrset.type, ttl: rrset.ttl, rdata };
      }
    }
  }
  yield border;
}
