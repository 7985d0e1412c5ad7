interface Entry<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers what comes while the last write is under way, and writes it in one go, in order: one commit
 * for many. What comes alone is written at once.
 */
export class Batch<T> {
  private readonly waiting: Entry<T>[] = [];
  private writing = false;

  constructor(
    private readonly write: (items: readonly T[]) => Promise<void>,
    private readonly limits: { readonly items: number; readonly size: number },
    private readonly sizeOf: (item: T) => number = () => 0,
  ) {}

  /** Resolves when the item is written; rejects when its batch could not be. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (!this.writing) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.writing = true;
    // What the caller adds in the same turn goes along.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const entries = this.waiting.splice(0, this.count());
      try {
        await this.write(entries.map(({ item }) => item));
        for (const { resolve } of entries) resolve();
      } catch (error) {
        for (const { reject } of entries) reject(error);
      }
    }
    this.writing = false;
  }

  /** How many of those that wait fit into one write; at least one. */
  private count(): number {
    let size = 0;
    let count = 0;
    for (const { item } of this.waiting) {
      size += this.sizeOf(item);
      if (count === this.limits.items || (count > 0 && size > this.limits.size)) break;
      count++;
    }
    return count;
  }
}
