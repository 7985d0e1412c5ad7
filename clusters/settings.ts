import { list, readSettings, type Settings, type SettingsTable, text } from "../shared/settings";

export const settings = {
  zone: {
    name: "STELE_ZONE",
    default: "repl.localhost",
    parse: text,
    doc: "The zone under which repls have their names",
  },
  tokenFile: {
    name: "STELE_TOKEN_FILE",
    default: ".stele/token",
    parse: text,
    doc: "Where the API's token is, unless the secret ApiToken is set; made when it is missing",
  },
  apiOrigins: {
    name: "STELE_API_ORIGINS",
    default: "",
    parse: list,
    doc: "Origins whose pages may use the API, besides the API's own, separated by commas",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;

/** The settings of this process, read at the first use. */
export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}
