import type { AppModel } from "../app-model";
import type { DatabaseConfig, InfraConfig } from "../infra-config";
import { connectionUrl } from "./sql-client";
import { columnValue, type MakeDecimal } from "./sql-columns";
import { isConnectionLost, sqlError } from "./sql-errors";
import { parameterText } from "./sql-parameters";
import { type Client, Pool } from "./sql-pool";
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
    private readonly cells: Readonly<Record<string, string | null>>,
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

/** The rows of a statement that has run. A failure shows at the first `next()`, as in Encore. */
export class Cursor {
  private at = 0;

  constructor(private readonly rows: readonly Row[]) {}

  next(): Promise<Row | null> {
    return Promise.resolve(this.rows[this.at++] ?? null);
  }
}

/** Statements whose parameter types are remembered, for each database. */
const DESCRIBED_MAX = 2_000;

/** Runs statements on connections of one database and converts values both ways. */
class Statements {
  private readonly types = new TypeCatalog();
  private readonly described = new Map<string, readonly number[]>();

  constructor(private readonly makeDecimal: MakeDecimal) {}

  async run(client: Client, text: string, { params }: QueryArgs): Promise<Cursor> {
    try {
      const known = params.length === 0 || this.described.has(text);
      const parameters = await this.encode(client, text, params);
      const result = await raw(client, text, parameters, known);
      const oids = (result.columns ?? []).map(({ type }) => type);
      await this.learn(client, oids);
      const columns = (result.columns ?? []).map(({ name, type }) => ({
        name,
        type: this.typeOf(type),
      }));
      return new Cursor(result.map((cells) => new Row(cells, columns, this.makeDecimal)));
    } catch (error) {
      this.described.delete(text);
      if (isConnectionLost(error)) client.broken = true;
      throw sqlError(error);
    }
  }

  private async encode(
    client: Client,
    text: string,
    params: readonly unknown[],
  ): Promise<(string | null)[]> {
    if (params.length === 0) return [];
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
    const rows = await raw(client, CATALOG_QUERY, [`{${missing.join(",")}}`], false);
    this.types.learn(rows as unknown as readonly CatalogRow[]);
  }

  private typeOf(oid: number | undefined): SqlType {
    return this.types.get(oid ?? 0) ?? { kind: "scalar", name: `oid ${oid}` };
  }
}

type RawResult = readonly Record<string, string | null>[] & {
  readonly columns?: readonly { readonly name: string; readonly type: number }[];
};

async function raw(
  { sql }: Client,
  text: string,
  parameters: readonly (string | null)[],
  prepare: boolean,
): Promise<RawResult> {
  const typed = parameters.map((value) => sql.typed(value as string, 0));
  // The simple protocol would run several statements at once, which Encore refuses.
  const options = { prepare, simple: false } as { prepare: boolean };
  return (await sql.unsafe(text, typed, options)) as unknown as RawResult;
}

/** A connection of its own, for as long as it is held. */
abstract class Held {
  private released = false;

  constructor(
    protected readonly pool: Pool,
    protected readonly client: Client,
    private readonly statements: Statements,
    private readonly closesAtStart = client.closes(),
  ) {}

  protected abstract readonly endedMessage: string;

  async query(text: string, args: QueryArgs, _source?: unknown): Promise<Cursor> {
    this.assertOpen();
    return this.statements.run(this.client, text, args);
  }

  async queryRow(text: string, args: QueryArgs, source?: unknown): Promise<Row | null> {
    return (await this.query(text, args, source)).next();
  }

  protected assertOpen(): void {
    if (this.released) throw failure(this.endedMessage);
    if (this.isLost) throw failure("error communicating with the server: connection closed");
  }

  protected get isLost(): boolean {
    return this.client.broken || this.client.closes() !== this.closesAtStart;
  }

  protected release(): void {
    if (this.released) return;
    this.released = true;
    forgotten.unregister(this);
    this.pool.release(this.client);
  }
}

/** Transactions and connections that a program lost hold of go back to their pool. */
const forgotten = new FinalizationRegistry<() => void>((giveBack) => giveBack());

export class Transaction extends Held {
  protected readonly endedMessage = "transaction closed";

  static async begin(pool: Pool, statements: Statements): Promise<Transaction> {
    const client = await pool.acquire();
    try {
      await client.sql.unsafe("begin");
    } catch (error) {
      if (isConnectionLost(error)) client.broken = true;
      pool.release(client);
      throw sqlError(error);
    }
    const transaction = new Transaction(pool, client, statements);
    forgotten.register(transaction, () => void rollBack(pool, client), transaction);
    return transaction;
  }

  commit(_source?: unknown): Promise<void> {
    return this.end("commit");
  }

  rollback(_source?: unknown): Promise<void> {
    return this.end("rollback");
  }

  private async end(statement: string): Promise<void> {
    try {
      this.assertOpen();
      await this.client.sql.unsafe(statement);
    } catch (error) {
      if (isConnectionLost(error)) this.client.broken = true;
      throw sqlError(error);
    } finally {
      this.release();
    }
  }
}

async function rollBack(pool: Pool, client: Client): Promise<void> {
  try {
    await client.sql.unsafe("rollback");
  } finally {
    pool.release(client);
  }
}

export class SQLConn extends Held {
  protected readonly endedMessage = "connection closed";

  static async acquire(pool: Pool, statements: Statements): Promise<SQLConn> {
    const client = await pool.acquire();
    const connection = new SQLConn(pool, client, statements);
    forgotten.register(connection, () => pool.release(client), connection);
    return connection;
  }

  // A connection without a transaction may be replaced by a new one unseen.
  protected override get isLost(): boolean {
    return false;
  }

  close(): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}

export class SQLDatabase {
  private readonly statements: Statements;
  private pool: Pool | null = null;

  constructor(
    private readonly name: string,
    private readonly config: DatabaseConfig | null,
    makeDecimal: MakeDecimal,
  ) {
    this.statements = new Statements(makeDecimal);
  }

  async query(text: string, args: QueryArgs, _source?: unknown): Promise<Cursor> {
    return this.open().use((client) => this.statements.run(client, text, args));
  }

  async queryRow(text: string, args: QueryArgs, source?: unknown): Promise<Row | null> {
    return (await this.query(text, args, source)).next();
  }

  async begin(_source?: unknown): Promise<Transaction> {
    return Transaction.begin(this.open(), this.statements);
  }

  async acquire(): Promise<SQLConn> {
    return SQLConn.acquire(this.open(), this.statements);
  }

  /** A URL for other drivers; for a database that is not configured, one that leads nowhere. */
  connString(): string {
    if (this.config) return connectionUrl(this.config);
    return `postgresql://unused@not-configured.invalid/${encodeURIComponent(this.name)}`;
  }

  async close(): Promise<void> {
    await this.pool?.close();
  }

  /** Constructing a database does no I/O and cannot fail; the first use connects. */
  private open(): Pool {
    if (!this.config) {
      throw failure(`database "${this.name}" is not configured for use by this process`);
    }
    return (this.pool ??= new Pool(this.config));
  }
}

/** All databases of a process. */
export class Databases {
  private readonly opened = new Map<string, SQLDatabase>();

  constructor(
    _model: AppModel,
    private readonly infra: InfraConfig,
    private readonly makeDecimal: MakeDecimal,
  ) {}

  sqlDatabase(name: string): SQLDatabase {
    let database = this.opened.get(name);
    if (!database) {
      const config = this.infra.databases[name] ?? null;
      database = new SQLDatabase(name, config, this.makeDecimal);
      this.opened.set(name, database);
    }
    return database;
  }

  async close(): Promise<void> {
    await Promise.all([...this.opened.values()].map((database) => database.close()));
  }
}

function failure(message: string): Error {
  return Object.assign(new Error(message), { code: "GenericFailure" });
}
