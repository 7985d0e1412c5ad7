/** Follows the placement log: what it says is answered at once, and copied to our database after. */
import { type Backoff, backoffMs } from "../shared/backoff";
import type { Batch, Change } from "./core/catalog";
import { changeOf, type LogEntry } from "./core/log";

const RETRY: Backoff = { minMs: 50, maxMs: 2_000 };
/** One long poll: what was written and told nobody is found at its end. */
const WAIT_MS = 5_000;
const LIMIT = 500;
/** What comes in such a time is copied together. All instances copy; the first spares the others the work. */
const GATHER: Backoff = { minMs: 300, maxMs: 300 };
/** Entries that wait for the database; what is beyond is read from the log again. */
const MAX_UNCOPIED = 5_000;

export interface ReadRequest {
  readonly after: number;
  readonly waitMs: number;
  readonly limit: number;
}
export type ReadLog = (request: ReadRequest) => Promise<readonly LogEntry[]>;

/** Told the reason once when something stops working, and null once it works again. */
export type OnState = (reason: string | null) => void;

/** A pause that can be cut short, and reports its state changes once. */
class Retry {
  readonly #onState: OnState;
  #failures = 0;
  #wake: () => void = () => undefined;

  constructor(onState: OnState) {
    this.#onState = onState;
  }

  succeeded(): void {
    if (this.#failures > 0) this.#onState(null);
    this.#failures = 0;
  }

  async failed(reason: string): Promise<void> {
    this.#failures++;
    if (this.#failures === 1) this.#onState(reason);
    const waitMs = backoffMs(this.#failures, RETRY, Math.random());
    await this.pause(waitMs);
  }

  async pause(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  cut(): void {
    this.#wake();
  }
}

export interface TailOptions {
  readonly read: ReadLog;
  /** Sequence of the last entry in memory. */
  readonly position: () => number;
  /** New entries, in order, each once. */
  readonly onEntries: (entries: readonly LogEntry[]) => void;
  /** Told when memory was level with the log. */
  readonly onLevel?: (at: number) => void;
  readonly onState: OnState;
}

export class Tail {
  readonly #options: TailOptions;
  readonly #retry: Retry;
  readonly #caughtUp: Promise<void>;
  #setCaughtUp: () => void = () => undefined;
  #isStopped = false;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#retry = new Retry(options.onState);
    this.#caughtUp = new Promise((resolve) => (this.#setCaughtUp = resolve));
  }

  /** Resolves when everything that the log held has come into memory once. */
  get caughtUp(): Promise<void> {
    return this.#caughtUp;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#retry.cut();
  }

  /** Read at once, whatever else is under way: someone says that there is news. */
  async kick(): Promise<void> {
    this.#retry.cut();
    await this.#readOnce(0);
  }

  async #run(): Promise<void> {
    // The first reads do not wait, so that their end means that there is no more.
    let waitMs = 0;
    while (!this.#isStopped) {
      try {
        const count = await this.#readOnce(waitMs);
        this.#retry.succeeded();
        if (count < LIMIT) {
          this.#setCaughtUp();
          waitMs = WAIT_MS;
        }
      } catch (error) {
        // At a stop the log's side ends its answers too; that is no news.
        if (!this.#isStopped) await this.#retry.failed(String(error));
        // How far behind we are is known at once, not at the end of a long poll.
        waitMs = 0;
      }
    }
  }

  async #readOnce(waitMs: number): Promise<number> {
    const askedAt = performance.now();
    const after = this.#options.position();
    const entries = await this.#options.read({ after, waitMs, limit: LIMIT });
    // Another read may have been faster; between this line and memory nothing waits. Or memory was
    // replaced by an earlier one: then the entries between are to be read first.
    const position = this.#options.position();
    if (position < after) return LIMIT;
    const news = entries.filter(({ seq }) => seq > position);
    if (news.length > 0 && !this.#isStopped) this.#options.onEntries(news);
    // An empty answer of a long poll says how it was when the poll began, and no more.
    const levelAt = entries.length > 0 ? performance.now() : askedAt;
    if (entries.length < LIMIT) this.#options.onLevel?.(levelAt);
    return entries.length;
  }
}

/** The batch that entries make. */
export function batchOf(entries: readonly LogEntry[]): Batch {
  const changes: Change[] = [];
  for (const entry of entries) {
    const change = changeOf(entry);
    if (change) changes.push(change);
  }
  return { changes, seq: entries.at(-1)?.seq ?? 0 };
}

export interface LogCopyOptions {
  readonly read: ReadLog;
  readonly readCursor: () => Promise<number>;
  /** Moves the cursor from `after`; where it stands then, which is elsewhere if it was not there. */
  readonly copy: (after: number, batch: Batch) => Promise<number>;
  readonly onState: OnState;
}

/** Copies the log into our own database, behind the answers and never in their way. */
export class LogCopy {
  readonly #options: LogCopyOptions;
  readonly #retry: Retry;
  #entries: LogEntry[] = [];
  /** The entries follow this sequence without a gap. */
  #after = 0;
  #target = 0;
  #cursor: number | undefined;
  #running: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: LogCopyOptions) {
    this.#options = options;
    this.#retry = new Retry(options.onState);
  }

  /** Entries that came into memory after `after`. */
  add(after: number, entries: readonly LogEntry[]): void {
    const isGap = this.#entries.length === 0 || this.#target !== after;
    if (isGap || this.#entries.length > MAX_UNCOPIED) {
      this.#entries = [];
      this.#after = after;
    }
    this.#entries.push(...entries);
    this.#target = entries.at(-1)?.seq ?? after;
    this.#running ??= this.#run();
  }

  /** Resolves when the copy is complete, or cannot be completed now. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry.cut();
    await this.#running;
  }

  async #run(): Promise<void> {
    if (!this.#isStopped) await this.#retry.pause(backoffMs(1, GATHER, Math.random()));
    // One failure after the stop ends it: the log still has what is missing.
    for (let isDone = false; !isDone;) {
      try {
        isDone = await this.#copySome();
        this.#retry.succeeded();
      } catch (error) {
        if (this.#isStopped) break;
        this.#cursor = undefined;
        await this.#retry.failed(String(error));
      }
    }
    this.#running = undefined;
  }

  async #copySome(): Promise<boolean> {
    const cursor = this.#cursor ?? (await this.#options.readCursor());
    const missing =
      cursor >= this.#after
        ? this.#entries.filter(({ seq }) => seq > cursor).slice(0, LIMIT)
        : await this.#options.read({ after: cursor, waitMs: 0, limit: LIMIT });
    this.#cursor = missing.length > 0 ? await this.#options.copy(cursor, batchOf(missing)) : cursor;
    if (this.#cursor < this.#target && missing.length > 0) return false;
    this.#entries = [];
    this.#after = this.#target;
    return true;
  }
}
