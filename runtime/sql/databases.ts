import type { AppModel } from "../app-model";
import type { DatabaseConfig, InfraConfig } from "../infra-config";
import { Forwarder } from "./forwarder";
import { type Cursor, mayStayOpen, type QueryArgs, type Row, Statements } from "./statements";
import type { MakeDecimal } from "./sql-columns";
import { sqlError, unavailable } from "./sql-errors";
import { type Client, Pool } from "./sql-pool";

/** A connection of its own, for as long as it is held. */
abstract class Held {
  private released = false;

  constructor(
    protected readonly pool: Pool,
    protected readonly client: Client,
    private readonly statements: Statements,
  ) {}

  protected abstract readonly endedMessage: string;

  async query(text: string, args: QueryArgs, _source?: unknown): Promise<Cursor> {
    this.assertOpen();
    return this.statements.run(this.client, text, args);
  }

  async queryRow(text: string, args: QueryArgs, source?: unknown): Promise<Row | null> {
    return (await this.query(text, args, source)).next();
  }

  /** For a reader that closes what it got: the rows come as it takes them. */
  async stream(text: string, args: QueryArgs, source?: unknown): Promise<Cursor> {
    if (!this.mayStayOpen(text)) return this.query(text, args, source);
    this.assertOpen();
    return this.statements.stream(this.client, text, args, () => {});
  }

  protected mayStayOpen(text: string): boolean {
    return mayStayOpen(text);
  }

  protected assertOpen(): void {
    if (this.released) throw failure(this.endedMessage);
    if (this.client.broken) {
      throw unavailable("error communicating with the server: connection closed");
    }
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
      await client.say("begin");
    } catch (error) {
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

  // Its locks last to its end anyway.
  protected override mayStayOpen(): boolean {
    return true;
  }

  private async end(statement: string): Promise<void> {
    try {
      this.assertOpen();
      await this.client.say(statement);
    } catch (error) {
      throw sqlError(error);
    } finally {
      this.release();
    }
  }
}

async function rollBack(pool: Pool, client: Client): Promise<void> {
  await client.say("rollback").catch(() => {});
  pool.release(client);
}

export class SQLConn extends Held {
  protected readonly endedMessage = "connection closed";

  static async acquire(pool: Pool, statements: Statements): Promise<SQLConn> {
    const client = await pool.acquire();
    const connection = new SQLConn(pool, client, statements);
    forgotten.register(connection, () => pool.release(client), connection);
    return connection;
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
    private readonly forwarder: Forwarder,
    makeDecimal: MakeDecimal,
  ) {
    this.statements = new Statements(makeDecimal);
  }

  async query(text: string, args: QueryArgs, _source?: unknown): Promise<Cursor> {
    return this.open().use((client) => this.statements.run(client, text, args));
  }

  /** For a reader that closes what it got: the rows come as it takes them. */
  async stream(text: string, args: QueryArgs, source?: unknown): Promise<Cursor> {
    if (!mayStayOpen(text)) return this.query(text, args, source);
    return this.open().lend((client, giveBack) =>
      this.statements.stream(client, text, args, giveBack),
    );
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
    if (this.config) return this.forwarder.url(this.name, this.config);
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
    return (this.pool ??= new Pool(this.config, statementTimeoutMs()));
  }
}

/** All databases of a process. */
export class Databases {
  private readonly opened = new Map<string, SQLDatabase>();
  private readonly forwarder: Forwarder;

  constructor(
    _model: AppModel,
    private readonly infra: InfraConfig,
    private readonly makeDecimal: MakeDecimal,
  ) {
    this.forwarder = new Forwarder(infra.databases);
  }

  sqlDatabase(name: string): SQLDatabase {
    let database = this.opened.get(name);
    if (!database) {
      const config = this.infra.databases[name] ?? null;
      database = new SQLDatabase(name, config, this.forwarder, this.makeDecimal);
      this.opened.set(name, database);
    }
    return database;
  }

  async close(): Promise<void> {
    await Promise.all([...this.opened.values()].map((database) => database.close()));
    this.forwarder.close();
  }
}

/** A setting of ours, for the statements of services: without it they may take as long as they like. */
function statementTimeoutMs(): number {
  const text = process.env["ENCORE_SQL_STATEMENT_TIMEOUT_MS"] ?? "0";
  if (!/^\d{1,9}$/.test(text)) {
    throw new Error(`Cannot use ENCORE_SQL_STATEMENT_TIMEOUT_MS "${text}": expected milliseconds`);
  }
  return Number(text);
}

function failure(message: string): Error {
  return Object.assign(new Error(message), { code: "GenericFailure" });
}
