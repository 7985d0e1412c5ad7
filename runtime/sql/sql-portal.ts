import type postgres from "postgres";

/** Rows fetched in one go: enough to hide the round trip, few enough to be held for every reader. */
export const PORTION = 1_000;

/** A reader that asks for nothing for so long gets the rest in memory: its connection is wanted back. */
const READER_PAUSE_MS = 1_000;

export type RawRow = Readonly<Record<string, string | null>>;

export interface RawRows {
  readonly rows: readonly RawRow[];
  /** Null in every portion but the first. */
  readonly columns: readonly { readonly name: string; readonly type: number }[] | null;
}

type Pending = postgres.PendingQuery<postgres.Row[]>;

/**
 * Runs a statement to its end. The rows are not taken from postgres.js's own result: after a
 * statement that failed halfway its next one leaves as many places empty (3.4.9).
 */
export async function allRows(query: Pending): Promise<RawRows> {
  const rows: RawRow[] = [];
  const result = await query.forEach((row) => rows.push(row));
  return { rows, columns: columnsOf(result) };
}

function columnsOf(result: unknown): RawRows["columns"] {
  return (result as RawRows).columns;
}

type Settle = (result: unknown) => void;

/** A query of postgres.js, with the functions that it is settled by. */
type CursorQuery = Promise<unknown> & { reject: Settle };

/**
 * The rows of a statement that stays open on the server, taken in portions. While it is open its
 * connection can do nothing else: whoever needs that one calls `finish` first.
 */
export class Portal {
  /** Resolves, never rejects, when the connection is free again. */
  readonly closed: Promise<void>;
  private readonly arrived: RawRows[] = [];
  /** Of the portion that is on its way. */
  private rows: RawRow[] = [];
  private resume: Settle | null = null;
  private failure: { readonly error: unknown } | null = null;
  private ended = false;
  /** What to do after a portion: wait for the reader, take the next, or end. */
  private afterwards: "wait" | "take" | "end" = "wait";
  private wakeUp: () => void = () => {};
  private pause: NodeJS.Timeout | undefined;
  private readonly limit: NodeJS.Timeout | undefined;

  constructor(
    private readonly sql: postgres.Sql,
    query: Pending,
    /** Of the statement, 0 for none. The server counts the time of the reader too. */
    timeoutMs: number,
  ) {
    if (timeoutMs > 0) this.limit = setTimeout(() => void this.finish(), timeoutMs / 2).unref();
    const take = (result: unknown): Promise<unknown> => this.take(columnsOf(result));
    const cursor = query.cursor(PORTION, take as (result: unknown) => void) as unknown as Pending;
    void cursor.forEach((row) => this.rows.push(row));
    this.closed = this.follow(cursor as unknown as CursorQuery);
  }

  /** The next portion; null after the last. */
  async next(): Promise<RawRows | null> {
    clearTimeout(this.pause);
    while (this.arrived.length === 0 && !this.ended) {
      const changed = new Promise<void>((resolve) => (this.wakeUp = resolve));
      this.goOn(undefined);
      await changed;
    }
    const rows = this.arrived.shift();
    if (rows) return rows;
    if (this.failure) throw this.failure.error;
    return null;
  }

  /** Takes the rest into memory and gives the connection free. */
  async finish(): Promise<void> {
    this.afterwards = "take";
    this.goOn(undefined);
    await this.closed;
  }

  /** Ends the statement on the server; what was not fetched is not. */
  async close(): Promise<void> {
    this.afterwards = "end";
    this.arrived.length = 0;
    this.goOn(this.sql.CLOSE);
    await this.closed;
  }

  /** Called with each portion; the server goes on when what it answers resolves. */
  private take(columns: RawRows["columns"]): Promise<unknown> {
    this.arrived.push({ rows: this.rows, columns });
    this.rows = [];
    this.wakeUp();
    if (this.afterwards === "take") return Promise.resolve();
    if (this.afterwards === "end") return Promise.resolve(this.sql.CLOSE);
    return new Promise((resolve) => {
      this.resume = resolve;
      this.pause = setTimeout(() => void this.finish(), READER_PAUSE_MS).unref();
    });
  }

  private goOn(answer: unknown): void {
    clearTimeout(this.pause);
    const { resume } = this;
    this.resume = null;
    resume?.(answer);
  }

  private async follow(query: CursorQuery): Promise<void> {
    const { reject } = query;
    // From then on nobody may answer: postgres.js would write to a socket that is gone.
    query.reject = (error) => {
      this.resume = null;
      reject(error);
    };
    try {
      await query;
    } catch (error) {
      this.failure = { error };
    }
    clearTimeout(this.pause);
    clearTimeout(this.limit);
    this.ended = true;
    this.wakeUp();
  }
}
