import type postgres from "postgres";

import { columnValue, type MakeDecimal } from "./sql-columns";
import { sqlError } from "./sql-errors";
import { parameterText } from "./sql-parameters";
import type { Client } from "./sql-pool";
import { allRows, Portal, type RawRow, type RawRows } from "./sql-portal";
import { CATALOG_QUERY, type CatalogRow, type SqlType, TypeCatalog } from "./sql-types";

/** Parameters of one statement, as the SDK hands them over. */
export class QueryArgs {
  constructor(readonly params: readonly unknown[]) {}
}

interface Column {
  readonly name: string;
  readonly type: SqlType;
}

export class Row {
  constructor(
    private readonly cells: RawRow,
    private readonly columns: readonly Column[],
    private readonly makeDecimal: MakeDecimal,
  ) {}

  values(): Record<string, unknown> {
    const row: Record<string, unknown> = {};
    for (const { name, type } of this.columns) {
      row[name] = columnValue(this.cells[name] ?? null, type, name, this.makeDecimal);
    }
    return row;
  }
}

/** Answers the next rows, none after the last. */
type More = () => Promise<readonly Row[]>;

/** A reader's place in the rows of a statement. A statement's failure shows before the first row. */
export class Cursor {
  private at = 0;

  constructor(
    private rows: readonly Row[],
    private readonly more: More | null = null,
    private readonly end: () => Promise<void> = () => Promise.resolve(),
  ) {}

  async next(): Promise<Row | null> {
    if (this.at === this.rows.length && this.more) {
      this.rows = await this.more();
      this.at = 0;
    }
    return this.rows[this.at++] ?? null;
  }

  /** For a reader that leaves early. */
  close(): Promise<void> {
    return this.end();
  }
}

/** Statements whose parameter types are remembered, for each database. */
const DESCRIBED_MAX = 2_000;

/** Runs statements on connections of one database and converts values both ways. */
export class Statements {
  private readonly types = new TypeCatalog();
  private readonly described = new Map<string, readonly number[]>();

  constructor(private readonly makeDecimal: MakeDecimal) {}

  /** Runs a statement to its end. */
  async run(client: Client, text: string, args: QueryArgs): Promise<Cursor> {
    return client.inTurn(() =>
      this.attempt(client, text, async () => {
        const start = await this.starter(client, text, args);
        const found = await allRows(start());
        await this.learn(client, oidsOf(found.columns));
        return new Cursor(this.toRows(found, this.toColumns(found.columns)));
      }),
    );
  }

  /**
   * Runs a statement for a reader that takes its rows one by one, and no more of them than it wants.
   * Calls `ended` when the connection is free for others, after the last row or on `close`. Where
   * this rejects, it may have been called or not.
   */
  async stream(client: Client, text: string, args: QueryArgs, ended: () => void): Promise<Cursor> {
    return client.inTurn(() =>
      this.attempt(client, text, async () => {
        const start = await this.starter(client, text, args);
        const portal = new Portal(client.sql, start(), client.statementTimeoutMs);
        client.opened(portal);
        const first = this.firstRows(client, portal);
        void Promise.allSettled([first, portal.closed]).then(ended);
        const { rows, columns } = await first;
        const more = (): Promise<readonly Row[]> =>
          this.attempt(client, text, async () => this.toRows(await portal.next(), columns));
        return new Cursor(rows, more, () => portal.close());
      }),
    );
  }

  private async firstRows(
    client: Client,
    portal: Portal,
  ): Promise<{ rows: readonly Row[]; columns: readonly Column[] }> {
    const found = await portal.next();
    const oids = oidsOf(found?.columns);
    if (this.types.missing(oids).length > 0) {
      // Once for each type; the connection is needed to ask what it is.
      await portal.finish();
      await this.learn(client, oids);
    }
    const columns = this.toColumns(found?.columns);
    return { rows: this.toRows(found, columns), columns };
  }

  private toColumns(columns: RawRows["columns"] | undefined): readonly Column[] {
    return (columns ?? []).map(({ name, type }) => ({ name, type: this.typeOf(type) }));
  }

  private toRows(found: RawRows | null, columns: readonly Column[]): readonly Row[] {
    return (found?.rows ?? []).map((cells) => new Row(cells, columns, this.makeDecimal));
  }

  private async attempt<T>(client: Client, text: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.described.delete(text);
      client.failed(error);
      throw sqlError(error);
    }
  }

  /** What sends the statement, with its parameters encoded. */
  private async starter(
    client: Client,
    text: string,
    { params }: QueryArgs,
  ): Promise<() => postgres.PendingQuery<postgres.Row[]>> {
    const known = params.length === 0 || this.described.has(text);
    const parameters = await this.encode(client, text, params);
    return () => raw(client, text, parameters, known);
  }

  private async encode(
    client: Client,
    text: string,
    params: readonly unknown[],
  ): Promise<(string | null)[]> {
    if (params.length === 0) return [];
    client.texts.add(text);
    const oids = this.described.get(text) ?? (await this.describe(client, text));
    if (oids.length !== params.length) {
      throw new Error(`expected ${oids.length} parameters but got ${params.length}`);
    }
    return params.map((value, index) => parameterText(value, this.typeOf(oids[index]), index));
  }

  /** The server says what each parameter is: Encore encodes by that, not by JavaScript's types. */
  private async describe(client: Client, text: string): Promise<readonly number[]> {
    const statement = await client.sql.unsafe(text, [], { prepare: false }).describe();
    const oids = [...statement.types] as number[];
    await this.learn(client, oids);
    const oldest = this.described.keys().next();
    if (this.described.size >= DESCRIBED_MAX && !oldest.done) this.described.delete(oldest.value);
    this.described.set(text, oids);
    return oids;
  }

  private async learn(client: Client, oids: readonly number[]): Promise<void> {
    const missing = this.types.missing(oids);
    if (missing.length === 0) return;
    const { rows } = await allRows(raw(client, CATALOG_QUERY, [`{${missing.join(",")}}`], false));
    this.types.learn(rows as unknown as readonly CatalogRow[]);
  }

  private typeOf(oid: number | undefined): SqlType {
    return this.types.get(oid ?? 0) ?? { kind: "scalar", name: `oid ${oid}` };
  }
}

function oidsOf(columns: RawRows["columns"] | undefined): number[] {
  return (columns ?? []).map(({ type }) => type);
}

function raw(
  { sql }: Client,
  text: string,
  parameters: readonly (string | null)[],
  prepare: boolean,
): postgres.PendingQuery<postgres.Row[]> {
  const typed = parameters.map((value) => sql.typed(value as string, 0));
  // The simple protocol would run several statements at once, which Encore refuses.
  const options = { prepare, simple: false } as { prepare: boolean };
  return sql.unsafe(text, typed, options);
}

const READS = /^\s*(select|with|values|table)\b/i;

/** Words of what writes or locks, wherever they stand: a false alarm costs memory, nothing else. */
const WRITES = /\b(insert|update|delete|merge|into|share|lock|call|nextval|setval|pg_\w+)\b/i;

/**
 * Whether a statement may stay open while its reader works. One that writes or locks rows must not:
 * it would keep its locks, and the reader may well need them.
 */
export function mayStayOpen(text: string): boolean {
  return READS.test(text) && !WRITES.test(text);
}
