import type { AppQueries } from "../api-types";
import type { Command } from "../command";
import { table } from "../format";

const dnsQueries: Command = {
  name: "dns queries",
  doc: "Show how often apps were asked for, one or those most asked for",
  args: [{ name: "app", doc: "name.owner, or an id", optional: true }],
  options: { top: { value: "number", default: "10", doc: "how many apps" } },
  more: "  Counted by the name server behind the API since its start; each one counts by itself.",
  run: async (input, { api, result }) => {
    const app = input.arg("app");
    const query = app === "" ? { top: input.number("top") } : { app };
    const counted = await api.get<{ items: AppQueries[]; instanceId: string }>("/v1/dns/queries", {
      query,
    });
    const rows = counted.items.map(({ id, name, owner, queries }) => {
      return [`${name}.${owner}`, id, String(queries)];
    });
    const nobody = `${counted.instanceId} was asked for no app yet`;
    result(counted, () => (rows.length > 0 ? table(["APP", "ID", ">QUERIES"], rows) : nobody));
  },
};

export const queryCommands: readonly Command[] = [dnsQueries];
