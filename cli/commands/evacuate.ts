import { setTimeout as delay } from "node:timers/promises";

import { path } from "../api-client";
import type { Cluster, Evacuation, EvacuationPlan, Items } from "../api-types";
import type { Command, Input } from "../command";
import type { Context } from "../context";
import { Failure } from "../failure";
import { bar, bytes, clip, count, duration, table } from "../format";

const CLUSTER = { name: "cluster", doc: "its id, such as east" };
const POLL_MS = 500;
/** Without a terminal: a line each time something has changed, and not more often. */
const LINE_EVERY_MS = 2_000;
/** Of a plan; --json has all. */
const MAX_ROWS = 40;

const evacuate: Command = {
  name: "evacuate",
  doc: "Move everything out of a cluster, and watch",
  args: [CLUSTER],
  options: {
    to: { value: "cluster", doc: "where to; the emptiest cluster for each app when left out" },
    "max-concurrent": { value: "moves", doc: "moves at once (8)" },
    "per-minute": { value: "moves", doc: "moves that begin in a minute (1200)" },
    "error-budget": { value: "percent", doc: "stop when more of the last 50 failed (5)" },
    "dry-run": { doc: "show what would be moved, in which order and where to" },
    "no-wait": { doc: "return once it is under way" },
  },
  more: [
    "  The cluster is cordoned, and stays so. What sleeps goes first, then what is stateless, then the",
    "  others by size. It goes on when this is interrupted, and after a restart; the same command again",
    "  watches it. stele evacuate pause, resume and cancel steer it: moves under way come to their end.",
  ].join("\n"),
  run: async (input, context) => {
    const clusterId = input.arg("cluster");
    if (input.isOn("dry-run")) return showPlan(context, clusterId, input.text("to"));
    const started = await start(context, clusterId, input);
    context.say(`${context.paint.bold(clusterId)} is cordoned and evacuated`);
    if (input.isOn("no-wait")) {
      return context.result(started, () => line(context, started));
    }
    const ended = await follow(context, started);
    context.result(ended, () => conclude(context, ended));
    if (ended.state !== "done") throw new Failure(`${clusterId} is not empty: ${ended.state}`);
  },
};

/** Starts one, or finds the one that is under way. */
async function start({ api }: Context, clusterId: string, input: Input): Promise<Evacuation> {
  const limits = {
    to: input.text("to"),
    maxConcurrent: whole(input, "max-concurrent"),
    perMinute: whole(input, "per-minute"),
    errorBudget: whole(input, "error-budget"),
  };
  const open = await findOpen({ api }, clusterId);
  if (!open) return api.post("/v1/evacuations", { clusterId, ...limits });
  if (open.state !== "running") {
    throw new Failure(
      `the evacuation of ${clusterId} is ${open.state}: stele evacuate resume ${clusterId} goes on`,
    );
  }
  if (Object.values(limits).some((limit) => limit !== undefined)) {
    throw new Failure(`${clusterId} is being evacuated already: cancel that first to change it`);
  }
  return open;
}

function whole(input: Input, option: string): number | undefined {
  return input.text(option) === undefined ? undefined : input.number(option);
}

async function findOpen(
  { api }: Pick<Context, "api">,
  clusterId: string,
): Promise<Evacuation | undefined> {
  const query = { clusterId, open: "true" };
  const { items } = await api.get<Items<Evacuation>>("/v1/evacuations", { query });
  return items[0];
}

/** Follows it until it no longer runs. */
async function follow(context: Context, started: Evacuation): Promise<Evacuation> {
  const show = openView(context);
  for (let evacuation = started; ;) {
    show(evacuation);
    if (evacuation.state !== "running") return evacuation;
    await delay(POLL_MS, undefined, { signal: context.signal });
    evacuation = await context.api.get<Evacuation>(path`/v1/evacuations/${started.id}`);
  }
}

/** On a terminal one block, drawn over itself; elsewhere a line when something has changed. */
function openView(context: Context): (evacuation: Evacuation) => void {
  const isLive = context.isTty && !context.json;
  let lines = 0;
  let last = "";
  let lastMs = Number.NEGATIVE_INFINITY;
  return (evacuation) => {
    if (isLive) {
      // A line that wraps would be two on the way back up.
      const block = [progressBar(evacuation), line(context, evacuation)].map((text) =>
        clip(text, context.columns()),
      );
      const back = lines === 0 ? "" : `\u001b[${lines}A`;
      context.write(`${back}\u001b[J${block.join("\n")}\n`);
      lines = block.length;
      return;
    }
    const text = line(context, evacuation);
    if (text === last || context.now() - lastMs < LINE_EVERY_MS) return;
    last = text;
    lastMs = context.now();
    context.say(text);
  };
}

function progressBar({ moved, remaining }: Evacuation): string {
  const total = moved + (remaining ?? 0);
  return bar(remaining === null ? 0 : total === 0 ? 1 : moved / total);
}

/** How it stands, in one line. */
function line({ paint }: Pick<Context, "paint">, evacuation: Evacuation): string {
  const { moved, remaining, underWay, failed, etaMs, reason, state } = evacuation;
  const parts = [
    remaining === null ? "looking" : `${moved} of ${count(moved + remaining, "app")} moved`,
    `${underWay} under way`,
    ...(failed.length > 0 ? [paint.yellow(`${failed.length} failed`)] : []),
    ...(etaMs ? [`about ${duration(etaMs)} left`] : []),
    ...(state === "running" && reason !== null ? [paint.dim(reason)] : []),
  ];
  return `  ${parts.join(", ")}`;
}

/** The last lines: how it ended, and what could not be moved. */
function conclude(context: Context, evacuation: Evacuation): string {
  const { paint } = context;
  const { state, reason, clusterId, moved, createdAt, finishedAt, failed } = evacuation;
  const tookMs = Date.parse(finishedAt ?? createdAt) - Date.parse(createdAt);
  const because = reason === null ? "" : `: ${reason}`;
  switch (state) {
    case "done":
      return `${paint.green("done")} in ${duration(tookMs)}: ${count(moved, "app")} moved, nothing lives in ${clusterId}; it stays cordoned`;
    case "incomplete":
      return `${paint.red("incomplete")}${because}\n${failures(failed)}`;
    case "stopped":
      return `${paint.red("stopped")}${because}; stele evacuate resume ${clusterId} goes on\n${failures(failed)}`;
    default:
      return `${paint.yellow(state)}: ${count(moved, "app")} moved, ${count(evacuation.underWay, "move")} under way`;
  }
}

function failures(failed: Evacuation["failed"]): string {
  const rows = failed.map(({ name, owner, failures: times, reason }) => [
    `${name}.${owner}`,
    String(times),
    reason,
  ]);
  return table(["NOT MOVED", ">FAILED", "WHY"], rows);
}

async function showPlan(context: Context, clusterId: string, to?: string): Promise<void> {
  const plan = await context.api.post<EvacuationPlan>("/v1/evacuations/plan", { clusterId, to });
  context.result(plan, () => renderPlan(plan));
}

function renderPlan({ clusterId, items, moving, bytes: total }: EvacuationPlan): string {
  const modes = tally(items.map(({ mode }) => mode ?? "unknown"));
  const homes = tally(items.map(({ to }) => `to ${to}`));
  const rows = items
    .slice(0, MAX_ROWS)
    .map(({ name, owner, mode, bytes: size, to }, index) => [
      String(index + 1),
      `${name}.${owner}`,
      mode ?? "unknown",
      size === null ? "" : bytes(size),
      to,
    ]);
  const hidden = items.length - rows.length;
  return [
    `${count(items.length, "app")} would move out of ${clusterId}, ${bytes(total)}`,
    ...(items.length === 0 ? [] : [`  ${modes}`, `  ${homes}`]),
    ...(moving === 0 ? [] : [`  ${moving} more move already`]),
    ...(items.length === 0 ? [] : ["", table([">", "APP", "MODE", ">SIZE", "TO"], rows)]),
    ...(hidden > 0 ? [`and ${hidden} more: --json shows all`] : []),
  ].join("\n");
}

/** `480 asleep, 20 overlap`. */
function tally(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, n]) => `${n} ${word}`).join(", ");
}

/** `evacuate pause`, `resume` and `cancel`. */
function steering(asked: "pause" | "resume" | "cancel", doc: string): Command {
  return {
    name: `evacuate ${asked}`,
    doc,
    args: [CLUSTER],
    run: async (input, context) => {
      const clusterId = input.arg("cluster");
      const open = await findOpen(context, clusterId);
      if (!open) throw new Failure(`${clusterId} is not being evacuated`);
      const route = path`/v1/evacuations/${open.id}/${asked}`;
      const changed = await context.api.post<Evacuation>(route, {});
      context.result(changed, () => `${clusterId}: ${changed.state}\n${line(context, changed)}`);
    },
  };
}

const evacuations: Command = {
  name: "evacuations",
  doc: "List the evacuations, newest first",
  run: async (_input, context) => {
    const { items } = await context.api.get<Items<Evacuation>>("/v1/evacuations");
    context.result({ items }, () => renderList(context, items));
  },
};

function renderList({ paint }: Context, items: readonly Evacuation[]): string {
  const titles = [
    "CLUSTER",
    "STATE",
    "TO",
    ">MOVED",
    ">LEFT",
    ">UNDER WAY",
    ">FAILED",
    "ABOUT",
    "WHY",
  ];
  const rows = items.map((one) => [
    paint.bold(one.clusterId),
    one.state === "done" ? paint.green(one.state) : paint.yellow(one.state),
    one.to ?? "any",
    String(one.moved),
    one.remaining === null ? "" : String(one.remaining),
    String(one.underWay),
    String(one.failed.length),
    one.etaMs ? duration(one.etaMs) : "",
    one.reason ?? "",
  ]);
  return table(titles, rows);
}

/** `cordon` and `uncordon`. */
function cordoning(name: "cordon" | "uncordon", state: Cluster["state"], doc: string): Command {
  return {
    name,
    doc,
    args: [CLUSTER],
    run: async (input, context) => {
      const clusterId = input.arg("cluster");
      const open = state === "active" ? await findOpen(context, clusterId) : undefined;
      if (open?.state === "running") {
        throw new Failure(
          `${clusterId} is being evacuated: stele evacuate cancel ${clusterId} first`,
        );
      }
      const route = path`/v1/clusters/${clusterId}`;
      const cluster = await context.api.patch<Cluster>(route, { state });
      context.result(cluster, () => `${clusterId} is ${cluster.state}`);
    },
  };
}

export const evacuateCommands: readonly Command[] = [
  evacuate,
  steering("pause", "Begin no more moves out of a cluster for now"),
  steering("resume", "Go on with an evacuation that was paused or has stopped"),
  steering("cancel", "End an evacuation; the cluster stays cordoned"),
  evacuations,
  cordoning("cordon", "cordoned", "Place nothing in a cluster from now on"),
  cordoning("uncordon", "active", "Let apps be placed in a cluster again"),
];
