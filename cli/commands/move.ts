import { path } from "../api-client";
import type { Migration } from "../api-types";
import { findApp } from "../apps";
import type { Command, Input } from "../command";
import type { Context } from "../context";
import { Failure, usage } from "../failure";
import { duration } from "../format";

const WATCH_MS = 10_000;
/** The API's own wait, and the way there and back. */
const WATCH_TIMEOUT_MS = WATCH_MS + 5_000;
const MODES = ["asleep", "overlap", "handoff", "stop-copy"];
const PHASE_COLUMN = 12;

/** Follows a migration to its end; `onChange` hears of every new phase. */
export async function follow(
  { api }: Pick<Context, "api">,
  started: Migration,
  onChange: (migration: Migration, seen: number) => void,
  isEnough: (migration: Migration) => boolean = ({ outcome }) => outcome !== "open",
): Promise<Migration> {
  let migration = started;
  for (let seen = 0; ;) {
    onChange(migration, seen);
    seen = migration.steps.length;
    if (isEnough(migration) || migration.outcome !== "open") return migration;
    migration = await api.get<Migration>(path`/v1/migrations/${migration.id}/watch`, {
      query: { after: seen, waitMs: WATCH_MS },
      timeoutMs: WATCH_TIMEOUT_MS,
    });
  }
}

const move: Command = {
  name: "move",
  doc: "Move an app to another cluster, and watch",
  args: [
    { name: "app", doc: "name.owner, a name, or an id" },
    { name: "cluster", doc: "where to; left out with --undo", optional: true },
  ],
  options: {
    undo: { doc: "back to the cluster that it came from" },
    mode: {
      value: "mode",
      doc: "asleep, overlap, handoff or stop-copy; chosen from the app when left out",
    },
    cut: { doc: "cut off requests that do not end within 2 s, instead of giving up as busy" },
    "no-wait": { doc: "return once the move is under way" },
  },
  more: [
    "  The move goes on when this is interrupted. The old cluster serves its last visitors after the",
    "  commit (draining), for a minute at most.",
    "",
    "  stop-copy is for apps that write faster than their files can be copied: the app stands still until",
    "  all is copied. Visitors wait 10 s at most, then they get 503 with Retry-After.",
    "",
    "  --undo is another move, with what the app has written since. For a day its files stay where it was, so",
    "  that only what has changed is sent back.",
  ].join("\n"),
  run: async (input, context) => {
    const app = await findApp(context.api, input.arg("app"));
    const started = await start(context, app.id, input);
    const name = `${app.name}.${app.owner}`;
    context.say(`${context.paint.bold(name)}: ${started.from} → ${started.to}`);
    const ended = input.isOn("no-wait")
      ? started
      : await follow(context, started, (migration, seen) => show(context, migration, seen));
    context.result(ended, () => conclude(context, ended));
    if (ended.outcome === "rolled_back") throw new Failure(`${name} was not moved`);
  },
};

async function start({ api }: Context, replId: string, input: Input): Promise<Migration> {
  const mode = input.text("mode");
  if (mode !== undefined && !MODES.includes(mode)) {
    throw usage(`--mode "${mode}": ${MODES.join(", ")} are the modes`);
  }
  const [to, undo] = [input.arg("cluster"), input.isOn("undo")];
  if ((to === "") !== undo) throw usage("stele move <app>: give either a cluster or --undo");
  const where = undo ? { undo } : { to };
  const body = { replId, ...where, mode, cut: input.isOn("cut") || undefined };
  return api.post<Migration>("/v1/migrations", body);
}

function show(context: Context, { steps }: Migration, seen: number): void {
  for (const { phase, ms } of steps.slice(seen)) {
    context.say(`  ${phase.padEnd(PHASE_COLUMN)}${duration(ms).padStart(8)}`);
  }
}

/** The last line: how it ended, and what visitors saw of it. */
export function conclude(context: Pick<Context, "paint">, migration: Migration): string {
  const { paint } = context;
  const { outcome, id, mode, generation, reason, from, to } = migration;
  if (outcome === "open") return `under way: migration ${id}`;
  if (outcome === "rolled_back") {
    return `${paint.red("rolled back")}: ${reason ?? "no reason given"}; it is in ${from} as before`;
  }
  const total = totalMs(migration);
  const line = `${paint.green("completed")} in ${duration(total)}: in ${to}, generation ${generation}, by ${mode}; ${pauseOf(migration)}`;
  return [line, ...leftOutOf(context, migration)].join("\n");
}

function pauseOf({ holdMs, mode }: Migration): string {
  if (holdMs === null) return "nothing was held";
  if (mode === "stop-copy") return `it stood still for ${duration(holdMs)}`;
  return `requests were held for ${duration(holdMs)} at most`;
}

/** A folder may hold a great many; the API names them. */
const MAX_LEFT_OUT = 10;

function leftOutOf({ paint }: Pick<Context, "paint">, { leftOut }: Migration): string[] {
  if (leftOut.length === 0) return [];
  const named = leftOut.slice(0, MAX_LEFT_OUT).map((path) => JSON.stringify(path));
  const more = leftOut.length > named.length ? ` and ${leftOut.length - named.length} more` : "";
  const what = "sockets, pipes and devices cannot be moved";
  return [`${paint.yellow("left behind")}: ${named.join(", ")}${more}; ${what}`];
}

function totalMs({ createdAt, finishedAt, steps }: Migration): number {
  if (finishedAt === null) return steps.reduce((sum, { ms }) => sum + ms, 0);
  return Date.parse(finishedAt) - Date.parse(createdAt);
}

export const moveCommands: readonly Command[] = [move];
