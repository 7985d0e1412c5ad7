/** The main thread's side of UDP in batches: has the sockets, and a worker for each. */
import { isIPv6 } from "node:net";
import type { Worker } from "node:worker_threads";

import type { startWorker } from "../shared/worker";
import type { ListenAddress, ThreadInput, UdpInput } from "./protocol";
import type { Ask, Thread } from "./thread";
import type { Kernel } from "./udp/kernel";
import { closeSockets, openSockets, type UdpSocket } from "./udp/socket";

/** The batched worker's source, from the application's root. */
export const UDP_WORKER = "dns/udp-worker.ts";

export interface BatchedOptions {
  readonly kernel: Kernel;
  /** For each address. */
  readonly workers: number;
  readonly startWorker: typeof startWorker;
  readonly newThread: (start: Start, opening: (ask: Ask) => Promise<void>) => Thread;
}

type Start = (input: ThreadInput) => Promise<Worker>;

export class BatchedUdp {
  readonly #options: BatchedOptions;
  #sockets: readonly UdpSocket[] = [];
  #threads: readonly Thread[] = [];

  constructor(options: BatchedOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#threads.length > 0 && this.#threads.every(({ isOpen }) => isOpen);
  }

  get threads(): number {
    return this.#threads.filter(({ isOpen }) => isOpen).length;
  }

  get deaths(): number {
    return this.#threads.reduce((sum, { deaths }) => sum + deaths, 0);
  }

  /** Rejects when an address cannot be bound; then none is. */
  async open(addresses: readonly ListenAddress[]): Promise<void> {
    const { kernel, workers } = this.#options;
    try {
      for (const address of addresses) {
        const opened = openSockets(kernel, address, workers);
        this.#sockets = [...this.#sockets, ...opened];
        const threads = opened.map(({ fd }) => this.#thread(fd, isIPv6(address.host)));
        this.#threads = [...this.#threads, ...threads];
      }
      await Promise.all(this.#threads.map((thread) => thread.open()));
    } catch (error) {
      await this.close(0);
      throw error;
    }
  }

  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close(graceMs)));
    // Not before: a worker that goes on with the number may find another file behind it.
    closeSockets(this.#options.kernel, this.#sockets);
    this.#threads = [];
    this.#sockets = [];
  }

  #thread(fd: number, isV6: boolean): Thread {
    const { newThread, startWorker } = this.#options;
    const start: Start = (common) => {
      const input: UdpInput = { ...common, fd, isV6 };
      return startWorker(UDP_WORKER, input, [common.feed.port]);
    };
    return newThread(start, (ask) => ask((id) => ({ kind: "look", id })));
  }
}
