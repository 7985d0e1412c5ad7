import { path } from "../api-client";
import type { Zone } from "../api-types";
import type { Command } from "../command";

const ZONE = [{ name: "zone", doc: "such as example.org" }];

const zoneAdd: Command = {
  name: "dns zone add",
  doc: "Make a zone; one that exists stays as it is",
  args: ZONE,
  run: async (input, context) => {
    const zone = await context.api.put<Zone>(path`/v1/dns/zones/${input.arg("zone")}`, {});
    context.result(zone, () => `${zone.name} is served`);
  },
};

const zoneRm: Command = {
  name: "dns zone rm",
  doc: "Remove a zone with all its records; dns export keeps them",
  args: ZONE,
  more: "  Refused while records of other zones lead into it. Made anew, it has a later serial.",
  run: async (input, context) => {
    const zone = input.arg("zone");
    await context.api.delete(path`/v1/dns/zones/${zone}`);
    context.result({ removed: zone }, () => `${zone} is removed`);
  },
};

export const zoneCommands: readonly Command[] = [zoneAdd, zoneRm];
