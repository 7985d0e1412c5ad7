/**
 * What an answering thread counts, in memory that it shares with the main thread. Each thread has
 * one buffer and is the only one that writes there, so an increment is a plain addition, nothing is
 * allocated, and a thread that dies leaves its counts to its successor. The main thread adds up the
 * buffers of all. Doubles are exact up to 2^53: no counter ever starts again from 0.
 */
import { TYPE } from "./codes";

/** How a query came. */
export const OVER = { UDP: 0, TCP: 1, TLS: 2, HTTPS: 3 } as const;
export type Over = (typeof OVER)[keyof typeof OVER];
export const TRANSPORTS = ["udp", "tcp", "tls", "https"] as const;

/** Why there was no answer. What rate limiting left unanswered is counted by itself. */
export const DROP = { SHORT: 0, RESPONSE: 1, LIMIT: 2 } as const;
export type Drop = (typeof DROP)[keyof typeof DROP];
export const DROP_REASONS = ["short", "response", "limit"] as const;

/** Types that are counted by name. Anybody can ask for 65536 types, so the others are one. */
const COUNTED_TYPES: readonly (readonly [name: string, code: number])[] = [
  ...Object.entries(TYPE).filter(([, code]) => code !== TYPE.OPT && code !== TYPE.TSIG),
  ["NAPTR", 35],
  ["DNSKEY", 48],
  ["TLSA", 52],
];
/** Of a message whose question cannot be read, or which is no query. */
const NO_TYPE = COUNTED_TYPES.length;
const OTHER_TYPE = NO_TYPE + 1;
export const TYPE_LABELS = [...COUNTED_TYPES.map(([name]) => name), "none", "other"];
const TYPES = TYPE_LABELS.length;
/** Where a type is counted; those beyond the table are other ones. */
const TYPE_INDEX = new Uint8Array(Math.max(...COUNTED_TYPES.map(([, code]) => code)) + 1);
TYPE_INDEX.fill(OTHER_TYPE);
TYPE_INDEX[0] = NO_TYPE;
for (const [index, [, code]] of COUNTED_TYPES.entries()) TYPE_INDEX[code] = index;

/** Codes are counted by number up to BADCOOKIE (23), the last that IANA knows; then all as one. */
export const OTHER_RCODE = 24;

/** Upper bounds of the first buckets are 1, 2, 4, …; what is above the last bound is in one more. */
export const LATENCY_BOUNDS = powersOfTwo(17);
export const BATCH_BOUNDS = powersOfTwo(10);

/** Reading the clock costs as much as a simple answer: the time of one in so many is taken. */
export const SAMPLED_ONE_IN = 64;

let size = 0;
function field(values = 1): number {
  size += values;
  return size - values;
}
const QUERIES = field(TRANSPORTS.length * TYPES);
const RCODES = field(OTHER_RCODE + 1);
const DROPS = field(DROP_REASONS.length);
const TRUNCATED = field();
const SLIPPED = field();
const LIMITED = field();
const FAST = field();
const HANDED_OFF = field();
const CONNECTIONS = field();
const ACCEPTED = field();
const REFUSED = field();
const LATENCY = field(LATENCY_BOUNDS.length + 1);
const LATENCY_SUM = field();
const BATCHES = field(BATCH_BOUNDS.length + 1);
const BATCHES_SUM = field();
/** Lines of the query log: given to the main thread, written by it, and not given. */
const LOGGED = field();
const WRITTEN = field();
const UNLOGGED = field();
/** Lines that may be on their way: the main thread shall not drown in them. */
const MAX_LINES_UNDER_WAY = 256;

/** Octets of a thread's buffer. */
export const COUNTER_OCTETS = size * Float64Array.BYTES_PER_ELEMENT;

export const newCounterBuffer = (): SharedArrayBuffer => new SharedArrayBuffer(COUNTER_OCTETS);

/** What became of a message, as `respond` says it. */
export interface Counted {
  readonly type: number;
  readonly length: number;
  readonly rcode: number;
  readonly isTruncated: boolean;
  readonly verdict: "answer" | "slip" | "drop";
}

/** The side of the one thread that writes to a buffer. */
export class Counters {
  readonly #values: Float64Array;
  #tick = 0;

  /** Counts go on where the thread that had the buffer before left off; nothing is open yet. */
  constructor(buffer: SharedArrayBuffer) {
    this.#values = new Float64Array(buffer);
    this.#values[CONNECTIONS] = 0;
    // What was on its way from there comes no more.
    this.#values[LOGGED] = this.#values[WRITTEN]!;
  }

  /** A message that came; of type 0 when it is no query, or cannot be read. */
  query(over: Over, type: number): void {
    const index = type < TYPE_INDEX.length ? TYPE_INDEX[type]! : OTHER_TYPE;
    this.#add(QUERIES + over * TYPES + index, 1);
  }

  answer(rcode: number, isTruncated: boolean): void {
    this.#add(RCODES + Math.min(rcode, OTHER_RCODE), 1);
    if (isTruncated) this.#add(TRUNCATED, 1);
  }

  drop(reason: Drop): void {
    this.#add(DROPS + reason, 1);
  }

  /** Count all that became of a message of `octets` octets which came over `over`. */
  outcome(
    over: Over,
    octets: number,
    { type, length, rcode, isTruncated, verdict }: Counted,
  ): void {
    this.query(over, type);
    if (verdict === "slip") this.#add(SLIPPED, 1);
    if (verdict === "drop") this.#add(LIMITED, 1);
    else if (length === 0) this.drop(octets < HEADER_OCTETS ? DROP.SHORT : DROP.RESPONSE);
    else this.answer(rcode, isTruncated);
  }

  /** What the fast path answered, or rate limiting left unanswered there. */
  fast(over: Over, type: number, rcode: number, verdict: Counted["verdict"]): void {
    this.query(over, type);
    this.#add(FAST, 1);
    if (verdict === "drop") return this.#add(LIMITED, 1);
    if (verdict === "slip") this.#add(SLIPPED, 1);
    this.answer(rcode, verdict === "slip");
  }

  /** A signed message that went to the main thread, which counts its answer. */
  handedOff(): void {
    this.#add(HANDED_OFF, 1);
  }

  connectionOpened(): void {
    this.#add(CONNECTIONS, 1);
    this.#add(ACCEPTED, 1);
  }

  connectionClosed(): void {
    this.#add(CONNECTIONS, -1);
  }

  connectionRefused(): void {
    this.#add(REFUSED, 1);
  }

  /** Whether the time that this answer takes is to be taken, and given to `took`. */
  isSampled(): boolean {
    this.#tick = (this.#tick + 1) % SAMPLED_ONE_IN;
    return this.#tick === 0;
  }

  /** From the query's arrival in this thread to its answer's leaving. */
  took(microseconds: number): void {
    this.#add(LATENCY + bucketOf(microseconds, LATENCY_BOUNDS.length), 1);
    this.#add(LATENCY_SUM, microseconds);
  }

  /** So many messages were taken from the kernel at once. */
  batch(messages: number): void {
    this.#add(BATCHES + bucketOf(messages, BATCH_BOUNDS.length), 1);
    this.#add(BATCHES_SUM, messages);
  }

  /** Whether a line of the query log may go to the main thread; one that may not is counted. */
  mayLog(): boolean {
    const isFull = this.#values[LOGGED]! - this.#values[WRITTEN]! >= MAX_LINES_UNDER_WAY;
    this.#add(isFull ? UNLOGGED : LOGGED, 1);
    return !isFull;
  }

  #add(index: number, count: number): void {
    this.#values[index] = this.#values[index]! + count;
  }
}

const HEADER_OCTETS = 12;

/** In the main thread: a line of a thread's query log has been written. */
export function lineWritten(buffer: SharedArrayBuffer): void {
  new Float64Array(buffer)[WRITTEN]! += 1;
}

/** The first bucket whose bound 2^n is not below the value. */
function bucketOf(value: number, bounds: number): number {
  return value <= 1 ? 0 : Math.min(32 - Math.clz32(Math.ceil(value) - 1), bounds);
}

function powersOfTwo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, exponent) => 2 ** exponent);
}

/** How many values fell into each bucket, the one above the last bound included. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

export interface QueryCount {
  readonly transport: (typeof TRANSPORTS)[number];
  readonly type: string;
  readonly count: number;
}

/** What all threads counted since the process started. */
export interface Totals {
  /** Each transport and type that was seen. */
  readonly queries: readonly QueryCount[];
  /** By response code; the last is all that are not counted by number. */
  readonly rcodes: readonly number[];
  readonly drops: Readonly<Record<(typeof DROP_REASONS)[number], number>>;
  readonly truncated: number;
  /** What rate limiting truncated, and what it left unanswered. */
  readonly slipped: number;
  readonly limited: number;
  readonly fast: number;
  readonly handedOff: number;
  /** Open now; the others since the start. */
  readonly connections: number;
  readonly connectionsAccepted: number;
  readonly connectionsRefused: number;
  /** Microseconds of one answer in `SAMPLED_ONE_IN`. */
  readonly latency: Histogram;
  readonly batches: Histogram;
  /** Lines of the query log that were written, and for which there was no room. */
  readonly logged: number;
  readonly unlogged: number;
}

/** Add up what threads counted. A count that is just being written may be missed until next time. */
export function totalsOf(buffers: readonly SharedArrayBuffer[]): Totals {
  const sum = new Float64Array(size);
  for (const buffer of buffers) {
    for (const [index, value] of new Float64Array(buffer).entries()) sum[index]! += value;
  }
  const some = (at: number, count: number): number[] => [...sum.subarray(at, at + count)];
  const histogram = (at: number, bounds: readonly number[], total: number): Histogram => {
    return { bounds, counts: some(at, bounds.length + 1), sum: sum[total]! };
  };
  const queries = TRANSPORTS.flatMap((transport, over) =>
    TYPE_LABELS.map((type, index) => {
      return { transport, type, count: sum[QUERIES + over * TYPES + index]! };
    }),
  );
  const [short = 0, response = 0, limit = 0] = some(DROPS, DROP_REASONS.length);
  return {
    queries: queries.filter(({ count }) => count > 0),
    rcodes: some(RCODES, OTHER_RCODE + 1),
    drops: { short, response, limit },
    truncated: sum[TRUNCATED]!,
    slipped: sum[SLIPPED]!,
    limited: sum[LIMITED]!,
    fast: sum[FAST]!,
    handedOff: sum[HANDED_OFF]!,
    connections: sum[CONNECTIONS]!,
    connectionsAccepted: sum[ACCEPTED]!,
    connectionsRefused: sum[REFUSED]!,
    latency: histogram(LATENCY, LATENCY_BOUNDS, LATENCY_SUM),
    batches: histogram(BATCHES, BATCH_BOUNDS, BATCHES_SUM),
    logged: sum[WRITTEN]!,
    unlogged: sum[UNLOGGED]!,
  };
}

/** Messages that came over one transport, of all types. */
export function queriesOver(totals: Totals, transport: (typeof TRANSPORTS)[number]): number {
  return totals.queries
    .filter((one) => one.transport === transport)
    .reduce((sum, { count }) => sum + count, 0);
}
