import type { LogEntry } from "./core/placement";

/** Each cluster and each name server has one; more is a fault of a caller that does not wait. */
const MAX_WAITING = 1_000;
/** A longer poll may be cut by whatever stands between. */
const MAX_WAIT_MS = 30_000;
/** A page that is encoded and sent within a few milliseconds. */
const MAX_LIMIT = 1_000;

export interface TailSource {
  /** Entries with `seq > after`, in order. */
  readonly read: (after: number, limit: number) => Promise<LogEntry[]>;
  /** Resolves when the process ends: whoever waits is answered then. */
  readonly untilClosed: Promise<void>;
}

export interface TailPosition {
  readonly after: number;
  readonly waitMs: number;
  readonly limit: number;
}

export interface Tail {
  /** An empty list when the time is over. A refusal when too many wait, or the process ends. */
  readonly read: (position: TailPosition) => Promise<LogEntry[] | "too_many" | "closed">;
  /** Something was written, or may have been: whoever waits reads again. */
  readonly wake: () => void;
}

interface Nap {
  /** Whether it ended by a wake, not by its time. */
  readonly woken: Promise<boolean>;
  end(): void;
}

/** Long polls over a log that only grows. */
export function createTail({ read, untilClosed }: TailSource): Tail {
  const sleepers = new Set<() => void>();
  let waiting = 0;
  let closed = false;
  const wake = (): void => {
    for (const resume of sleepers) resume();
  };
  void untilClosed.then(() => {
    closed = true;
    wake();
  });

  const sleep = (ms: number): Nap => {
    const { promise, resolve } = deferred();
    const end = (woken: boolean): void => {
      clearTimeout(timer);
      sleepers.delete(resume);
      resolve(woken);
    };
    const resume = (): void => end(true);
    const timer = setTimeout(() => end(false), ms);
    sleepers.add(resume);
    return { woken: promise, end: resume };
  };

  /** Who is woken by the same change reads once: nothing is awaited between their naps and the read. */
  const starting = new Map<string, Promise<LogEntry[]>>();
  const readTogether = (after: number, limit: number): Promise<LogEntry[]> => {
    const key = `${after} ${limit}`;
    const shared = starting.get(key);
    if (shared) return shared;
    const reading = Promise.resolve().then(() => {
      starting.delete(key);
      return read(after, limit);
    });
    starting.set(key, reading);
    return reading;
  };

  const poll = async (after: number, limit: number, endsAt: number): Promise<LogEntry[]> => {
    for (;;) {
      // Asleep before reading: what is written during the read wakes us too.
      const nap = sleep(Math.max(0, endsAt - performance.now()));
      try {
        const items = await readTogether(after, limit);
        if (items.length > 0 || closed || !(await nap.woken)) return items;
      } finally {
        nap.end();
      }
    }
  };

  return {
    wake,
    async read({ after, waitMs, limit }) {
      if (closed) return "closed";
      if (waiting >= MAX_WAITING) return "too_many";
      waiting += 1;
      try {
        const endsAt = performance.now() + Math.min(waitMs, MAX_WAIT_MS);
        return await poll(after, Math.min(limit, MAX_LIMIT), endsAt);
      } finally {
        waiting -= 1;
      }
    },
  };
}

function deferred(): { promise: Promise<boolean>; resolve: (woken: boolean) => void } {
  let resolve = (_woken: boolean): void => undefined;
  const promise = new Promise<boolean>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
