import type { AppModel, CronModel } from "./app-model";
import { nextRun, turn } from "./cron-schedule";
import type { LogLine } from "./pubsub/pubsub-consumer";

/** The clock may be set, and the machine may sleep: it is looked at again at least so often. */
const LOOK_MS = 60_000;

/** While the database cannot be asked whose run it is. */
const RETRY_MS = 1_000;

/** Says whose run it is, among processes. */
export interface Runs {
  take(cron: string, dueAt: Date): Promise<boolean>;
  close(): Promise<void>;
}

export interface CronOptions {
  readonly model: AppModel;
  readonly isHosted: (service: string) => boolean;
  /** Null: there is no database, and so no cron jobs. */
  readonly openRuns: () => Promise<Runs | null>;
  readonly call: (service: string, endpoint: string) => Promise<unknown>;
  readonly log: LogLine;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Runs cron jobs in UTC, each run in one process of those that host its service. */
export class Crons {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private runs: Runs | null = null;
  private stopped = false;

  constructor(private readonly options: CronOptions) {}

  async start(): Promise<void> {
    const { model, isHosted, openRuns, now } = this.options;
    const hosted = model.crons.filter(({ service }) => isHosted(service));
    if (hosted.length === 0) return;
    this.runs = await openRuns();
    if (this.runs === null) return;
    for (const cron of hosted) this.plan(cron, nextRun(cron, now()));
  }

  async drain(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
    await this.runs?.close();
  }

  private plan(cron: CronModel, at: number | null, pauseMs = 0): void {
    if (at === null || this.stopped) return;
    const waitMs = Math.min(Math.max(pauseMs, at - this.options.now()), LOOK_MS);
    this.timers.set(
      cron.name,
      setTimeout(() => void this.look(cron, at), waitMs),
    );
  }

  private async look(cron: CronModel, at: number): Promise<void> {
    const { now, log } = this.options;
    const { what, next } = turn(cron, at, now());
    if (what === "wait") return this.plan(cron, at);
    if (what === "miss") {
      log("error", "cron run missed", { cron: cron.name, dueAt: new Date(at).toISOString() });
      return this.plan(cron, next);
    }
    try {
      const isOurs = await this.runs?.take(cron.name, new Date(at));
      if (isOurs === true) void this.run(cron);
      this.plan(cron, next);
    } catch (error) {
      this.failed(cron, error);
      this.plan(cron, at, RETRY_MS);
    }
  }

  private async run(cron: CronModel): Promise<void> {
    try {
      await this.options.call(cron.service, cron.endpoint);
    } catch (error) {
      this.failed(cron, error);
    }
  }

  private failed(cron: CronModel, error: unknown): void {
    const fields = { cron: cron.name, error: (error as Error).message };
    this.options.log("error", "cron job failed", fields);
  }
}

/** `ENCORE_CRONS`, a setting of ours: Encore itself runs none outside its cloud. */
export function areCronsOn(env: NodeJS.ProcessEnv): boolean {
  const text = env["ENCORE_CRONS"] ?? "on";
  if (text !== "on" && text !== "off") {
    throw new Error(`Cannot use ENCORE_CRONS "${text}": expected on or off`);
  }
  return text === "on";
}
