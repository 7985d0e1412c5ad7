import { describe, expect, it } from "vitest";

import { Batch } from "./batch";

const LIMITS = { items: 3, size: 10 };

/** A write that ends when the test says so. */
class Writes {
  readonly seen: (readonly string[])[] = [];
  private end: (error?: Error) => void = () => {};

  readonly write = (items: readonly string[]): Promise<void> => {
    this.seen.push(items);
    return new Promise((resolve, reject) => {
      this.end = (error) => (error ? reject(error) : resolve());
    });
  };

  async finish(error?: Error): Promise<void> {
    this.end(error);
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("Batch", () => {
  it("writes what comes alone at once, and what comes meanwhile together, in order", async () => {
    const writes = new Writes();
    const batch = new Batch(writes.write, LIMITS);
    const done: string[] = [];
    const add = (item: string): void => void batch.add(item).then(() => done.push(item));
    add("a");
    await settled();
    add("b");
    add("c");
    await settled();
    expect(writes.seen).toEqual([["a"]]);
    await writes.finish();
    expect(done).toEqual(["a"]);
    expect(writes.seen).toEqual([["a"], ["b", "c"]]);
    await writes.finish();
    expect(done).toEqual(["a", "b", "c"]);
  });

  it("keeps to its limits, but writes an item that is larger alone", async () => {
    const writes = new Writes();
    const batch = new Batch(writes.write, LIMITS, (item) => item.length);
    for (const item of ["a", "b", "c", "d", "x".repeat(20), "6666", "7777", "88888"]) {
      void batch.add(item);
    }
    for (let n = 0; n < 5; n++) {
      await settled();
      await writes.finish();
    }
    expect(writes.seen).toEqual([
      ["a", "b", "c"],
      ["d"],
      ["x".repeat(20)],
      ["6666", "7777"],
      ["88888"],
    ]);
  });

  it("fails those of a batch that could not be written, and goes on", async () => {
    const writes = new Writes();
    const batch = new Batch(writes.write, LIMITS);
    const first = batch.add("a").catch((error: Error) => error.message);
    await settled();
    const second = batch.add("b");
    await writes.finish(new Error("no"));
    expect(await first).toBe("no");
    await writes.finish();
    await second;
    expect(writes.seen).toEqual([["a"], ["b"]]);
  });
});
