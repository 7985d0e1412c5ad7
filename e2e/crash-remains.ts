/** What a move may leave behind of an app, and what not: rows, folders, processes, what it has written. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { openClient } from "../runtime/sql/sql-client";
import { environmentOf } from "../containers/drivers/proc";
import { isSplit, type Platform, type Repl } from "./platform";

const CLUSTERS = ["east", "west"];

interface RouteRow {
  readonly clusterId: string;
  readonly state: string;
  readonly generation: number;
}

type Client = ReturnType<typeof openClient>;

export class Remains {
  private readonly clients = new Map<string, Client>();

  constructor(private readonly platform: Platform) {}

  /** One line for each thing that should not be there; none when all is well. */
  async of(home: Repl): Promise<string[]> {
    return [
      ...(await this.openMoves(home)),
      ...(await this.routes(home)),
      ...(await this.containers(home)),
      ...this.folders(home),
      ...processes(home),
    ];
  }

  async close(): Promise<void> {
    await Promise.all([...this.clients.values()].map((client) => client.end({ timeout: 1 })));
  }

  private database(name: string): Client {
    const found = this.clients.get(name);
    if (found) return found;
    const client = openClient({ ...this.platform.postgres, database: name }, 1);
    this.clients.set(name, client);
    return client;
  }

  private async openMoves({ id }: Repl): Promise<string[]> {
    const decisions = await this.database("clusters")<{ id: string }[]>`
      SELECT migration_id AS id FROM migration_decision WHERE repl_id = ${id} AND status = 'open'`;
    const moves = await this.database("migrations")<{ id: string; phase: string }[]>`
      SELECT id, phase FROM migration WHERE repl_id = ${id} AND finished_at IS NULL`;
    return [
      ...decisions.map((one) => `decision ${one.id} is open`),
      ...moves.map((one) => `migration ${one.id} is in ${one.phase}`),
    ];
  }

  /** The home is active, and nothing else is anything but a tombstone. */
  private async routes({ id, clusterId, generation }: Repl): Promise<string[]> {
    const rows = (
      await Promise.all(
        this.containerDatabases().map(
          (name) => this.database(name)<RouteRow[]>`
            SELECT cluster_id AS "clusterId", state, generation FROM route WHERE repl_id = ${id}`,
        ),
      )
    ).flat();
    const home = rows.find((row) => row.clusterId === clusterId);
    const isHome = home?.state === "active" && Number(home.generation) === generation;
    const others = rows.filter((row) => row.clusterId !== clusterId);
    return [
      ...(isHome
        ? []
        : [`its home's route is ${JSON.stringify(home)}, not active at ${generation}`]),
      ...others
        .filter(({ state }) => state !== "tombstone" && state !== "none")
        .map((row) => `a route is ${row.state} in ${row.clusterId}`),
    ];
  }

  private async containers({ id, clusterId, generation }: Repl): Promise<string[]> {
    const rows = (
      await Promise.all(
        this.containerDatabases().map(
          (name) => this.database(name)<RouteRow[]>`
            SELECT cluster_id AS "clusterId", state, generation FROM container
            WHERE repl_id = ${id} AND state IN ('starting', 'running', 'stopping')`,
        ),
      )
    ).flat();
    const places = rows.map((row) => `${row.state} ${row.clusterId} ${row.generation}`);
    const wanted = `running ${clusterId} ${generation}`;
    return places.join() === wanted ? [] : [`containers: ${places.join(", ")}; wanted: ${wanted}`];
  }

  private containerDatabases(): string[] {
    return isSplit ? CLUSTERS.map((id) => `containers_${id}`) : ["containers"];
  }

  /** Its home's, and the one that is kept where it was for an undo. */
  private folders(home: Repl): string[] {
    return CLUSTERS.flatMap((clusterId) => {
      const folder = replFolder(this.platform, clusterId, home.id);
      const generations = existsSync(folder)
        ? readdirSync(folder).filter((name) => /^\d+$/.test(name))
        : [];
      const isNeeded = (name: string): boolean =>
        clusterId === home.clusterId
          ? name === String(home.generation)
          : generations.length === 1 && existsSync(join(folder, name, "kept"));
      const odd = generations.filter((name) => !isNeeded(name));
      const drafts = generations.filter((name) => existsSync(join(folder, name, "partial")));
      return [
        ...odd.map((name) => `folder ${clusterId}/${name} of ${generations.join()}`),
        ...drafts.map((name) => `drafts in ${clusterId}/${name}`),
      ];
    });
  }
}

/** Of Linux only, where a process tells what it was started with. */
function processes({ id, clusterId, generation }: Repl): string[] {
  if (process.platform !== "linux") return [];
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  const places = pids.flatMap((pid) => {
    const env = environmentOf(pid);
    if (env.get("STELE_REPL") !== id) return [];
    return [`${env.get("STELE_CLUSTER")} ${env.get("STELE_GENERATION")}`];
  });
  const wanted = `${clusterId} ${generation}`;
  const odd = places.filter((place) => place !== wanted);
  return odd.map((place) => `a process of ${place}; home is ${wanted}`);
}

function replFolder(platform: Platform, clusterId: string, replId: string): string {
  const apps = platform.appsDirectory;
  return join(isSplit ? join(apps, clusterId) : apps, clusterId, replId);
}

/**
 * The file that the app appends its visitors' counters to: those of each are in order, none is there
 * twice, and none that was acknowledged is missing. A second writer, or a lost write, shows.
 */
export function notesFaults(
  platform: Platform,
  { id, clusterId, generation }: Repl,
  acknowledged: readonly string[],
): string[] {
  const folder = join(replFolder(platform, clusterId, id), String(generation), "files");
  const lines = readFileSync(join(folder, "notes.jsonl"), "utf8").split("\n");
  const texts = lines.slice(0, -1).map((line) => (JSON.parse(line) as { text: string }).text);
  const there = new Set(texts);
  const missing = acknowledged.filter((text) => !there.has(text));
  const last = new Map<string, number>();
  const late = texts.filter((text) => {
    const [, lane = "", count = ""] = /^(.*) (\d+)$/.exec(text) ?? [];
    const before = last.get(lane) ?? 0;
    last.set(lane, Number(count));
    return Number(count) <= before;
  });
  return [
    ...missing.map((text) => `"${text}" was acknowledged and is not in the file`),
    ...late.map((text) => `"${text}" is in the file twice, or out of order`),
    ...(there.size === texts.length ? [] : [`${texts.length - there.size} lines are doubled`]),
  ];
}
