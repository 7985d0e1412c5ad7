/**
 * Visitors of every kind, at three apps that go A→B→A→C and back, while processes are killed.
 * What counts as failed is said in load-fates.ts, what is killed and when in load-plan.ts.
 */
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { percentile } from "../../cli/demo/tally";
import { type NameServer, openNameServer } from "../../cli/resolve";
import { isSplit, Platform, type Repl, until } from "../../e2e/platform";
import { get } from "../../e2e/visitor";
import { makeBodies } from "./load-bodies";
import type { Lost } from "./load-fates";
import { faultsOf, type Written } from "./load-history";
import { type Act, type CrashReport, Mover } from "./load-moves";
import { type App, APPS, planRound, randomOf } from "./load-plan";
import { type ClassReport, LoadTally } from "./load-tally";
import { LoadVisitors, type VisitorsOptions } from "./load-visitors";

export interface LoadOptions {
  readonly seed: number;
  /** So long at least, and until as much was seen as is wanted, but not longer than at most. */
  readonly seconds: number;
  readonly atMostSeconds: number;
  readonly smallPerSecond: number;
  readonly wanted: { readonly rounds: number; readonly small: number; readonly large: number };
  /** Bytes of an upload. */
  readonly uploadBytes: number;
  readonly tell?: (line: string) => void;
}

export interface LoadResult {
  readonly classes: readonly ClassReport[];
  readonly moves: ReadonlyArray<{
    readonly app: string;
    readonly completed: number;
    readonly undone: number;
    readonly switchedMs: number;
  }>;
  readonly crashes: readonly CrashReport[];
  readonly small: number;
  readonly large: number;
  readonly forwarded: number;
  readonly reconnects: number;
  readonly writes: number;
  readonly seconds: number;
  readonly failed: number;
  readonly failures: readonly Lost[];
  /** In the file of the writer. */
  readonly faults: readonly string[];
}

/** What the platform said, to find out why something failed. */
export const LOG_FILE = join("build", "move-load.log");
const CLUSTERS = ["east", "west", "north"] as const;
const [HOME] = CLUSTERS;
/** Longer than the longest of the large and slow ones: whoever is served by the old container is let finish. */
const DRAIN_MS = 20_000;
/** How long large and slow ones take, so that they meet the switch of a move by overlap. */
const LONG_MS = 3_500;
/** What runs for longer than 2 s at a freeze undoes it: with a handoff they are shorter. */
const SHORT_MS = 500;
const BLOCKS = 64;
/** Between two of the same visitor: some twenty megabytes a second for each app. */
const REST_MS = { long: 4_000, short: 7_000 };
/** The yardstick: what the same visitors see before the first move. */
const AT_REST_PART = 0.1;
const BETWEEN_MOVES_MS = 250;
const HANDOFF_PART = 0.15;
/** Held for as long as is allowed, a hundred a second are as many as may be. */
const MAX_HANDOFF_PER_SECOND = 80;
const ASK_NAME_MS = 100;
/** Of each class. */
const TOLD = 3;
const POLICY: Readonly<Record<App, string>> = {
  overlap: "overlap",
  handoff: "handoff",
  asleep: "auto",
};

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), "stele-bench-"));
  chmodSync(directory, 0o755);
  const platform = await Platform.start({
    clusters: CLUSTERS,
    later: ["north"],
    env: { STELE_MOVE_DRAIN_MS: `${DRAIN_MS}ms` },
  });
  const names = openNameServer(`127.0.0.1:${platform.dnsPort}`);
  try {
    const run = new Run(options, platform, names);
    await run.deploy(directory);
    return await run.play();
  } finally {
    writeFileSync(LOG_FILE, platform.output);
    names.close();
    await platform.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Everything under load: the apps, who visits them, and what became of it. */
class Run {
  private readonly tally = new LoadTally();
  private readonly random: () => number;
  private readonly acts: Act[] = [];
  private rounds = 0;
  private readonly stopAsking: Array<() => void> = [];

  constructor(
    private readonly options: LoadOptions,
    private readonly platform: Platform,
    private readonly names: NameServer,
  ) {
    this.random = randomOf(options.seed);
  }

  async deploy(directory: string): Promise<void> {
    cpSync("bench/move/app", directory, { recursive: true });
    cpSync("examples/hello/websocket.js", join(directory, "websocket.js"));
    const bodies = makeBodies(this.options.uploadBytes, this.random);
    const from = relative(process.cwd(), directory);
    for (const app of APPS) {
      const repl = await this.platform.deploy(from, app, HOME, POLICY[app]);
      const visitors = new LoadVisitors(await this.visitorsOf(app, repl, bodies));
      this.acts.push({ app, repl, visitors, lastMove: "", switchedMs: [], undone: 0 });
      const at = performance.now();
      this.tally.stays.push({ app, cluster: HOME, from: at, heardAt: at });
    }
  }

  private async visitorsOf(
    app: App,
    repl: Repl,
    bodies: VisitorsOptions["bodies"],
  ): Promise<VisitorsOptions> {
    const { platform, tally, random } = this;
    const { smallPerSecond } = this.options;
    const handoff = Math.min(MAX_HANDOFF_PER_SECOND, smallPerSecond * HANDOFF_PART);
    const parts = bodies[0]?.parts.length ?? 1;
    const isHeld = app === "handoff";
    return {
      app,
      host: repl.host,
      port: platform.httpPort,
      pinnedTo: platform.ingressOf(HOME),
      resolve: await this.follow(repl.host),
      clusterAt: (address) => CLUSTERS.find((id) => platform.ingressOf(id) === address) ?? "",
      tally,
      random,
      small: {
        perSecond: isHeld ? handoff : smallPerSecond - handoff,
        kinds: isHeld ? ["GET", "POST"] : ["GET"],
      },
      bodies,
      uploadPauseMs: isHeld ? 0 : LONG_MS / parts,
      download: { blocks: BLOCKS, eachMs: (isHeld ? SHORT_MS : LONG_MS) / BLOCKS },
      restMs: isHeld ? REST_MS.short : REST_MS.long,
      isKeeping: isHeld,
    };
  }

  /** What DNS says, never older than a moment as long as it answers. */
  private async follow(host: string): Promise<() => string> {
    const ask = async (): Promise<string> => {
      const { records } = await this.names.query(host, "A");
      return records.find(({ type }) => type === "A")?.data ?? "";
    };
    let address = await until(`${host} resolves`, ask);
    const timer = setInterval(() => {
      void ask().then(
        (found) => (address = found || address),
        () => undefined, // A resolver goes on with what it knows.
      );
    }, ASK_NAME_MS);
    this.stopAsking.push(() => clearInterval(timer));
    return () => address;
  }

  async play(): Promise<LoadResult> {
    const { seconds, atMostSeconds, tell = () => undefined } = this.options;
    const { platform, tally, random } = this;
    const startedAt = performance.now();
    const elapsed = (): number => (performance.now() - startedAt) / 1000;
    for (const { app, visitors } of this.acts) if (app !== "asleep") visitors.start();
    await sleep(seconds * AT_REST_PART * 1000);
    tally.restIsOver();
    const mover = new Mover({ platform, acts: this.acts, tally, random, tell });
    const isOver = (): boolean =>
      elapsed() > atMostSeconds || (elapsed() > seconds && this.isEnough());
    const stuck = await this.goRound(mover, isOver).catch((error: Error) => [error.message]);
    await Promise.all(this.acts.map(({ visitors }) => visitors.stop()));
    for (const stop of this.stopAsking) stop();
    const { writes, faults } = await this.readHistory();
    return this.result(elapsed(), mover.crashes, { writes, faults: [...stuck, ...faults] });
  }

  /** Round and round; at its end every app is at home. */
  private async goRound(mover: Mover, isOver: () => boolean): Promise<string[]> {
    for (let round = 0; !isOver(); round++) {
      // In the first round the clusters hear of the apps: from then on each of them has a tombstone.
      for (const step of planRound(round, CLUSTERS, this.random, isSplit && round > 0)) {
        await mover.carryOut(step);
        await sleep(BETWEEN_MOVES_MS);
      }
      this.rounds += 1;
    }
    return [];
  }

  private isEnough(): boolean {
    const { rounds, small, large } = this.options.wanted;
    const classes = this.tally.report();
    const isFew = classes.some((one) => isLarge(one) && one.count < large);
    return this.rounds >= rounds && !isFew && sumOf(classes.filter(isSmall)) >= small;
  }

  /** The file of the app that writes, against everything that was acknowledged. */
  private async readHistory(): Promise<{ writes: number; faults: string[] }> {
    const { repl, visitors } = this.acts.find(({ app }) => app === "handoff") as Act;
    const { httpPort } = this.platform;
    const { body } = await get(this.platform.ingressOf(HOME), httpPort, repl.host, "/writes");
    const lines = body.split("\n").slice(0, -1);
    const file = lines.map((line) => JSON.parse(line) as Written);
    const { acknowledged, messages } = visitors;
    const sizes = [...acknowledged.values()].map(({ size }) => size);
    const writes = [...sizes, ...messages.values()].reduce((sum, size) => sum + size, 0);
    const few = this.isEnough() ? [] : ["fewer came than were asked for"];
    return { writes, faults: [...faultsOf(file, acknowledged, messages), ...few] };
  }

  private result(
    seconds: number,
    crashes: readonly CrashReport[],
    history: { writes: number; faults: string[] },
  ): LoadResult {
    const { tally } = this;
    const classes = tally.report();
    return {
      classes,
      moves: this.acts.map(({ app, switchedMs, undone }) => ({
        app,
        completed: tally.stays.filter((stay) => stay.app === app).length - 1,
        undone,
        switchedMs: percentile(
          switchedMs.toSorted((a, b) => a - b),
          0.5,
        ),
      })),
      crashes,
      small: sumOf(classes.filter(isSmall)),
      large: sumOf(classes.filter(isLarge)),
      forwarded: tally.forwarded,
      reconnects: tally.reconnects,
      seconds,
      failed: classes.reduce((sum, one) => sum + one.failed, 0) + history.faults.length,
      failures: firstOfEach(tally.failures()),
      ...history,
    };
  }
}

function firstOfEach(failures: readonly Lost[]): Lost[] {
  const told = new Map<string, number>();
  return failures.filter(({ who }) => {
    told.set(who, (told.get(who) ?? 0) + 1);
    return (told.get(who) ?? 0) <= TOLD;
  });
}

const isSmall = ({ kind }: ClassReport): boolean => kind === "GET" || kind === "POST";
const isLarge = ({ kind }: ClassReport): boolean => kind === "upload" || kind === "download";
const sumOf = (classes: readonly ClassReport[]): number =>
  classes.reduce((sum, { count }) => sum + count, 0);
