import postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";
import { clientOptions } from "./sql-client";

/** Longer than this no query waits for a connection, as in Encore's pool. */
const ACQUIRE_TIMEOUT_MS = 30_000;

/** Idle connections beyond one are closed after this, so that bursts leave nothing behind. */
const IDLE_MS = 60_000;

/** One connection, with raw text in and out. `closes` tells whether it was lost in between. */
export interface Client {
  readonly sql: postgres.Sql;
  readonly closes: () => number;
  /** Set when the server or the network ended it: it is not given to anybody again. */
  broken: boolean;
}

interface Waiter {
  readonly resolve: (client: Client) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Connections to one database, each used by one query at a time. postgres.js has a pool of its own,
 * but that one pipelines, and a parameter that cannot be encoded then fails somebody else's query.
 */
export class Pool {
  private readonly idle: { client: Client; since: number }[] = [];
  private readonly all = new Set<Client>();
  private readonly waiters: Waiter[] = [];
  private sweeper: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(
    private readonly config: DatabaseConfig,
    private readonly max = config.maxConnections,
  ) {}

  acquire(): Promise<Client> {
    if (this.closed) return Promise.reject(new Error("the connection pool is closed"));
    const free = this.idle.pop();
    if (free) return Promise.resolve(free.client);
    if (this.all.size < this.max) return Promise.resolve(this.open());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        const { database } = this.config;
        const waited = `within ${ACQUIRE_TIMEOUT_MS / 1000} s`;
        reject(new Error(`No connection to "${database}" ${waited}: all ${this.max} are in use`));
      }, ACQUIRE_TIMEOUT_MS);
      const waiter: Waiter = { resolve, timer };
      this.waiters.push(waiter);
    });
  }

  release(client: Client): void {
    if (client.broken) this.discard(client);
    const waiter = this.waiters.shift();
    if (waiter) {
      clearTimeout(waiter.timer);
      waiter.resolve(client.broken ? this.open() : client);
      return;
    }
    if (client.broken) return;
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

  /** Ends every connection; queries that still run get `timeoutS` seconds. */
  async close(timeoutS = 1): Promise<void> {
    this.closed = true;
    if (this.sweeper) clearInterval(this.sweeper);
    await Promise.all([...this.all].map(({ sql }) => sql.end({ timeout: timeoutS })));
  }

  private open(): Client {
    let closes = 0;
    const sql = postgres({ ...clientOptions(this.config, 1), onclose: () => void closes++ });
    makeRaw(sql);
    const client: Client = { sql, closes: () => closes, broken: false };
    this.all.add(client);
    return client;
  }

  private closeIdle(): void {
    const before = performance.now() - IDLE_MS;
    while (this.idle.length > 1 && (this.idle[0]?.since ?? Infinity) < before) {
      const { client } = this.idle.shift() as { client: Client };
      this.discard(client);
    }
  }

  private discard(client: Client): void {
    this.all.delete(client);
    void client.sql.end({ timeout: 1 });
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
