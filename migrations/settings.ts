import { integer, readSettings, type Settings, type SettingsTable } from "../shared/settings";

export const settings = {
  maxFrozen: {
    name: "STELE_MAX_FROZEN",
    default: "2",
    parse: integer(1, 256),
    doc: "So many apps have their requests held by moves at once: copies and starts that share a machine make each other's holds longer",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;

/** The settings of this process, read at the first use. */
export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}
