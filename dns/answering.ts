/** What the answering threads have in common: what they know, and what they make of a message. */
import type { MessagePort } from "node:worker_threads";

import { Catalog } from "./core/catalog";
import { Counters, DROP, OVER, type Over } from "./core/counters";
import { type Arrival, FastPath, NOT_MINE } from "./core/fast";
import { loggedQuery, Sampler, type Seen } from "./core/query-log";
import { RateLimiter } from "./core/rate-limit";
import { type Asker, type Outcome, respond, type Server } from "./core/respond";
import { typeAsked } from "./core/tsig";
import { Follower } from "./feed";
import { type Deliver, HandOff } from "./hand-off";
import type { FromWorker, ThreadInput, ToWorker } from "./protocol";

type Obey = (message: ToWorker) => Promise<void>;

const TRANSPORT = ["udp", "tcp", "tcp", "https"] as const;

export class Answering {
  readonly counters: Counters;
  readonly handOff = new HandOff((asked) => this.tell({ kind: "asked", asked }));
  readonly #server: Server;
  readonly #follower: Follower;
  readonly #main: MessagePort;
  /** Nothing when no query is logged. */
  readonly #logged: Sampler | undefined;
  /** The query at hand is logged, and was not plain. */
  #isLogged = false;
  readonly #fast: FastPath;
  readonly #arrival: { -readonly [key in keyof Arrival]: Arrival[key] } = {
    isUdp: true,
    address: new Uint8Array(4),
    nowMs: 0,
  };
  #nowMs = 0;

  constructor(input: ThreadInput, main: MessagePort) {
    const { catalog: options, guard, feed, counters, limits, logOneIn } = input;
    this.#logged = logOneIn > 0 ? new Sampler(logOneIn) : undefined;
    const catalog = new Catalog(options);
    this.counters = new Counters(counters);
    const limiter = guard.rateLimits && new RateLimiter(guard.rateLimits, limits);
    this.#fast = new FastPath(catalog, limiter);
    this.#server = {
      zones: catalog,
      countQuery: catalog.countQuery,
      identity: guard.identity,
      secrets: guard.secrets,
      limiter,
    };
    this.#follower = new Follower(feed, (told) => catalog.hear(told));
    catalog.onUnknownCluster = () => this.catchUp();
    this.#main = main;
  }

  tell(message: FromWorker): void {
    this.#main.postMessage(message);
  }

  /** Do what the main thread asks for, and say when it is done. */
  obey(message: ToWorker, obey: Obey): void {
    obey(message).then(
      () => this.tell({ kind: "done", id: message.id, fault: null }),
      (error: unknown) => this.tell({ kind: "done", id: message.id, fault: String(error) }),
    );
  }

  /** To be called before what follows is answered: takes what changed, and the time. */
  catchUp(): void {
    this.#follower.catchUp();
    this.#nowMs = Date.now();
  }

  /** When what follows began, if the time that it takes is counted. */
  begin(): number | undefined {
    return this.counters.isSampled() ? performance.now() : undefined;
  }

  end(begunAt: number | undefined): void {
    if (begunAt !== undefined) this.counters.took((performance.now() - begunAt) * 1000);
  }

  /** Send a signed message to the main thread, unless it is one too many. */
  give(over: Over, query: Uint8Array, address: string, deliver: () => Deliver): void {
    this.counters.query(over, typeAsked(query));
    const transport = over === OVER.UDP ? "udp" : "tcp";
    const isGiven = this.handOff.give({ transport, address, query }, deliver, this.#nowMs);
    if (isGiven) this.counters.handedOff();
    else this.counters.drop(DROP.LIMIT);
  }

  /** Told of queries that will be answered soon, before `bringNear`. */
  expect(octets: Uint8Array, start: number, end: number): void {
    this.#fast.expect(octets, start, end);
  }

  bringNear(): void {
    this.#fast.bringNear();
  }

  /**
   * Answer a plain query from `start` to `end` of `octets` into `out` from `at`, and count it. How
   * long the answer is; NOT_MINE where it is to be asked for whole.
   */
  fast(
    over: Over,
    octets: Uint8Array,
    start: number,
    end: number,
    address: Uint8Array,
    out: Uint8Array,
    at: number,
  ): number {
    this.#isLogged = this.#logged?.isNext() ?? false;
    const startedAt = this.#isLogged ? performance.now() : 0;
    const arrival = this.#arrival;
    arrival.isUdp = over === OVER.UDP;
    arrival.address = address;
    arrival.nowMs = this.#nowMs;
    const length = this.#fast.answer(octets, start, end, out, at, arrival);
    if (length === NOT_MINE) return NOT_MINE;
    const { type, rcode, verdict } = this.#fast;
    this.counters.fast(over, type, rcode, verdict);
    if (this.#isLogged) {
      const microseconds = (performance.now() - startedAt) * 1000;
      const isTruncated = verdict === "slip";
      const outcome = { length, rcode, type, isTruncated, verdict, ttlSeconds: 0 };
      // The question stays where it is, also when the answer takes the query's place.
      const query = octets.subarray(start, end);
      this.#log({ over, query, address, outcome, microseconds, isFast: true });
    }
    return length;
  }

  /** Answer a message that is not signed, and count it. */
  respond(over: Over, query: Uint8Array, address: Uint8Array, out: Uint8Array): Outcome {
    // What cannot be plain is not asked of the fast path before.
    const isLogged = over === OVER.HTTPS ? this.#logged?.isNext() : this.#isLogged;
    this.#isLogged = false;
    if (isLogged) return this.#respondAndLog(over, query, address, out);
    return this.#respond(over, query, address, out);
  }

  /** The line goes to the main thread, or nowhere when that has too many to write. */
  #log(seen: Seen): void {
    if (this.counters.mayLog()) this.tell({ kind: "logged", query: loggedQuery(seen) });
  }

  #respondAndLog(over: Over, query: Uint8Array, address: Uint8Array, out: Uint8Array): Outcome {
    const startedAt = performance.now();
    const outcome = this.#respond(over, query, address, out);
    const microseconds = (performance.now() - startedAt) * 1000;
    this.#log({ over, query, address, outcome, microseconds, isFast: false });
    return outcome;
  }

  #respond(over: Over, query: Uint8Array, address: Uint8Array, out: Uint8Array): Outcome {
    const asker: Asker = { transport: TRANSPORT[over], address, nowMs: this.#nowMs };
    const outcome = respond(this.#server, query, asker, out);
    this.counters.outcome(over, query.length, outcome);
    return outcome;
  }
}
