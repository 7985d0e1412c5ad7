/** One piece of work at a time for each key; others wait in the order in which they came. */
export class KeyedLock {
  private readonly last = new Map<string, Promise<void>>();
  private readonly waiting = new Map<string, number>();

  /** Rejects with what `work` rejects with. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(key);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.last.set(key, held);
    if (before) {
      this.waiting.set(key, this.waitingFor(key) + 1);
      await before;
      this.waiting.set(key, this.waitingFor(key) - 1);
    }
    try {
      return await work();
    } finally {
      if (this.last.get(key) === held) {
        this.last.delete(key);
        this.waiting.delete(key);
      }
      release();
    }
  }

  isHeld(key: string): boolean {
    return this.last.has(key);
  }

  /** How many wait behind the one that runs. */
  waitingFor(key: string): number {
    return this.waiting.get(key) ?? 0;
  }
}
