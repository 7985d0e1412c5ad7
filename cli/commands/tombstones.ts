import type { Items, Tombstone } from "../api-types";
import { findApp } from "../apps";
import type { Command } from "../command";
import type { Context } from "../context";
import { age, duration, table } from "../format";
import { unreachableLines } from "./status";

const tombstones: Command = {
  name: "tombstones",
  doc: "List where visitors of apps that have moved are still forwarded",
  options: { app: { value: "app", doc: "only those of this app" } },
  more: [
    "  A tombstone stays for a day at least, and until nobody has used it for seven (settings of the",
    "  cluster). Whoever comes later is forwarded all the same, after the authority was asked.",
  ].join("\n"),
  run: async (input, context) => {
    const app = input.text("app");
    const query = app === undefined ? {} : { replId: (await findApp(context.api, app)).id };
    const list = await context.api.get<Items<Tombstone>>("/v1/tombstones", { query });
    context.result(list, () => render(context, list));
  },
};

function render({ paint, now }: Context, { items, unreachable }: Items<Tombstone>): string {
  const rows = items.map((item) => [
    paint.bold(`${item.name}.${item.owner}`),
    item.clusterId,
    item.to,
    String(item.generation),
    age(item.since, now()),
    String(item.hits),
    age(item.lastHitAt, now()),
    duration(Math.max(0, Date.parse(item.goesAt) - now())),
  ]);
  const titles = ["APP", "AT", "LEADS TO", ">GENERATION", ">AGE", ">USED", ">LAST", ">GOES IN"];
  const shown = items.length === 0 ? "no tombstones" : table(titles, rows);
  return [shown, ...unreachableLines(paint, unreachable ?? [])].join("\n\n");
}

export const tombstoneCommands: readonly Command[] = [tombstones];
