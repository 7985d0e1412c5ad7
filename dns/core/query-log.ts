/**
 * One line for one query in so many: what was asked and what became of it. Of who asked only the
 * network is told: enough to see which resolver or flood it is, and no personal data.
 */
import { addressText } from "./address";
import { type Over, TRANSPORTS } from "./counters";
import { rcodeName } from "./metrics";
import { typeName } from "./codes";
import { formatName, nameAt } from "./names";
import type { Outcome } from "./respond";

const HEADER_OCTETS = 12;

export interface LoggedQuery {
  readonly transport: string;
  /** `192.0.2.0/24`, `2001:db8:0:1200::/56`. */
  readonly client: string;
  /** As it was asked for, in its letters; "" when it cannot be read. */
  readonly name: string;
  readonly type: string;
  /** Null when there was no answer. */
  readonly rcode: string | null;
  readonly octets: number;
  readonly microseconds: number;
  readonly path: "fast" | "complete";
  readonly isTruncated: boolean;
  /** What rate limiting made of it. */
  readonly limited: "slip" | "drop" | null;
}

export interface Seen {
  readonly over: Over;
  readonly query: Uint8Array;
  readonly address: Uint8Array;
  readonly outcome: Outcome;
  readonly microseconds: number;
  readonly isFast: boolean;
}

export function loggedQuery(seen: Seen): LoggedQuery {
  const { over, query, address, outcome, microseconds, isFast } = seen;
  const { length, rcode, type, isTruncated, verdict } = outcome;
  const name = query.length > HEADER_OCTETS ? nameAt(query, HEADER_OCTETS) : undefined;
  return {
    transport: TRANSPORTS[over],
    client: networkText(address),
    name: name === undefined ? "" : formatName(name),
    type: type === 0 ? "none" : typeName(type),
    rcode: length === 0 ? null : rcodeName(rcode),
    octets: length,
    microseconds: Math.round(microseconds),
    path: isFast ? "fast" : "complete",
    isTruncated,
    limited: verdict === "answer" ? null : verdict,
  };
}

/** The networks that rate limiting knows: a /24, or a /56 of IPv6. */
export function networkText(address: Uint8Array): string {
  const bits = address.length === 4 ? 24 : 56;
  const network = address.slice().fill(0, bits / 8);
  return `${addressText(network)}/${bits}`;
}

/** Says of each query whether it is the one in `every`. */
export class Sampler {
  readonly #every: number;
  #seen = 0;

  constructor(every: number) {
    this.#every = every;
  }

  isNext(): boolean {
    this.#seen++;
    if (this.#seen < this.#every) return false;
    this.#seen = 0;
    return true;
  }
}
