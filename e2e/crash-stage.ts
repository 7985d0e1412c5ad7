/** Where the cells of the crash matrix are played: a platform, apps that move, and what is killed. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "vitest";

import { type NameServer, openNameServer } from "../cli/resolve";
import type { Failpoint } from "../shared/failpoint";
import {
  type Actor,
  type App,
  APPS,
  type Candidate,
  choose,
  CLUSTERS,
  HOLDS_AT_ONCE,
  otherThan,
} from "./crash-cast";
import { blocks, BRINK, type Cell, holds, type Row, summary, table, TURN } from "./crash-matrix";
import { notesFaults, Remains } from "./crash-remains";
import { CrashVisitors, type Outage } from "./crash-visitors";
import { isAlive, type Migration, Platform, type Repl, until } from "./platform";

const REACH_DEADLINE_MS = 30_000;
/** The figure is 10 s; a loaded machine may take five times as long. */
const END_DEADLINE_MS = 50_000;
const SERVED_BEFORE = 2;
/** Several hundred cells in batches of some seconds, on a loaded machine. */
export const MATRIX_DEADLINE_MS = 3_000_000;
/** CRASH_CELLS='handoff forward containers.freeze' npm run test:full -- e2e/crash: some of them. */
const WANTED = process.env.CRASH_CELLS ?? "";
/** Where to keep what the platform has logged. */
const LOG = process.env.CRASH_LOG ?? "";

/** A cell, and who plays it. */
interface Scene {
  readonly cell: Cell;
  readonly actor: Actor;
  readonly from: string;
  readonly to: string;
  readonly visitors: CrashVisitors;
  /** The move before; "" when there was none. */
  readonly before: string;
  migrationId: string;
}

interface Played {
  readonly cell: Cell;
  readonly row: Row;
  /** It was not held where the cell says. */
  readonly isMissed: boolean;
}

const nameOf = ({ victim, mode, way, point }: Cell): string => `${victim} ${mode} ${way} ${point}`;

export class CrashStage {
  private runs = 0;

  private constructor(
    readonly platform: Platform,
    private readonly folder: string,
    private readonly nameServer: NameServer,
    private readonly actors: readonly Actor[],
    private readonly remains: Remains,
  ) {}

  static async open(apps: Readonly<Record<App, number>> = APPS): Promise<CrashStage> {
    const folder = mkdtempSync(join(tmpdir(), "stele-failpoints-"));
    for (const name of ["armed", "held"]) mkdirSync(join(folder, name));
    chmodSync(folder, 0o700);
    const platform = await Platform.start({
      env: {
        STELE_FAILPOINTS_DIR: folder,
        STELE_MAX_FROZEN: String(2 * HOLDS_AT_ONCE),
        STELE_MOVE_DRAIN_MS: "200ms",
        STELE_IDLE_STOP: "1h",
      },
    });
    const names = Object.entries(apps).flatMap(([app, count]) =>
      Array.from({ length: count }, (_, n) => ({ app: app as App, name: `${app}-${n}` })),
    );
    const actors = await Promise.all(
      names.map(async ({ app, name }, n): Promise<Actor> => {
        const home = CLUSTERS[n % 2] ?? "east";
        const repl = await platform.deploy(`examples/${app}`, name, home);
        return { app, repl, acknowledged: [] };
      }),
    );
    const nameServer = openNameServer(`127.0.0.1:${platform.dnsPort}`);
    return new CrashStage(platform, folder, nameServer, actors, new Remains(platform));
  }

  async close(): Promise<void> {
    this.release();
    if (LOG !== "") writeFileSync(LOG, this.platform.output);
    this.nameServer.close();
    await this.remains.close();
    await this.platform.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Plays those cells whose victim is among `victims`, prints the table, and fails with what went wrong. */
  async expectSound(victims: string, cells: readonly Cell[]): Promise<void> {
    const wanted = cells.filter(
      ({ mode, way, point, victim }) =>
        victims.split(", ").includes(victim) && `${mode} ${way} ${point}`.includes(WANTED),
    );
    const rows = await this.play(wanted);
    console.info(`${summary(victims, rows)}\n${table(rows)}`);
    const faults = rows.flatMap((row) => row.faults.map((fault) => `${nameOf(row)}: ${fault}`));
    expect(faults).toEqual([]);
    expect(rows).toHaveLength(wanted.length);
  }

  /** Plays all cells, as many at once as there are apps for; what is killed is killed once for all of them. */
  async play(cells: readonly Cell[]): Promise<Row[]> {
    const rows: Row[] = [];
    const pending = new Set(cells);
    const again = new Set<Cell>();
    while (pending.size > 0) {
      const { process, scenes } = await this.cast(pending);
      for (const { cell } of scenes) pending.delete(cell);
      for (const { cell, row, isMissed } of await this.perform(process, scenes)) {
        // It was not held when it was killed, and all is well: that was another cell.
        if (isMissed && row.faults.length === 1 && !again.has(cell)) {
          again.add(cell);
          pending.add(cell);
        } else {
          rows.push(row);
          for (const fault of row.faults) console.info(`fault: ${nameOf(row)}: ${fault}`);
        }
      }
    }
    return rows;
  }

  /** The next cells: those that the death of one process is for, given where the apps live now. */
  private async cast(pending: ReadonlySet<Cell>): Promise<{ process: string; scenes: Scene[] }> {
    const candidates = await Promise.all(
      this.actors.map(async (actor): Promise<Candidate> => ({
        actor,
        home: (await this.homeOf(actor.repl)).clusterId,
        before: (await this.newestOf(actor.repl.id)).id,
      })),
    );
    const plans = ["whole", "postgres", "control", ...CLUSTERS].map((process) => ({
      process,
      chosen: choose(process, candidates, pending),
    }));
    const best = plans.reduce((a, b) => (b.chosen.length > a.chosen.length ? b : a));
    const run = ++this.runs;
    const scenes = best.chosen.map(({ cell, actor, home, before }, n): Scene => {
      const { app, repl } = actor;
      const id = `${run}.${n}`;
      const at = { ...repl, clusterId: home };
      const writes = app === "notes";
      const visitors = new CrashVisitors(this.platform, this.nameServer, at, id, writes);
      const to = otherThan(home);
      return { cell, actor, from: home, to, visitors, before, migrationId: "" };
    });
    return { process: best.process, scenes };
  }

  private async perform(process: string, scenes: readonly Scene[]): Promise<Played[]> {
    const asleep = scenes.filter(({ cell }) => cell.mode === "asleep");
    const awake = scenes.filter(({ cell }) => cell.mode !== "asleep");
    await Promise.all(
      asleep.map(({ actor }) => this.platform.api("POST", `/v1/repls/${actor.repl.id}/stop`)),
    );
    for (const { visitors } of awake) visitors.start();
    await until("visitors are served", () =>
      awake.every(({ visitors }) => visitors.served >= SERVED_BEFORE),
    );
    const missed = new Map<Scene, string>();
    // Who is held for the sake of nobody first, so that no visitor waits for the others.
    const each = (some: readonly Scene[], step: (scene: Scene) => Promise<void>) =>
      Promise.all(
        some.map((scene) =>
          step(scene).catch((error: unknown) => void missed.set(scene, String(error))),
        ),
      );
    await each(
      scenes.filter(({ cell }) => holds(cell)),
      (scene) => this.approach(scene),
    );
    await each(
      scenes.filter(({ cell }) => !holds(cell) && !blocks(cell)),
      (scene) => this.reach(scene),
    );
    await each(
      scenes.filter(({ cell }) => holds(cell) && !blocks(cell)),
      (scene) => this.reach(scene),
    );
    await each(
      scenes.filter(({ cell }) => blocks(cell)),
      (scene) => this.reach(scene),
    );
    const outage = await this.kill(process, () => {
      // Whoever wakes the app comes from now on: before, the move would be another.
      for (const { visitors } of asleep) visitors.start();
    });
    return await Promise.all(
      scenes.map(async (scene) => ({
        cell: scene.cell,
        row: await this.conclude(scene, outage, missed.get(scene)),
        isMissed: missed.has(scene),
      })),
    );
  }

  private begin({ cell, actor, to }: Scene): void {
    const body = { replId: actor.repl.id, to, mode: cell.mode };
    // Its answer may be lost in the crash.
    this.platform.api("POST", "/v1/migrations", body).catch(() => undefined);
  }

  /** Begins a move, and holds it just before it holds requests. */
  private async approach(scene: Scene): Promise<void> {
    this.arm(BRINK, scene.actor.repl.id);
    this.begin(scene);
    await this.held(BRINK, scene.actor.repl.id);
  }

  /** Waits until the move is held where the cell says. */
  private async reach(scene: Scene): Promise<void> {
    const { cell, actor } = scene;
    const { id } = actor.repl;
    const first = cell.way === "abort" ? TURN : cell.point;
    this.arm(first, id);
    if (holds(cell)) rmSync(join(this.folder, "held", `${BRINK}@${id}`));
    else this.begin(scene);
    await this.held(first, id);
    scene.migrationId = (await this.newestOf(id)).id;
    if (scene.migrationId === scene.before) {
      // A command that a dead process had sent for the move before, and that is carried out now.
      throw new Error(`a former move was held at ${first}`);
    }
    if (cell.way === "forward") return;
    this.arm(cell.point, id);
    this.platform.api("POST", `/v1/migrations/${scene.migrationId}/abort`).catch(() => undefined);
    await this.held(cell.point, id);
  }

  private arm(point: Failpoint, replId: string): void {
    writeFileSync(join(this.folder, "armed", `${point}@${replId}`), "");
  }

  private async held(point: Failpoint, replId: string): Promise<void> {
    const file = join(this.folder, "held", `${point}@${replId}`);
    await until(`a move is held at ${point}`, () => existsSync(file), REACH_DEADLINE_MS, 2);
  }

  private release(): void {
    for (const name of ["armed", "held"]) {
      for (const file of readdirSync(join(this.folder, name))) {
        rmSync(join(this.folder, name, file), { force: true });
      }
    }
  }

  private async kill(name: string, killed: () => void): Promise<Outage> {
    const { platform } = this;
    const killedAt = performance.now();
    const addresses =
      name === "whole"
        ? CLUSTERS.map((id) => platform.ingressOf(id))
        : CLUSTERS.filter((id) => id === name).map((id) => platform.ingressOf(id));
    if (name === "whole") {
      await platform.terminate("SIGKILL");
    } else {
      const pid = name === "postgres" ? platform.postgresPid : platform.pidOf(name);
      process.kill(pid, "SIGKILL");
      await until(`${name} is dead`, () => !isAlive(pid), 5_000, 1);
    }
    const deadAt = performance.now();
    this.release();
    killed();
    if (name === "whole") await platform.boot();
    for (const id of CLUSTERS) {
      await until(
        `${id} answers`,
        async () =>
          (await fetch(`http://${platform.ingressOf(id)}:${platform.httpPort}/`)).status === 404,
      );
    }
    await until("all is ready", () => platform.isReady());
    return {
      killedAt,
      deadAt,
      backAt: performance.now(),
      addresses,
      carriedRequests: addresses.length > 0,
    };
  }

  private async conclude(scene: Scene, outage: Outage, missed: string | undefined): Promise<Row> {
    const { cell, actor, visitors } = scene;
    const faults = missed === undefined ? [] : [missed];
    let outcome = "?";
    let endedMs = Number.NaN;
    try {
      scene.migrationId ||= (await this.newestOf(actor.repl.id)).id;
      const ended = await this.platform.finished(scene.migrationId, END_DEADLINE_MS);
      endedMs = performance.now() - outage.killedAt;
      outcome = ended.outcome;
      const seen = visitors.served;
      await until("visitors are served again", () => visitors.served > seen);
      await visitors.stop();
      actor.acknowledged.push(...visitors.acknowledged);
      faults.push(...(await this.inspect(scene, outcome)));
    } catch (error) {
      faults.push(String(error));
      await visitors.stop();
    }
    const verdict = visitors.verdict(outage);
    return { ...cell, outcome, endedMs, ...verdict, faults: [...faults, ...verdict.faults] };
  }

  /** What must be true of an app after its move has ended, one way or the other. */
  private async inspect({ actor, from, to }: Scene, outcome: string): Promise<string[]> {
    const { repl, acknowledged, app } = actor;
    const home = await this.homeOf(repl);
    const wanted = outcome === "completed" ? to : from;
    if (home.clusterId !== wanted) return [`it lives in ${home.clusterId}, not ${wanted}`];
    let left: readonly string[] = [];
    await until("nothing is left behind", async () => {
      left = await this.remains.of(home);
      return left.length === 0;
    }).catch(() => undefined);
    return [...left, ...(app === "notes" ? notesFaults(this.platform, home, acknowledged) : [])];
  }

  private newestOf(replId: string): Promise<{ readonly id: string }> {
    return until("the API answers", async () => {
      const path = `/v1/migrations?replId=${replId}`;
      const { items } = await this.platform.api<{ items: Migration[] }>("GET", path);
      return items[0] ?? { id: "" };
    });
  }

  private homeOf({ id }: Repl): Promise<Repl> {
    return until("the API answers", () => this.platform.api<Repl>("GET", `/v1/repls/${id}`));
  }
}
