import { describe, expect, it } from "vitest";

import type { LogEntry } from "./core/placement";
import { createTail, type Tail } from "./poll";

const never = new Promise<void>(() => undefined);

const entry = (seq: number): LogEntry => ({
  seq,
  kind: "created",
  replId: `r${seq}`,
  name: null,
  owner: null,
  clusterId: "east",
  fromClusterId: null,
  generation: 1,
  migrationId: null,
  cluster: null,
  hostname: null,
  present: null,
  at: "2026-01-01T00:00:00.000Z",
  traceparent: "",
});

interface TestLog {
  readonly tail: Tail;
  /** Appends an entry, and tells the tail of it. */
  write(seq: number): void;
  /** How often the log was read. */
  reads(): number;
}

function createLog(untilClosed: Promise<void> = never): TestLog {
  const entries: LogEntry[] = [];
  let reads = 0;
  const tail = createTail({
    read: async (after, limit) => {
      reads += 1;
      return entries.filter(({ seq }) => seq > after).slice(0, limit);
    },
    untilClosed,
  });
  return {
    tail,
    reads: () => reads,
    write: (seq) => {
      entries.push(entry(seq));
      tail.wake();
    },
  };
}

/** Until the reader has read once, and waits. */
async function untilRead(log: TestLog): Promise<void> {
  while (log.reads() === 0) await Promise.resolve();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("a tail", () => {
  it("answers at once with what is there, no more than the limit", async () => {
    const log = createLog();
    for (const seq of [1, 2, 3]) log.write(seq);
    const items = await log.tail.read({ after: 1, waitMs: 30_000, limit: 1 });
    expect(items).toEqual([entry(2)]);
  });

  it("answers the moment that something is written", async () => {
    const log = createLog();
    const reading = log.tail.read({ after: 0, waitMs: 30_000, limit: 10 });
    await untilRead(log);
    log.write(1);
    expect(await reading).toEqual([entry(1)]);
  });

  it("reads once for all who wait for the same", async () => {
    const log = createLog();
    const position = { after: 0, waitMs: 30_000, limit: 10 };
    const reading = [log.tail.read(position), log.tail.read(position), log.tail.read(position)];
    await untilRead(log);
    const before = log.reads();
    log.write(1);
    expect(await Promise.all(reading)).toEqual([[entry(1)], [entry(1)], [entry(1)]]);
    expect([before, log.reads()]).toEqual([1, 2]);
  });

  it("sees what was written while it read", async () => {
    const log = createLog();
    const reading = log.tail.read({ after: 0, waitMs: 30_000, limit: 10 });
    log.write(1);
    expect(await reading).toEqual([entry(1)]);
  });

  it("waits on when it was woken for nothing", async () => {
    const log = createLog();
    const reading = log.tail.read({ after: 5, waitMs: 30_000, limit: 10 });
    await untilRead(log);
    log.write(4);
    await untilRead(log);
    log.write(6);
    expect(await reading).toEqual([entry(6)]);
  });

  it("answers with nothing when the time is over", async () => {
    expect(await createLog().tail.read({ after: 0, waitMs: 5, limit: 10 })).toEqual([]);
    expect(await createLog().tail.read({ after: 0, waitMs: 0, limit: 10 })).toEqual([]);
  });

  it("answers everybody when the process ends, and refuses who comes after", async () => {
    let close = (): void => undefined;
    const log = createLog(
      new Promise((resolve) => {
        close = resolve;
      }),
    );
    const position = { after: 0, waitMs: 30_000, limit: 10 };
    const readings = [log.tail.read(position), log.tail.read(position)];
    await untilRead(log);
    close();
    expect(await Promise.all(readings)).toEqual([[], []]);
    expect(await log.tail.read(position)).toBe("closed");
  });

  it("does not keep more than a thousand waiting", async () => {
    const log = createLog();
    const position = { after: 0, waitMs: 30_000, limit: 10 };
    const readings = Array.from({ length: 1_000 }, () => log.tail.read(position));
    expect(await log.tail.read(position)).toBe("too_many");
    log.write(1);
    for (const items of await Promise.all(readings)) expect(items).toEqual([entry(1)]);
  });
});
