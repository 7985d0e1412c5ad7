import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Batch } from "./core/catalog";
import type { LogEntry } from "./core/log";
import { batchOf, LogCopy, type ReadRequest, Tail } from "./tail";

function entryOf(seq: number): LogEntry {
  return {
    seq,
    kind: "moved",
    replId: "h1",
    name: "hello",
    owner: "demo",
    clusterId: `c${seq}`,
    generation: seq,
    cluster: null,
    traceparent: "",
  };
}

/** A log that can be written to and be away; long polls are answered by writes. */
class FakeLog {
  entries: LogEntry[] = [];
  isAway = false;
  reads = 0;
  #wake: (() => void)[] = [];

  write(count: number): void {
    for (let i = 0; i < count; i++) this.entries.push(entryOf(this.entries.length + 1));
    this.wakeAll();
  }

  wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  readonly read = async ({ after, waitMs, limit }: ReadRequest): Promise<LogEntry[]> => {
    this.reads++;
    if (this.isAway) throw new Error("away");
    const find = (): LogEntry[] => this.entries.filter(({ seq }) => seq > after).slice(0, limit);
    if (find().length === 0 && waitMs > 0) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return find();
  };
}

function tailOf(log: FakeLog) {
  const seen: number[] = [];
  const states: (string | null)[] = [];
  /** How many entries were in memory each time that it was level with the log. */
  const levels: number[] = [];
  const tail = new Tail({
    read: log.read,
    position: () => seen.at(-1) ?? 0,
    onEntries: (entries) => seen.push(...entries.map(({ seq }) => seq)),
    onLevel: () => levels.push(seen.length),
    onState: (state) => states.push(state),
  });
  return { tail, seen, states, levels };
}

describe("a tail", () => {
  it("sees every entry once, in order, and says when it has caught up", async () => {
    const log = new FakeLog();
    log.write(1_200);
    const { tail, seen, levels } = tailOf(log);
    tail.start();
    await tail.caughtUp;
    expect(levels[0]).toBe(1_200);
    expect(seen).toEqual(log.entries.map(({ seq }) => seq));
    log.write(1);
    await expect.poll(() => seen.at(-1)).toBe(1_201);
    await expect.poll(() => levels.at(-1)).toBe(1_201);
    tail.stop();
    log.wakeAll();
  });

  it("reads again when the log is back, and says both once", async () => {
    const log = new FakeLog();
    log.isAway = true;
    const { tail, seen, states } = tailOf(log);
    tail.start();
    await expect.poll(() => log.reads).toBeGreaterThan(2);
    log.isAway = false;
    log.write(1);
    await expect.poll(() => seen).toEqual([1]);
    expect(states).toEqual([expect.stringContaining("away"), null]);
    tail.stop();
    log.wakeAll();
  });

  it("takes nothing that it asked for behind what memory was replaced by", async () => {
    const log = new FakeLog();
    log.write(3);
    let position = 3;
    const seen: number[] = [];
    const tail = new Tail({
      read: log.read,
      position: () => seen.at(-1) ?? position,
      onEntries: (entries) => seen.push(...entries.map(({ seq }) => seq)),
      onState: () => undefined,
    });
    tail.start();
    await expect.poll(() => log.reads).toBe(2);
    position = 1;
    log.write(1);
    await expect.poll(() => seen).toEqual([2, 3, 4]);
    tail.stop();
    log.wakeAll();
  });

  it("takes what a kick and its own read both found only once", async () => {
    const log = new FakeLog();
    const { tail, seen } = tailOf(log);
    tail.start();
    await tail.caughtUp;
    log.write(1);
    await Promise.all([tail.kick(), tail.kick()]);
    await expect.poll(() => seen).toEqual([1]);
    tail.stop();
    log.wakeAll();
  });
});

describe("events and answers", () => {
  it("in any order, doubled and lost, end in the same entries", async () => {
    const reads = fc.array(fc.constantFrom("event", "entry", "entry"), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), reads, async (scheduler, happenings) => {
        const log = new FakeLog();
        const seen: number[] = [];
        const tail = new Tail({
          // Each answer arrives when the scheduler says so, with what the log held when it was asked.
          read: async (request) => scheduler.schedule(log.read({ ...request, waitMs: 0 })),
          position: () => seen.at(-1) ?? 0,
          onEntries: (entries) => seen.push(...entries.map(({ seq }) => seq)),
          onState: () => undefined,
        });
        const kicks: Promise<void>[] = [];
        for (const happening of happenings) {
          if (happening === "entry") log.write(1);
          else kicks.push(tail.kick(), tail.kick());
        }
        kicks.push(tail.kick());
        await scheduler.waitFor(Promise.all(kicks));
        expect(seen).toEqual(all(log.entries.length));
      }),
    );
  });
});

/** A database that holds a cursor and what was copied. */
class FakeDatabase {
  cursor = 0;
  copied: number[] = [];
  copies = 0;
  isAway = false;

  readonly readCursor = async (): Promise<number> => {
    if (this.isAway) throw new Error("away");
    return this.cursor;
  };

  readonly copy = async (after: number, { changes, seq }: Batch): Promise<number> => {
    if (this.isAway) throw new Error("away");
    this.copies++;
    if (after !== this.cursor) return this.cursor;
    for (const change of changes) if (change.kind === "repl") this.copied.push(change.generation);
    return (this.cursor = seq);
  };
}

function copyOf(log: FakeLog, database: FakeDatabase) {
  const options = { read: log.read, readCursor: database.readCursor, copy: database.copy };
  const states: (string | null)[] = [];
  return { copy: new LogCopy({ ...options, onState: (s) => states.push(s) }), states };
}

const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("a copy of the log", () => {
  it("has every entry once, in order", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    log.write(700);
    const { copy } = copyOf(log, database);
    copy.add(0, log.entries.slice(0, 300));
    copy.add(300, log.entries.slice(300));
    await expect.poll(() => database.cursor).toBe(700);
    expect(database.copied).toEqual(all(700));
  });

  it("takes what comes within a moment together", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    log.write(20);
    const { copy } = copyOf(log, database);
    for (let seq = 0; seq < 20; seq++) copy.add(seq, log.entries.slice(seq, seq + 1));
    await copy.stop();
    expect([database.cursor, database.copies]).toEqual([20, 1]);
  });

  it("fills what it never heard of from the log", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    log.write(20);
    const { copy } = copyOf(log, database);
    copy.add(15, log.entries.slice(15));
    await expect.poll(() => database.cursor).toBe(20);
    expect(database.copied).toEqual(all(20));
  });

  it("goes on from where another instance has brought the cursor", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    log.write(20);
    const { copy } = copyOf(log, database);
    copy.add(0, log.entries.slice(0, 5));
    await expect.poll(() => database.cursor).toBe(5);
    database.cursor = 12;
    copy.add(5, log.entries.slice(5));
    await expect.poll(() => database.cursor).toBe(20);
    expect(database.copied).toEqual([...all(5), ...all(20).slice(12)]);
  });

  it("catches up when the database is back, and says both once", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    const { copy, states } = copyOf(log, database);
    database.isAway = true;
    log.write(10);
    copy.add(0, log.entries.slice(0, 5));
    copy.add(5, log.entries.slice(5));
    await expect.poll(() => states.length).toBe(1);
    database.isAway = false;
    await expect.poll(() => database.cursor).toBe(10);
    expect(database.copied).toEqual(all(10));
    await copy.stop();
    expect(states).toEqual([expect.stringContaining("away"), null]);
  });

  it("stops when the database is away", async () => {
    const [log, database] = [new FakeLog(), new FakeDatabase()];
    database.isAway = true;
    log.write(1);
    const { copy } = copyOf(log, database);
    copy.add(0, log.entries);
    await copy.stop();
    expect(database.cursor).toBe(0);
  });
});

describe("batchOf()", () => {
  it("leads to the last entry, whatever entries mean", () => {
    const other = { ...entryOf(2), kind: "hostname" };
    expect(batchOf([entryOf(1), other])).toMatchObject({ changes: [{ kind: "repl" }], seq: 2 });
  });
});
