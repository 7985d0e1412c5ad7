import postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";
import { clientOptions } from "./sql-client";
import { isConnectionLost, unavailable } from "./sql-errors";
import type { Portal } from "./sql-portal";

/** Longer than this no query waits for a connection, as in Encore's pool. */
const ACQUIRE_TIMEOUT_MS = 30_000;

/** More would not be served in that time by any pool, and each holds a request in memory. */
const WAITING_MAX = 5_000;

/** Idle connections beyond `min_connections`, or one, are closed after this: bursts leave nothing. */
const IDLE_MS = 60_000;

/** A connection with more prepared statements than this is replaced: programs may make up any number. */
const PREPARED_MAX = 2_000;

/** One connection, for as long as the server keeps it; text goes in and out. */
export class Client {
  readonly sql: postgres.Sql;
  /** Lost to the server or the network: it is not given to anybody again. */
  broken = false;
  /** Statements that were prepared on it; the server keeps each for as long as the connection lives. */
  readonly texts = new Set<string>();
  private turn: Promise<unknown> = Promise.resolve();
  private portal: Portal | null = null;

  constructor(
    config: DatabaseConfig,
    readonly statementTimeoutMs: number,
    lost: (client: Client) => void,
  ) {
    const options = clientOptions(config, 1);
    const limit = statementTimeoutMs > 0 ? { statement_timeout: statementTimeoutMs } : {};
    const onclose = (): void => {
      this.broken = true;
      lost(this);
    };
    const connection = { ...options.connection, ...limit };
    this.sql = postgres({ ...options, connection, onclose });
    makeRaw(this.sql);
  }

  /** A statement was opened for a reader: nothing else runs until it is closed. */
  opened(portal: Portal): void {
    this.portal = portal;
    void portal.closed.then(() => (this.portal = null));
  }

  /** One statement after the other. The rows of one that is open are taken into memory first. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(async () => {
      await this.portal?.finish();
      return work();
    });
    this.turn = result.catch(() => {});
    return result;
  }

  /** A plain statement, such as `begin`. */
  async say(statement: string): Promise<void> {
    try {
      await this.inTurn(async () => this.sql.unsafe(statement));
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Takes the rest of an open statement into memory, so that the connection comes free. */
  finish(): void {
    void this.portal?.finish();
  }

  failed(error: unknown): void {
    if (isConnectionLost(error)) this.broken = true;
  }

  end(timeoutS = 1): Promise<void> {
    return this.sql.end({ timeout: timeoutS });
  }
}

interface Waiter {
  readonly resolve: (client: Client) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Connections to one database, each used by one query at a time. postgres.js has a pool of its own,
 * but that one pipelines, and a parameter that cannot be encoded then fails somebody else's query.
 */
export class Pool {
  private readonly idle: { client: Client; since: number }[] = [];
  private readonly all = new Set<Client>();
  /** Those whose reader is not done, the oldest first. */
  private readonly reading = new Set<Client>();
  private readonly waiters = new Set<Waiter>();
  private sweeper: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(
    private readonly config: DatabaseConfig,
    private readonly statementTimeoutMs = 0,
  ) {
    const missing = Math.min(config.minConnections, config.maxConnections);
    for (let n = 0; n < missing; n++) void this.warm();
  }

  async acquire(): Promise<Client> {
    if (this.closed) throw unavailable("the connection pool is closed");
    const free = this.idle.pop();
    if (free) return free.client;
    if (this.all.size < this.config.maxConnections) return this.open();
    const waiting = this.wait();
    this.hurry();
    return waiting;
  }

  release(client: Client): void {
    this.reading.delete(client);
    const isUsable = !client.broken && client.texts.size <= PREPARED_MAX;
    if (!isUsable) this.discard(client);
    const [waiter] = this.waiters;
    if (waiter) {
      this.waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve(isUsable ? client : this.open());
      return;
    }
    if (!isUsable) return;
    this.idle.push({ client, since: performance.now() });
    this.sweeper ??= setInterval(() => this.closeIdle(), IDLE_MS / 2).unref();
  }

  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.acquire();
    try {
      return await work(client);
    } finally {
      this.release(client);
    }
  }

  /** For a reader, who gives the connection back by calling `giveBack` when it needs it no more. */
  async lend<T>(work: (client: Client, giveBack: () => void) => Promise<T>): Promise<T> {
    const client = await this.acquire();
    let isOut = true;
    const giveBack = (): void => {
      if (isOut) this.release(client);
      isOut = false;
    };
    try {
      const result = await work(client, giveBack);
      if (isOut) this.reading.add(client);
      if (this.waiters.size > 0) this.hurry();
      return result;
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** Ends every connection; queries that still run get `timeoutS` seconds. */
  async close(timeoutS = 1): Promise<void> {
    this.closed = true;
    if (this.sweeper) clearInterval(this.sweeper);
    for (const { reject, timer } of this.waiters) {
      clearTimeout(timer);
      reject(unavailable("the connection pool is closed"));
    }
    this.waiters.clear();
    await Promise.all([...this.all].map((client) => client.end(timeoutS)));
  }

  /** Somebody waits: whoever reads longest gets the rest of its rows in memory. */
  private hurry(): void {
    const [client] = this.reading;
    if (!client) return;
    this.reading.delete(client);
    client.finish();
  }

  private async wait(): Promise<Client> {
    const { database, maxConnections } = this.config;
    const cannot = `No connection to "${database}": all ${maxConnections} are in use`;
    if (this.waiters.size >= WAITING_MAX) {
      throw unavailable(`${cannot}, and ${WAITING_MAX} queries wait for one`);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter);
        reject(unavailable(`${cannot}, and none came free in ${ACQUIRE_TIMEOUT_MS / 1000} s`));
      }, ACQUIRE_TIMEOUT_MS);
      const waiter: Waiter = { resolve, reject, timer };
      this.waiters.add(waiter);
    });
  }

  private open(): Client {
    const client = new Client(this.config, this.statementTimeoutMs, (lost) => this.forget(lost));
    this.all.add(client);
    return client;
  }

  /** `min_connections` are there before somebody asks. */
  private async warm(): Promise<void> {
    const client = this.open();
    await client.say("select 1").catch(() => {});
    this.release(client);
  }

  private closeIdle(): void {
    const before = performance.now() - IDLE_MS;
    const kept = Math.max(1, this.config.minConnections);
    while (this.idle.length > kept && (this.idle[0]?.since ?? Infinity) < before) {
      const { client } = this.idle.shift() as { client: Client };
      this.discard(client);
    }
  }

  private discard(client: Client): void {
    this.all.delete(client);
    void client.end();
  }

  /** The server ended a connection. One that is in use is discarded when it comes back. */
  private forget(client: Client): void {
    const at = this.idle.findIndex((one) => one.client === client);
    if (at < 0) return;
    this.idle.splice(at, 1);
    this.discard(client);
  }
}

/** Takes postgres.js's conversions away: text goes in and comes out, and we convert by type. */
function makeRaw(sql: postgres.Sql): void {
  const { parsers, serializers } = sql.options as unknown as {
    parsers: Record<string, unknown>;
    serializers: Record<string, unknown>;
  };
  for (const oid of Object.keys(parsers)) delete parsers[oid];
  for (const oid of Object.keys(serializers)) delete serializers[oid];
}
