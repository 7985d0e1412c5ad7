/**
 * Query octets in, answer octets out. The one place of the name server that catches: whatever an
 * answer stumbles over, the asker gets SERVFAIL and the next query is answered.
 */
import { type Answer, answer, type OwnedRRset, type Zones } from "./answer";
import { CLASS, OPCODE, OPTION, RCODE, TYPE } from "./codes";
import { answerCookie, type CookieReply, type Secrets } from "./cookies";
import { answerIdentity, identityOctets } from "./identity";
import { type Name, ROOT } from "./names";
import type { RateLimiter, Verdict } from "./rate-limit";
import {
  type Edns,
  FLAG,
  type Option,
  optOctets,
  type Query,
  readHeader,
  readQuery,
  unread,
  Writer,
} from "./wire";

/** TLS is "tcp", since only what carries the octets differs. */
export type Transport = "udp" | "tcp" | "https";

/** What passes everywhere without fragments (RFC 9715 section 3, DNS flag day 2020). */
export const MAX_UDP_OCTETS = 1232;
/** What every asker takes without EDNS (RFC 1035 section 4.2.1). */
export const MIN_UDP_OCTETS = 512;
export const MAX_TCP_OCTETS = 65535;

/** RFC 7766 section 6.2.3 asks for some seconds; longer only keeps the table full. */
export const TCP_IDLE_MS = 15_000;
/** The unit of edns-tcp-keepalive (RFC 7828 section 3.1). */
const KEEPALIVE_UNIT_MS = 100;

/** What answers are made of. */
export interface Server {
  readonly zones: Zones;
  /** What this server is called by those who ask it; "" for nothing. */
  readonly identity: string;
  readonly secrets: Secrets;
  /** Told the name that each answer ends with. */
  readonly countQuery?: (name: Name) => void;
  /** Without it, every query over UDP is answered. */
  readonly limiter: RateLimiter | undefined;
}

/** Who asks, how, and when. */
export interface Asker {
  readonly transport: Transport;
  /** Four octets, or sixteen. */
  readonly address: Uint8Array;
  readonly nowMs: number;
}

/** What became of a query, for the counters. */
export interface Outcome {
  /** Octets of the answer in `out`; 0 when there is none to send. */
  readonly length: number;
  readonly rcode: number;
  /** What was asked for; 0 when it was no query, or its question cannot be read. */
  readonly type: number;
  readonly isTruncated: boolean;
  /** What rate limiting made of it. */
  readonly verdict: Verdict;
  /** How long the answer may be kept: 0 when it has no records. */
  readonly ttlSeconds: number;
}

const DROPPED: Outcome = {
  length: 0,
  rcode: RCODE.NOERROR,
  type: 0,
  isTruncated: false,
  verdict: "answer",
  ttlSeconds: 0,
};

/**
 * Answer `query` into `out`, which has room for the largest message of the transport. Never throws.
 * What is no query (too short, or itself an answer) gets none, so that nobody can make us loop.
 */
export function respond(server: Server, query: Uint8Array, asker: Asker, out: Uint8Array): Outcome {
  const header = readHeader(query);
  if (!header || header.isResponse) return DROPPED;
  let read: Query | undefined;
  try {
    read = readQuery(query, header);
    const cookie = cookieReply(server, read.edns, asker);
    const reply = decide(server, read);
    const verdict = verdictOn(server, reply, asker, cookie);
    if (verdict === "drop") return { ...DROPPED, type: read.question?.type ?? 0, verdict };
    if (read.question) server.countQuery?.(reply.answers.at(-1)?.owner ?? read.question.name);
    const options = isPlain(read.edns)
      ? NO_OPTIONS
      : optionsOf(server, { read, asker, cookie, verdict });
    const limit = sizeLimit(asker.transport, read.edns);
    return write({ out, query, read, limit, options, verdict }, reply);
  } catch {
    read ??= unread(header);
    const limit = sizeLimit(asker.transport, read.edns);
    const space = { out, query, read, limit, options: NO_OPTIONS, verdict: "answer" as const };
    return write(space, empty(RCODE.SERVFAIL));
  }
}

const empty = (rcode: number): Answer => {
  const sections = { answers: [], authorities: [], additionals: [] };
  return { rcode, isAuthoritative: false, ...sections, glue: 0, countedAs: ROOT };
};

function decide(server: Server, { header, question, edns, isCookieOnly }: Query): Answer {
  // Whoever signs it is answered elsewhere; nobody else may (RFC 3007 section 3).
  if (header.opcode === OPCODE.UPDATE) return empty(RCODE.REFUSED);
  if (header.opcode !== OPCODE.QUERY) return empty(RCODE.NOTIMP);
  if (isCookieOnly) return empty(RCODE.NOERROR);
  if (!question || question.type === TYPE.OPT) return empty(RCODE.FORMERR);
  if (edns && edns.version > 0) return empty(RCODE.BADVERS);
  if (question.class === CLASS.CH) {
    return answerIdentity(question, server.identity) ?? empty(RCODE.REFUSED);
  }
  return answer(server.zones, question);
}

function cookieReply(
  { secrets }: Server,
  edns: Edns | undefined,
  { address, nowMs }: Asker,
): CookieReply | undefined {
  if (!edns?.cookie || secrets.length === 0) return undefined;
  return answerCookie(secrets, edns.cookie, { address, nowSeconds: Math.floor(nowMs / 1000) });
}

/** Who comes over TCP, or shows a cookie of ours, is who they say: no stranger gets their answers. */
function verdictOn(
  { limiter }: Server,
  { countedAs, rcode }: Answer,
  { transport, address, nowMs }: Asker,
  cookie: CookieReply | undefined,
): Verdict {
  if (!limiter || transport !== "udp" || cookie?.isValid) return "answer";
  return limiter.take({ address, countedAs, rcode }, nowMs);
}

const NO_OPTIONS: readonly Option[] = [];

interface Situation {
  readonly read: Query;
  readonly asker: Asker;
  readonly cookie: CookieReply | undefined;
  readonly verdict: Verdict;
}

/** Most queries ask for nothing that needs an option. */
const isPlain = (edns: Edns | undefined): boolean =>
  !edns || !(edns.cookie || edns.wantsNsid || edns.wantsKeepalive);

/** Only what was asked for comes back, and of that only the cookie to who asks too much. */
function optionsOf({ identity }: Server, { read, asker, cookie, verdict }: Situation) {
  const edns = read.edns!;
  const wantsKeepalive = edns.wantsKeepalive && asker.transport === "tcp";
  const options: Option[] = [];
  if (cookie) options.push({ code: OPTION.COOKIE, data: cookie.cookie });
  if (verdict !== "answer") return options;
  if (edns.wantsNsid && identity !== "") {
    options.push({ code: OPTION.NSID, data: identityOctets(identity) });
  }
  if (wantsKeepalive) options.push({ code: OPTION.TCP_KEEPALIVE, data: IDLE_OCTETS });
  return options;
}

const IDLE_OCTETS = Uint8Array.of(0, TCP_IDLE_MS / KEEPALIVE_UNIT_MS);

interface Space {
  readonly out: Uint8Array;
  readonly query: Uint8Array;
  readonly read: Query;
  readonly limit: number;
  readonly options: readonly Option[];
  readonly verdict: Verdict;
}

function write({ out, query, read, limit, options, verdict }: Space, reply: Answer): Outcome {
  const { header, question, edns } = read;
  // Of a malformed query, and of one for another purpose, only the header is trusted.
  const isEchoed = header.opcode === OPCODE.QUERY && question !== undefined;
  const room = limit - (edns ? optOctets(options) : 0);
  const writer = new Writer(out, room, query, isEchoed ? question : undefined);
  const isTruncated = verdict === "slip" || !writeSections(writer, reply);
  if (edns) writer.opt(edns, { size: MAX_UDP_OCTETS, rcode: reply.rcode, options });
  if (edns) writer.addCount(3, 1);
  const copied = header.flags & (OPCODE_BITS | FLAG.RD);
  const authoritative = reply.isAuthoritative ? FLAG.AA : 0;
  const truncated = isTruncated ? FLAG.TC : 0;
  writer.flags(FLAG.QR | copied | authoritative | truncated | (reply.rcode & 0xf));
  const ttlSeconds = writer.minTtl === Infinity ? 0 : writer.minTtl;
  const { length } = writer;
  const type = isEchoed ? question.type : 0;
  return { length, rcode: reply.rcode, type, isTruncated, verdict, ttlSeconds };
}

const OPCODE_BITS = 0x7800;

function sizeLimit(transport: Transport, edns: Edns | undefined): number {
  if (transport !== "udp") return MAX_TCP_OCTETS;
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
