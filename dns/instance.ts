/** What this process knows and answers: memory in the main thread, and the threads it feeds. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

import log from "encore.dev/log";

import { startWorker } from "../shared/worker";
import type { Batch, Catalog, CatalogOptions } from "./core/catalog";
import type { HashKey } from "./core/half-siphash";
import { Memory } from "./core/memory";
import { EventCounts } from "./core/metrics";
import type { Snapshot } from "./core/snapshot";
import { guard } from "./guard";
import { Answerer, type AnswererOptions } from "./listen";
import {
  type EncryptedOptions,
  type EncryptedState,
  formatAddress,
  type Guard,
  type ListenAddress,
} from "./protocol";
import { config } from "./settings";

export interface InstanceOptions {
  readonly catalog: CatalogOptions;
  readonly guard: Guard;
  readonly encrypted: EncryptedOptions;
  readonly addresses: readonly ListenAddress[];
  readonly udp: AnswererOptions["udp"];
  /** One query in so many is logged; 0 for none. */
  readonly queryLog: number;
}

export class Instance {
  /** Of this process alone: in a container the one before it had the same pid. */
  readonly id = `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;
  readonly guard: Guard;
  readonly answerer: Answerer;
  /** Called after each batch that came into memory. */
  onChange: (batch: Batch) => void = () => undefined;
  /** Called when answers show more of the placement log than before. */
  onAnswered: () => void = () => undefined;
  /** When answers showed all of the placement log, as far as is known. */
  logLevelAt: number | undefined;
  /** Answers signed messages; nobody does before the start. */
  answerSigned: AnswererOptions["answerSigned"] | undefined;
  /** What became of transfers, updates, notifications and signatures. */
  readonly events = new EventCounts();
  workerDeaths = 0;
  #memory: Memory;
  #answeredSeq = 0;
  readonly #waiting = new Set<() => void>();

  constructor({ catalog, guard, encrypted, addresses, udp, queryLog }: InstanceOptions) {
    this.#memory = new Memory(catalog);
    this.guard = guard;
    this.answerer = new Answerer({
      catalog: { ...catalog, hashKey: undefined },
      guard,
      encrypted,
      addresses,
      udp,
      snapshot: () => this.#memory.told(),
      startWorker,
      answerSigned: (asked) => this.answerSigned?.(asked),
      onEncrypted: logEncrypted,
      logOneIn: queryLog,
      onLogged: (query) => log.info("query", { ...query }),
      onDeath: (reason) => {
        this.workerDeaths++;
        log.error("an answering thread died and is replaced", { reason });
      },
    });
  }

  get catalog(): Catalog {
    return this.#memory.catalog;
  }

  get snapshot(): Snapshot {
    return this.#memory.snapshot;
  }

  /** Sequence of the placement log that our answers show. */
  get answeredSeq(): number {
    return this.#answeredSeq;
  }

  /** Take a batch into memory; it is answered when this returns. */
  apply(batch: Batch): void {
    try {
      this.#memory.apply(batch, (told) => this.answerer.tell(told));
    } catch (error) {
      log.error(error, "cannot take a change into memory");
    }
    this.#answered(batch);
  }

  /** Another memory takes the place of what was known; it is answered when this returns. */
  replace(memory: Memory): void {
    this.#memory = memory;
    this.answerer.tell(memory.told());
    this.#answered({ changes: [], seq: memory.snapshot.seq, isWhole: true });
  }

  #answered(batch: Batch): void {
    this.onChange(batch);
    this.#answeredSeq = Math.max(this.#answeredSeq, this.snapshot.seq);
    for (const wake of this.#waiting) wake();
    this.onAnswered();
  }

  /** Resolves when answers show `seq`, or after `waitMs`. */
  async waitFor(seq: number, waitMs: number): Promise<void> {
    const deadline = performance.now() + waitMs;
    while (this.#answeredSeq < seq) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return;
      await this.#woken(leftMs);
    }
  }

  #woken(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.#waiting.add(wake);
    });
  }
}

function logEncrypted({ tls, https, fault }: EncryptedState): void {
  const addresses = { tls: tls.map(formatAddress), https: https.map(formatAddress) };
  if (fault === null) log.info("the name server answers over TLS and HTTPS", addresses);
  else log.warn("the name server does not answer over TLS and HTTPS", { ...addresses, fault });
}

let key: HashKey | undefined;

/** This process's own, so that nobody can choose names that collide. */
export function hashKey(): HashKey {
  if (!key) {
    const octets = randomBytes(8);
    key = [octets.readInt32LE(0), octets.readInt32LE(4)];
  }
  return key;
}

let created: Instance | undefined;

/** The instance of this process, made at the first use. */
export function instance(): Instance {
  const { zone, validationZone, listen, udp, workers, queryLog } = config();
  const { certificate, listenTls, listenHttps } = config();
  return (created ??= new Instance({
    catalog: { platformZone: zone, validationZone, hashKey: hashKey() },
    guard: guard(config()),
    encrypted: { certificate, tls: listenTls, https: listenHttps },
    addresses: listen,
    udp: { mode: udp, workers },
    queryLog,
  }));
}
