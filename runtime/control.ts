export interface Ready {
  /** host:port. */
  readonly address: string;
}

/** How whoever loads the application into its own process follows and ends it. */
export class Control {
  #resolve: (ready: Ready) => void = () => {};
  #reject: (error: Error) => void = () => {};
  #stop: () => Promise<void> = () => Promise.resolve();
  #isWatched = false;
  readonly #ready = new Promise<Ready>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });

  constructor() {
    // A start that fails unwatched is told on stderr, not as an unhandled rejection.
    this.#ready.catch(() => {});
  }

  /** Resolves when requests are answered; rejects, in one line, when that cannot be. */
  get whenReady(): Promise<Ready> {
    this.#isWatched = true;
    return this.#ready;
  }

  /** As SIGTERM: drains and ends; resolves when everything has ended. */
  stop(): Promise<void> {
    return this.#stop();
  }

  attach(stop: () => Promise<void>): void {
    this.#stop = stop;
  }

  succeeded(ready: Ready): void {
    this.#resolve(ready);
  }

  failed(error: Error): void {
    this.#reject(error);
    if (!this.#isWatched) process.stderr.write(`${error.message}\n`);
  }
}
