/** What the shutdown needs of the runtime's parts. */
export interface Stoppable {
  /** Health checks fail from here on. */
  announce(): void;
  /** Takes no new work and finishes what is in flight, until the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
  /** Cuts what is left and lets go of everything. */
  release(): Promise<void>;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** How the process ends: drained in time is 0, cut off at the deadline is 1. */
export class Lifecycle {
  readonly #totalMs: number;
  #stopping: Promise<number> | null = null;
  #exit: (code: number) => void = () => {};
  /** Resolves with the exit code once everything has ended. */
  readonly ended: Promise<number>;

  /** @param totalMs how long draining may take */
  constructor(totalMs: number) {
    this.#totalMs = totalMs;
    this.ended = new Promise((resolve) => {
      this.#exit = resolve;
    });
  }

  /** Ends in order on the first signal and at once on the second. */
  obeySignals(parts: Stoppable): void {
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (this.#stopping !== null) this.#exit(1);
        else void this.stop(parts);
      });
    }
  }

  /** Stops once; every caller waits for the same end. */
  stop(parts: Stoppable, failed = false): Promise<number> {
    this.#stopping ??= this.#stop(parts, failed);
    return this.#stopping;
  }

  async #stop(parts: Stoppable, failed: boolean): Promise<number> {
    const deadline = new AbortController();
    // Not AbortSignal.timeout: its timer would let the process end while work is still pending.
    const timer = setTimeout(() => deadline.abort(), this.#totalMs);
    parts.announce();
    // What failed to start has nothing to finish.
    if (!failed) await Promise.race([parts.drain(deadline.signal), aborted(deadline.signal)]);
    clearTimeout(timer);
    const code = failed || deadline.signal.aborted ? 1 : 0;
    await parts.release();
    this.#exit(code);
    return code;
  }
}

export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
