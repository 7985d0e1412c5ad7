import { setTimeout as sleep } from "node:timers/promises";

import postgres from "postgres";

import type { DatabaseConfig } from "../infra-config";
import { clientOptions } from "../sql/sql-client";

const RETRY_MS = 100;

/**
 * The one connection that hears of new messages, and whose being there proves to other processes
 * that this one lives. When it is lost it is made again, and everybody is woken for what they missed.
 */
export class PubSubLine {
  private readonly sql: postgres.Sql;
  private closed = false;

  constructor(
    config: DatabaseConfig,
    /** Run on each new connection. */
    private readonly greeting: string,
    /** Called with the topic, or with null when any may have been missed. */
    private readonly onMessage: (topic: string | null) => void,
  ) {
    const options = {
      ...clientOptions(config, 1),
      onnotify: (_channel: string, topic: string) => this.onMessage(topic),
      onclose: () => void this.again(),
    };
    this.sql = postgres(options);
  }

  async open(): Promise<void> {
    await this.sql.unsafe(this.greeting);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.sql.end({ timeout: 1 });
  }

  private async again(): Promise<void> {
    await sleep(RETRY_MS);
    if (this.closed) return;
    try {
      await this.open();
      this.onMessage(null);
    } catch {
      // A connection that could not be made closes too, and so brings us here again.
    }
  }
}
