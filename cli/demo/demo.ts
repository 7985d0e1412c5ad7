import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { type Api, path } from "../api-client";
import type { Cluster, Items, Migration, Repl } from "../api-types";
import { DEFAULT_OWNER, orNothing } from "../apps";
import type { Command } from "../command";
import { follow } from "../commands/move";
import type { Context } from "../context";
import { Failure, usage } from "../failure";
import { clip } from "../format";
import { cached, type NameServer, openNameServer } from "../resolve";
import { watchAddress } from "./freshness";
import { findOrStart } from "./own-platform";
import { type AppResult, hasFailed, type MoveResult, renderLive, renderResult } from "./render";
import { Visitors } from "./visitors";

const DNS_CACHE_MS = 1_000;
const REFRESH_MS = 200;
const MIN_SECONDS = 5;
const HELLO_PART = 0.6;
const DEPLOY_TIMEOUT_MS = 60_000;
const SETTLE_MS = 10_000; // Without visitors the old containers drain at once.
const SWITCHED = new Set(["draining", "cleaning", "completed", "rolled_back"]);
const APPS = ["hello", "notes"] as const;

/** One app under load: where it is, what its visitors see, and how its moves went. */
interface Act {
  readonly name: (typeof APPS)[number];
  readonly repl: Repl;
  readonly visitors: Visitors;
  readonly moves: MoveResult[];
  readonly migrations: Migration[];
  cluster: string;
  moving: string;
}

interface Stage {
  readonly context: Context;
  readonly api: Api;
  readonly clusters: readonly Cluster[];
  readonly server: NameServer;
  readonly acts: readonly Act[];
}

const demo: Command = {
  name: "demo",
  doc: "Load two apps while they move to the other cluster and back",
  options: {
    rate: { value: "count", default: "300", doc: "requests a second, in all" },
    seconds: { value: "count", default: "20", doc: `how long, ${MIN_SECONDS} at least` },
  },
  more: [
    "  Uses the platform that runs, or starts one for itself. Visitors ask our name server, some at each",
    "  request, some once and never again; they read, post, upload, stream, keep WebSockets open, write",
    "  notes and read them back. Exit code 1 if a single request failed or a note is lost.",
  ].join("\n"),
  run: async (input, context) => {
    const rate = input.number("rate");
    const seconds = input.number("seconds");
    if (rate < 1) throw usage(`--rate "${rate}": at least 1 is expected`);
    if (seconds < MIN_SECONDS) throw usage(`--seconds "${seconds}": at least ${MIN_SECONDS}`);
    const platform = await findOrStart(context);
    const server = openNameServer(context.dnsServer);
    try {
      const results = await play(await prepare(context, platform.api, server, rate), seconds);
      context.result({ failed: hasFailed(results), apps: results }, () =>
        renderResult(context.paint, results),
      );
      if (hasFailed(results)) throw new Failure("the demo failed: see above");
    } finally {
      server.close();
      await platform.stop();
    }
  },
};

async function prepare(
  context: Context,
  api: Api,
  server: NameServer,
  rate: number,
): Promise<Stage> {
  const { items } = await api.get<Items<Cluster>>("/v1/clusters");
  const clusters = items.filter(({ state }) => state === "active");
  if (clusters.length < 2) {
    throw new Failure(
      `the demo needs two clusters: there ${clusters.length === 1 ? "is one" : "are none"}`,
    );
  }
  const repls = await Promise.all(APPS.map((name) => findOrDeploy(context, api, name)));
  const resolve = cached(server, () => performance.now(), DNS_CACHE_MS);
  const acts = repls.map((repl, at): Act => {
    const name = APPS[at] ?? "hello";
    const part = name === "hello" ? HELLO_PART : 1 - HELLO_PART;
    const visitors = new Visitors({
      host: repl.host,
      port: clusters.find(({ id }) => id === repl.clusterId)?.httpPort ?? 80,
      resolve,
      clusterAt: (address) => clusterAt(items, address),
      app: name,
      requestsPerSecond: rate * part,
    });
    const { clusterId: cluster } = repl;
    return { name, repl, visitors, moves: [], migrations: [], cluster, moving: "" };
  });
  return { context, api, clusters, server, acts };
}

/** The only cluster with that ingress address; none where they share it, as on macOS. */
function clusterAt(clusters: readonly Cluster[], address: string): string {
  const there = clusters.filter(({ ingress }) => ingress.includes(address));
  return there.length === 1 ? (there[0]?.id ?? "") : "";
}

async function findOrDeploy({ root }: Context, api: Api, name: string): Promise<Repl> {
  const there = api.get<Repl>(path`/v1/repls/by-name/${DEFAULT_OWNER}/${name}`);
  const found = await orNothing(there);
  if (found) return found;
  const policy = name === "notes" ? "handoff" : "auto";
  const repl = await api.post<Repl>("/v1/repls", { name, owner: DEFAULT_OWNER, policy });
  const body = { directory: join(root, "examples", name) };
  const timeoutMs = DEPLOY_TIMEOUT_MS;
  await api.put(path`/v1/repls/${repl.id}/release`, body, { timeoutMs });
  return repl;
}

/** Loads the apps and moves them, one after the other, there and back. */
async function play(stage: Stage, seconds: number): Promise<AppResult[]> {
  const { context, acts } = stage;
  const totalMs = seconds * 1000;
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  for (const act of acts) await act.visitors.start();
  const view = openView(stage, () => ({ elapsedMs: Math.min(elapsed(), totalMs), totalMs }));
  try {
    const turns = [...acts, ...acts];
    for (const [at, act] of turns.entries()) {
      await pause(context, (totalMs * (at + 1)) / (turns.length + 1) - elapsed());
      await moveOnce(stage, act);
    }
    await pause(context, totalMs - elapsed());
  } finally {
    view.close();
    await Promise.all(acts.map(({ visitors }) => visitors.stop()));
  }
  await Promise.all(acts.map((act) => settle(stage, act)));
  return acts.map(({ repl, visitors, moves }) => ({
    app: `${repl.name}.${repl.owner}`,
    visits: visitors.report(),
    moves,
  }));
}

async function pause({ signal }: Context, ms: number): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
  if (signal.aborted) throw new Failure("interrupted");
}

/** Moves the app to the other cluster; returns once the other cluster is in charge. */
async function moveOnce({ api, clusters, server }: Stage, act: Act): Promise<void> {
  const { repl } = act;
  const from = act.cluster;
  const home = repl.clusterId;
  const to = from === home ? (clusters.find(({ id }) => id !== home)?.id ?? home) : home;
  const before = clusters.find(({ id }) => id === from)?.ingress[0] ?? "";
  const watch = watchAddress(server, repl.host, before);
  const startedAt = performance.now();
  act.moving = to;
  const started = await api.post<Migration>("/v1/migrations", { replId: repl.id, to });
  const migration = await follow(
    { api },
    started,
    ({ phase }) => (act.moving = `${to}: ${phase}`),
    ({ phase }) => SWITCHED.has(phase),
  );
  const switchedMs = performance.now() - startedAt;
  watch.stop();
  act.moving = "";
  act.migrations.push(migration);
  const { committedAt, holdMs, mode, outcome, reason } = migration;
  if (committedAt !== null) act.cluster = to;
  const changedAt = committedAt === null ? null : await watch.changedAt;
  const dnsFreshMs =
    changedAt === null || committedAt === null
      ? null
      : Math.max(0, changedAt - Date.parse(committedAt));
  act.moves.push({ from, to, mode, outcome, reason, switchedMs, holdMs, dnsFreshMs });
}

/** Waits for the moves' ends, so that what is shown is how they ended. */
async function settle({ api }: Stage, act: Act): Promise<void> {
  const giveUpAt = performance.now() + SETTLE_MS;
  for (const [at, migration] of act.migrations.entries()) {
    const ended = await follow(
      { api },
      migration,
      () => undefined,
      () => performance.now() > giveUpAt,
    );
    const move = act.moves[at];
    if (!move) continue;
    const { outcome, reason, holdMs } = ended;
    act.moves[at] = { ...move, outcome, reason, holdMs };
  }
}

/** On a terminal one block, drawn over itself; elsewhere nothing. */
function openView(
  { context, acts }: Stage,
  progress: () => { elapsedMs: number; totalMs: number },
): { close: () => void } {
  if (!context.isTty || context.json) return { close: () => undefined };
  let lines = 0;
  const draw = (): void => {
    const apps = acts.map(({ repl, cluster, moving, visitors }) => ({
      app: `${repl.name}.${repl.owner}`,
      cluster,
      moving,
      visits: visitors.report(),
    }));
    // A line that wraps would be two on the way back up.
    const block = renderLive(context.paint, apps, progress())
      .split("\n")
      .map((line) => clip(line, context.columns()));
    const back = lines === 0 ? "" : `\u001b[${lines}A`;
    context.write(`${back}\u001b[J${block.join("\n")}\n`);
    lines = block.length;
  };
  draw();
  const timer = setInterval(draw, REFRESH_MS);
  return {
    close: () => {
      clearInterval(timer);
      draw();
      context.write("\n");
    },
  };
}

export const demoCommands: readonly Command[] = [demo];
