import type postgres from "postgres";

import type { AppModel, CronModel } from "./app-model";
import { nextRun } from "./cron-schedule";
import type { InfraConfig } from "./infra-config";
import { ensureDatabase } from "./sql/migrate";
import { pubsubDatabase } from "./pubsub/pubsub";
import type { LogLine } from "./pubsub/pubsub-consumer";
import { openClient } from "./sql/sql-client";

/** Any fixed number; the lock of a cron job has its name as well. */
const LOCKS = 1_668_444_014;

/** Longer timeouts than this overflow in Node. */
const SLEEP_MAX_MS = 3_600_000;

export interface CronOptions {
  readonly model: AppModel;
  readonly infra: InfraConfig;
  readonly call: (service: string, endpoint: string) => Promise<unknown>;
  readonly log: LogLine;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Runs cron jobs in UTC, each in one process of those that host it: the one that holds its lock. */
export class Crons {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private sql: postgres.Sql | null = null;

  constructor(private readonly options: CronOptions) {}

  async start(): Promise<void> {
    const { model, infra, now } = this.options;
    const { hostedServices } = infra;
    const hosted = model.crons.filter(
      ({ service }) => hostedServices === null || hostedServices.includes(service),
    );
    const config = pubsubDatabase(infra);
    if (hosted.length === 0 || config === null) return;
    await ensureDatabase(config, "postgres");
    this.sql = openClient(config, 1);
    for (const cron of hosted) this.schedule(cron, nextRun(cron, now()));
  }

  async drain(): Promise<void> {
    for (const timer of this.timers.values()) clearTimeout(timer);
    await this.sql?.end({ timeout: 1 });
  }

  private schedule(cron: CronModel, at: number | null): void {
    if (at === null) return;
    const { now } = this.options;
    const waitMs = Math.max(0, at - now());
    const then = (): void => {
      if (waitMs > SLEEP_MAX_MS) return this.schedule(cron, at);
      void this.run(cron);
      this.schedule(cron, nextRun(cron, Math.max(at, now())));
    };
    this.timers.set(cron.name, setTimeout(then, Math.min(waitMs, SLEEP_MAX_MS)));
  }

  private async run(cron: CronModel): Promise<void> {
    try {
      if (!(await this.isOurs(cron))) return;
      await this.options.call(cron.service, cron.endpoint);
    } catch (error) {
      this.options.log("error", "cron job failed", {
        cron: cron.name,
        error: (error as Error).message,
      });
    }
  }

  /**
   * The lock stays with the connection, and so with the process until it ends. Each job has its own:
   * processes may host different services.
   */
  private async isOurs({ name }: CronModel): Promise<boolean> {
    const rows = await this.sql?.unsafe(
      "select pg_try_advisory_lock($1::int, hashtext($2)) as ours",
      [LOCKS, name],
    );
    return rows?.[0]?.["ours"] === true;
  }
}
