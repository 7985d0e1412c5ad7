/**
 * Query octets in, answer octets out. The one place of the name server that catches: whatever an
 * answer stumbles over, the asker gets SERVFAIL and the next query is answered.
 */
import { type Answer, answer, type OwnedRRset, type Zones } from "./answer";
import { OPCODE, RCODE, TYPE } from "./codes";
import { type Edns, FLAG, OPT_OCTETS, type Query, readHeader, readQuery, Writer } from "./wire";

export type Transport = "udp" | "tcp";

/** What passes everywhere without fragments (RFC 9715 section 3, DNS flag day 2020). */
export const MAX_UDP_OCTETS = 1232;
/** What every asker takes without EDNS (RFC 1035 section 4.2.1). */
const MIN_UDP_OCTETS = 512;
export const MAX_TCP_OCTETS = 65535;

/** What became of a query, for the counters. */
export interface Outcome {
  /** Octets of the answer in `out`; 0 when there is none to send. */
  readonly length: number;
  readonly rcode: number;
  readonly isTruncated: boolean;
}

const DROPPED: Outcome = { length: 0, rcode: RCODE.NOERROR, isTruncated: false };

/**
 * Answer `query` into `out`, which has room for the largest message of the transport. Never throws.
 * What is no query (too short, or itself an answer) gets none, so that nobody can make us loop.
 */
export function respond(
  zones: Zones,
  query: Uint8Array,
  transport: Transport,
  out: Uint8Array,
): Outcome {
  const header = readHeader(query);
  if (!header || header.isResponse) return DROPPED;
  let read: Query = { header, question: undefined, edns: undefined };
  try {
    read = readQuery(query, header);
    const limit = sizeLimit(transport, read.edns);
    return write({ out, query, read, limit }, decide(zones, read));
  } catch {
    const limit = sizeLimit(transport, read.edns);
    return write({ out, query, read, limit }, empty(RCODE.SERVFAIL));
  }
}

const empty = (rcode: number): Answer => {
  const sections = { answers: [], authorities: [], additionals: [] };
  return { rcode, isAuthoritative: false, ...sections, glue: 0 };
};

function decide(zones: Zones, { header, question, edns }: Query): Answer {
  if (header.opcode !== OPCODE.QUERY) return empty(RCODE.NOTIMP);
  if (!question || question.type === TYPE.OPT) return empty(RCODE.FORMERR);
  if (edns && edns.version > 0) return empty(RCODE.BADVERS);
  return answer(zones, question);
}

interface Space {
  readonly out: Uint8Array;
  readonly query: Uint8Array;
  readonly read: Query;
  readonly limit: number;
}

function write({ out, query, read, limit }: Space, reply: Answer): Outcome {
  const { header, question, edns } = read;
  // Of a malformed query, and of one for another purpose, only the header is trusted.
  const isEchoed = header.opcode === OPCODE.QUERY && question !== undefined;
  const room = limit - (edns ? OPT_OCTETS : 0);
  const writer = new Writer(out, room, query, isEchoed ? question : undefined);
  const isTruncated = !writeSections(writer, reply);
  if (edns) writer.opt(edns, MAX_UDP_OCTETS, reply.rcode);
  if (edns) writer.addCount(3, 1);
  const copied = header.flags & (OPCODE_BITS | FLAG.RD);
  const authoritative = reply.isAuthoritative ? FLAG.AA : 0;
  const truncated = isTruncated ? FLAG.TC : 0;
  writer.flags(FLAG.QR | copied | authoritative | truncated | (reply.rcode & 0xf));
  return { length: writer.length, rcode: reply.rcode, isTruncated };
}

const OPCODE_BITS = 0x7800;

function sizeLimit(transport: Transport, edns: Edns | undefined): number {
  if (transport === "tcp") return MAX_TCP_OCTETS;
  return edns ? Math.min(edns.size, MAX_UDP_OCTETS) : MIN_UDP_OCTETS;
}

/**
 * Answers and authorities are there whole or not at all; then the message is truncated and empty
 * (RFC 2181 section 9). Additional data that does not fit is left out, unless it is glue.
 */
function writeSections(writer: Writer, reply: Answer): boolean {
  const isWhole =
    writeSection(writer, 1, reply.answers) &&
    writeSection(writer, 2, reply.authorities) &&
    (reply.glue === 0 || writeSection(writer, 3, reply.additionals.slice(0, reply.glue)));
  if (!isWhole) {
    writer.clear();
    return false;
  }
  if (reply.additionals.length === reply.glue) return true;
  for (const additional of reply.additionals.slice(reply.glue)) {
    const before = writer.length;
    if (!writeSection(writer, 3, [additional])) writer.truncate(before);
  }
  return true;
}

/** Write whole RRsets and count them; false, uncounted, when they do not fit. */
function writeSection(writer: Writer, section: 1 | 2 | 3, rrsets: readonly OwnedRRset[]): boolean {
  let records = 0;
  for (const { owner, rrset } of rrsets) {
    for (const rdata of rrset.rdatas) {
      if (!writer.record({ owner, type: rrset.type, ttl: rrset.ttl, rdata })) return false;
      records++;
    }
  }
  if (records > 0) writer.addCount(section, records);
  return true;
}
