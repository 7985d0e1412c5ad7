import { path } from "../api-client";
import type { DeadEvent, DeadEventList, ReplayedEvent } from "../api-types";
import type { Command } from "../command";
import type { Context } from "../context";
import { Failure } from "../failure";
import { age, count, table } from "../format";
import { unreachableLines } from "./status";

const ALL = "all";

const dead: Command = {
  name: "events dead",
  doc: "List events that could not be handled",
  more: [
    "  An event is one of these when no try can handle it: it is of a version that its receiver cannot",
    "  read, or malformed. Receivers also read the placement log, so nothing waits for it.",
  ].join("\n"),
  run: async (_input, context) => {
    const list = await read(context);
    context.result(list, () => render(context, list));
  },
};

async function read({ api }: Context): Promise<DeadEventList> {
  return api.get<DeadEventList>("/v1/events/dead");
}

function render(context: Context, { items, dropped, unreachable }: DeadEventList): string {
  const { paint, now } = context;
  const rows = items.map((event) => [
    paint.bold(event.id),
    placeOf(event),
    event.subscription,
    String(event.times),
    age(event.lastAt, now()),
    event.error,
  ]);
  const parts = [
    items.length === 0
      ? "no dead events"
      : table(["EVENT", "AT", "SUBSCRIPTION", ">TIMES", ">LAST", "ERROR"], rows),
  ];
  if (dropped > 0) parts.push(paint.yellow(`${count(dropped, "older one")} dropped`));
  return [...parts, ...unreachableLines(paint, unreachable)].join("\n\n");
}

function placeOf({ clusterIds }: DeadEvent): string {
  return clusterIds.length === 0 ? "name servers" : clusterIds.join(" ");
}

const replay: Command = {
  name: "events replay",
  doc: "Handle dead events again",
  args: [{ name: "event", doc: "its id, or all", repeated: true }],
  more: "  An event that is handled is dead no more; one that cannot be is kept, with its error.",
  run: async (input, context) => {
    const ids = input.rest.includes(ALL)
      ? (await read(context)).items.map(({ id }) => id)
      : input.rest;
    const items: ReplayedEvent[] = [];
    for (const id of ids) {
      items.push(await context.api.post<ReplayedEvent>(path`/v1/events/dead/${id}/replay`, {}));
    }
    context.result({ items }, () => renderReplayed(context, items));
    const left = items.filter(({ outcome }) => outcome === "dead").length;
    if (left > 0) throw new Failure(`${count(left, "event")} could not be handled`);
  },
};

function renderReplayed({ paint }: Context, items: readonly ReplayedEvent[]): string {
  if (items.length === 0) return "no dead events";
  const rows = items.map(({ id, outcome, error }) => [
    paint.bold(id),
    outcome === "handled" ? paint.green(outcome) : paint.yellow("dead"),
    error,
  ]);
  return table(["EVENT", "OUTCOME", "ERROR"], rows);
}

export const eventCommands: readonly Command[] = [dead, replay];
