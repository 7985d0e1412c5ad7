/** What a rule is: octets in, and what must be true of the octets that come out. */
import { type Message, nameText, RCODES, type Rr, TYPES } from "./message";

export type Transport = "udp" | "tcp" | "tls" | "https";

/** Why a reply is not as the rule wants it, or undefined. No reply is `undefined`. */
export type Expectation = (reply: Message | undefined) => string | undefined;

export interface Exchange {
  readonly ask: Buffer;
  readonly expect: Expectation;
  /** What is asked next, made of the reply. */
  readonly next?: (reply: Message) => Exchange;
}

/** What a connection brought. */
export interface Conversation {
  readonly replies: readonly Message[];
  /** Octets that came with the first piece of data. */
  readonly firstPiece: number;
  /** Whether the server closed before it was told to. */
  readonly hasClosed: boolean;
}

/** Octets sent over a connection of their own, piece by piece. */
export interface Stream {
  readonly pieces: readonly Buffer[];
  /** Half-closed behind the last piece. */
  readonly isEnded?: true;
  /** So many replies are waited for; without it, until the server closes. */
  readonly replies?: number;
  readonly expect: (conversation: Conversation) => string | undefined;
}

export interface Rule {
  /** RFC and section. */
  readonly rfc: string;
  readonly level: "must" | "should";
  readonly says: string;
  /** Without it, every transport; what holds over TCP holds within TLS. */
  readonly over?: readonly ("udp" | "tcp")[];
  readonly test: Exchange | Stream;
}

export const nameOf = ({ rfc, says }: Rule): string => `RFC ${rfc}: ${says}`;

type Test = Exchange | Stream;

export const must = (rfc: string, says: string, test: Test, over?: "udp" | "tcp"): Rule => {
  return { rfc, level: "must", says, test, ...(over && { over: [over] }) };
};

export const should = (rfc: string, says: string, test: Test, over?: "udp" | "tcp"): Rule => {
  return { ...must(rfc, says, test, over), level: "should" };
};

export interface Shape {
  readonly rcode?: string;
  readonly aa?: boolean;
  readonly tc?: boolean;
  /** Records as `name ttl type data`, in any order. */
  readonly answers?: readonly string[];
  readonly authorities?: readonly string[];
  /** These are among the additional records. */
  readonly additionals?: readonly string[];
  /** Anything else: the reason why not, or undefined. */
  readonly also?: (reply: Message) => string | undefined;
}

/** A reply of this shape; what is left out may be anything. */
export function replies(shape: Shape): Expectation {
  return (reply) => {
    if (!reply) return "no reply";
    return (
      differs("rcode", rcodeText(reply.rcode), shape.rcode) ??
      differs("AA", reply.aa, shape.aa) ??
      differs("TC", reply.tc, shape.tc) ??
      differs("answers", lines(reply.answers), shape.answers && sorted(shape.answers)) ??
      differs(
        "authorities",
        lines(reply.authorities),
        shape.authorities && sorted(shape.authorities),
      ) ??
      missing(lines(reply.additionals), shape.additionals ?? []) ??
      shape.also?.(reply)
    );
  };
}

/** What was asked, and a reply of this shape to it. */
export const asked = (ask: Buffer, shape: Shape): Exchange => ({ ask, expect: replies(shape) });

export const silence: Expectation = (reply) => reply && `a reply: ${rcodeText(reply.rcode)}`;

const sorted = (values: readonly string[]): string[] => [...values].sort();

const lines = (records: readonly Rr[]): string[] => sorted(records.map(recordText));

function differs(what: string, is: unknown, expected: unknown): string | undefined {
  if (expected === undefined) return undefined;
  const [one, other] = [JSON.stringify(is), JSON.stringify(expected)];
  return one === other ? undefined : `${what} ${one}: expected ${other}`;
}

function missing(is: readonly string[], expected: readonly string[]): string | undefined {
  const absent = expected.filter((record) => !is.includes(record));
  return absent.length === 0 ? undefined : `additionals ${JSON.stringify(is)} lack ${absent}`;
}

const nameOfCode = (table: Readonly<Record<string, number>>, code: number): string | undefined =>
  Object.keys(table).find((name) => table[name] === code);

export const rcodeText = (rcode: number): string => nameOfCode(RCODES, rcode) ?? `RCODE${rcode}`;

export function recordText({ owner, ttl, type, rdata }: Rr): string {
  return `${owner} ${ttl} ${nameOfCode(TYPES, type) ?? `TYPE${type}`} ${dataText(type, rdata)}`;
}

/** Data of the types that the suite's zones hold; others as RFC 3597 writes them. */
function dataText(type: number, rdata: Buffer): string {
  switch (nameOfCode(TYPES, type)) {
    case "A":
      return rdata.join(".");
    case "AAAA":
      return Array.from({ length: 8 }, (_, i) => rdata.readUInt16BE(2 * i).toString(16)).join(":");
    case "NS":
    case "CNAME":
      return nameText(rdata);
    case "MX":
      return `${rdata.readUInt16BE()} ${nameText(rdata.subarray(2))}`;
    case "SRV":
      return `${[0, 2, 4].map((at) => rdata.readUInt16BE(at)).join(" ")} ${nameText(rdata.subarray(6))}`;
    case "TXT":
      return stringsText(rdata);
    case "SOA":
      return soaText(rdata);
    default:
      return `\\# ${rdata.length} ${rdata.toString("hex")}`;
  }
}

function stringsText(rdata: Buffer): string {
  const strings: string[] = [];
  for (let at = 0; at < rdata.length; at += 1 + rdata[at]!) {
    strings.push(JSON.stringify(rdata.toString("latin1", at + 1, at + 1 + rdata[at]!)));
  }
  return strings.join(" ");
}

/** Without the serial, which is the server's own. */
function soaText(rdata: Buffer): string {
  const mname = nameText(rdata);
  const end = endOfName(rdata, 0);
  const numbers = endOfName(rdata, end);
  const times = [4, 8, 12, 16].map((at) => rdata.readUInt32BE(numbers + at));
  return `${mname} ${nameText(rdata.subarray(end))} _ ${times.join(" ")}`;
}

function endOfName(octets: Buffer, at: number): number {
  while (octets[at]! > 0) at += 1 + octets[at]!;
  return at + 1;
}
