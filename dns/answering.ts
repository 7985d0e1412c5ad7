/** What the answering threads have in common: what they know, and what they make of a message. */
import type { MessagePort } from "node:worker_threads";

import { Catalog } from "./core/catalog";
import { Counters, DROP, OVER, type Over } from "./core/counters";
import { RateLimiter } from "./core/rate-limit";
import { type Asker, type Outcome, respond, type Server } from "./core/respond";
import { isSigned, typeAsked } from "./core/tsig";
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

  constructor({ catalog: options, guard, feed, counters }: ThreadInput, main: MessagePort) {
    const catalog = new Catalog(options);
    this.counters = new Counters(counters);
    this.#server = {
      zones: catalog,
      identity: guard.identity,
      secrets: guard.secrets,
      limiter: guard.rateLimits && new RateLimiter(guard.rateLimits),
    };
    this.#follower = new Follower(feed, (batch) => {
      try {
        catalog.apply(batch);
      } catch {
        // The main thread could not read the same change, and has said so. The others count.
      }
    });
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

  /** To be called before what follows is answered. */
  catchUp(): void {
    this.#follower.catchUp();
  }

  /** Whether a signed message is on its way to the main thread, or was one too many. */
  isHandedOff(over: Over, query: Uint8Array, address: string, deliver: () => Deliver): boolean {
    if (!isSigned(query)) return false;
    this.counters.query(over, typeAsked(query));
    const transport = over === OVER.UDP ? "udp" : "tcp";
    if (this.handOff.give({ transport, address, query }, deliver, Date.now()))
      this.counters.handedOff();
    else this.counters.drop(DROP.LIMIT);
    return true;
  }

  /** Answer a message that is not signed, and count it. */
  respond(over: Over, query: Uint8Array, address: Uint8Array, out: Uint8Array): Outcome {
    const { counters } = this;
    const startedAt = counters.isSampled() ? performance.now() : undefined;
    const asker: Asker = { transport: TRANSPORT[over], address, nowMs: Date.now() };
    const outcome = respond(this.#server, query, asker, out);
    counters.outcome(over, query.length, outcome);
    if (startedAt !== undefined) counters.took((performance.now() - startedAt) * 1000);
    return outcome;
  }
}
