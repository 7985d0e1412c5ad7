import { setTimeout as sleep } from "node:timers/promises";

import { type Migration, type Platform, type Repl, until } from "../../e2e/platform";
import { get } from "../../e2e/visitor";
import type { Kill } from "./load-fates";
import { type App, type Crash, PHASES, type Step } from "./load-plan";
import type { LoadTally } from "./load-tally";
import { type LoadVisitors, WAYS } from "./load-visitors";

/** One app on its way round. */
export interface Act {
  readonly app: App;
  readonly repl: Repl;
  readonly visitors: LoadVisitors;
  lastMove: string;
  /** From the start of each move to the new cluster's being in charge, where nothing was killed. */
  readonly switchedMs: number[];
  undone: number;
}

export interface CrashReport {
  readonly process: string;
  readonly victim: string;
  readonly app: string;
  readonly phase: string;
  readonly outcome: string;
  readonly awayMs: number;
}

export interface MoverOptions {
  readonly platform: Platform;
  readonly acts: readonly Act[];
  readonly tally: LoadTally;
  readonly random: () => number;
  /** Told of each move, a line. */
  readonly tell: (line: string) => void;
}

/** Within so long somebody of each kind comes to an app that was asleep when its move began. */
const WAKE_WITHIN_MS = 400;
const TRIES = 6;
const REST_MS = 2_000;
const MOVE_DEADLINE_MS = 60_000;
const LOOK_EACH_MS = 5;
const SWITCHED = ["draining", "cleaning", "completed", "rolled_back"];

/** Moves apps, and kills processes meanwhile. */
export class Mover {
  readonly crashes: CrashReport[] = [];

  constructor(private readonly options: MoverOptions) {}

  async carryOut({ app, from, to, crash }: Step): Promise<void> {
    const act = this.options.acts.find((one) => one.app === app) as Act;
    for (let n = 0; n < TRIES; n++) {
      const { outcome } = await this.move(act, from, to, n === 0 ? crash : undefined);
      if (outcome !== "rolled_back") return;
      act.undone += 1;
      // As an evacuation does: what was held is let through before it is held again.
      await sleep(REST_MS * (n + 1));
    }
    throw new Error(`Cannot move ${app} to ${to}: ${TRIES} moves were undone`);
  }

  private async move(act: Act, from: string, to: string, crash?: Crash): Promise<Migration> {
    const { platform, tally, tell } = this.options;
    const { app, repl } = act;
    const isAsleep = app === "asleep";
    if (isAsleep) await until("it stops", () => platform.api("POST", `/v1/repls/${repl.id}/stop`));
    const startedAt = performance.now();
    const beginning = this.begin(act, to);
    const woken = isAsleep ? this.wake(act) : undefined;
    const killed = crash && (await this.kill(crash, act, { from, to }));
    const { id } = await beginning;
    const switched = async () => {
      const now = await platform.api<Migration>("GET", `/v1/migrations/${id}`);
      return SWITCHED.includes(now.phase) && now;
    };
    const what = `${app} has moved to ${to}`;
    const migration = await until(what, switched, MOVE_DEADLINE_MS, LOOK_EACH_MS);
    act.lastMove = id;
    if (!crash) act.switchedMs.push(performance.now() - startedAt);
    if (migration.committedAt !== null) {
      const from = sinceStart(migration.committedAt);
      const { ms } = migration.steps.find(({ phase }) => phase === "switching") ?? { ms: 0 };
      tally.stays.push({ app, cluster: to, from, heardAt: from + ms });
    }
    await woken;
    if (killed) await killed(migration);
    const became = migration.reason ?? migration.phase;
    const meanwhile = crash ? `, the ${crash.victim} killed in ${crash.phase}` : "";
    const ms = Math.round(performance.now() - startedAt);
    tell(`${app}, ${from} to ${to}${meanwhile}: ${became}, ${ms} ms`);
    return migration;
  }

  /** Its answer may be lost in a crash: then the move is looked for. */
  private begin(act: Act, to: string): Promise<Migration> {
    const body = { replId: act.repl.id, to, mode: act.app };
    return until(`a move of ${act.app} begins`, async () => {
      try {
        return await this.options.platform.api<Migration>("POST", "/v1/migrations", body);
      } catch (error) {
        const begun = await this.newest(act);
        if (begun) return begun;
        throw error;
      }
    });
  }

  /** The move that is under way; none before it begins. */
  private async newest({ repl, lastMove }: Act): Promise<Migration | undefined> {
    const path = `/v1/migrations?replId=${repl.id}`;
    const { items } = await this.options.platform.api<{ items: Migration[] }>("GET", path);
    return items[0]?.id === lastMove ? undefined : items[0];
  }

  private async wake({ visitors }: Act): Promise<void> {
    const { random } = this.options;
    const visits = WAYS.map(async (way) => {
      await sleep(random() * WAKE_WITHIN_MS);
      await visitors.visit("GET", way);
    });
    await Promise.all(visits);
  }

  /** Gives what is to be done once it is known what became of the move: waiting for who was killed. */
  private async kill(
    { victim, phase }: Crash,
    act: Act,
    { from, to }: { from: string; to: string },
  ): Promise<(migration: Migration) => Promise<void>> {
    const { platform, tally } = this.options;
    const name = { control: "control", source: from, destination: to }[victim];
    const pid = platform.pidOf(name);
    const reached = async () => {
      const move = await this.newest(act);
      if (move?.outcome === "rolled_back") return move.phase;
      return move && PHASES.indexOf(move.phase) >= PHASES.indexOf(phase) && move.phase;
    };
    const seen = await until(`${act.app} is in ${phase}`, reached, MOVE_DEADLINE_MS, 1);
    const kill: Kill = { cluster: name, at: performance.now(), goneAt: Infinity, backAt: Infinity };
    if (victim !== "control") tally.kills.push(kill);
    process.kill(pid, "SIGKILL");
    await until(`${name} has ended`, () => !isAlive(pid), 5_000, 1);
    kill.goneAt = performance.now();
    return async ({ outcome }) => {
      await until(`${name} is back`, () => this.isBack(name, act.repl));
      kill.backAt = performance.now();
      const became = outcome === "rolled_back" ? "was undone" : "went on";
      const awayMs = kill.backAt - kill.at;
      const report = { process: name, victim, app: act.app, phase: seen, outcome: became, awayMs };
      this.crashes.push(report);
    };
  }

  private async isBack(name: string, { host }: Repl): Promise<boolean> {
    const { platform } = this.options;
    if (name === "control") return Boolean(await platform.api<object>("GET", "/v1/ready"));
    return (await get(platform.ingressOf(name), platform.httpPort, host, "/")).status === 200;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A time of day on the clock of `performance.now()`. */
function sinceStart(iso: string): number {
  return Date.parse(iso) - performance.timeOrigin;
}
