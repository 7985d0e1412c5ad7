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
  readonly #keepAcceptingMs: number;
  #stopping: Promise<number> | null = null;
  #exit: (code: number) => void = () => {};
  /** Resolves with the exit code once everything has ended. */
  readonly ended: Promise<number>;

  /**
   * @param totalMs how long draining may take
   * @param keepAcceptingMs how long nothing ends at first, but for the health: until no more is sent
   */
  constructor(totalMs: number, keepAcceptingMs = 0) {
    this.#totalMs = totalMs;
    this.#keepAcceptingMs = keepAcceptingMs;
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
    parts.announce();
    if (!failed && this.#keepAcceptingMs > 0) await elapsed(this.#keepAcceptingMs);
    const deadline = new AbortController();
    // Not AbortSignal.timeout: its timer would let the process end while work is still pending.
    const timer = setTimeout(() => deadline.abort(), this.#totalMs);
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

/** What a cluster's grace leaves beyond our own: the load balancers need it to notice. */
export function keepAcceptingMs(env: NodeJS.ProcessEnv, totalMs: number): number {
  const seconds = Number(env["ENCORE_K8S_GRACE_TERMINATION_SECONDS"] ?? 0);
  return Number.isInteger(seconds) ? Math.max(0, seconds * 1000 - totalMs) : 0;
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
