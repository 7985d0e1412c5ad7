import { columns } from "../cli/format";
import { settings as clusters } from "../clusters/settings";
import { settings as containers } from "../containers/settings";
import { settings as dns } from "../dns/settings";
import { settings as migrations } from "../migrations/settings";
import { settings as proxy } from "../proxy/settings";
import { settings as channel } from "../shared/channel/settings";
import { type Setting, settingsFaults, type SettingsTable } from "../shared/settings";
import { settings as laptop } from "./settings";

/** The settings of each room, in the order in which one meets them. */
const ROOMS: ReadonlyArray<readonly [room: string, table: SettingsTable]> = [
  ["laptop", laptop],
  ["clusters", clusters],
  ["migrations", migrations],
  ["containers", containers],
  ["proxy", proxy],
  ["dns", dns],
  ["channel", channel],
];

/** Ours by name, but read by something else: the command line, the tests, the runtime itself. */
const READ_ELSEWHERE = [
  "STELE_API",
  "STELE_DNS",
  "STELE_E2E",
  "STELE_FAILPOINTS_DIR",
  "STELE_TEST_COUNTS",
];
const READ_ELSEWHERE_PREFIXES = ["STELE_SECRET_", "STELE_DATABASE_"];

export interface RoomSettings {
  readonly room: string;
  readonly settings: ReadonlyArray<Setting<unknown>>;
}

/** Every setting once, at the first room that has it. */
export function allSettings(): readonly RoomSettings[] {
  const seen = new Set<string>();
  return ROOMS.map(([room, table]) => ({
    room,
    settings: Object.values(table).filter(({ name }) => {
      const isNew = !seen.has(name);
      seen.add(name);
      return isNew;
    }),
  }));
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What is wrong with the environment, one line each: malformed values and names that mean nothing. */
export function environmentFaults(env: Environment): readonly string[] {
  const malformed = ROOMS.flatMap(([, table]) => settingsFaults(table, env));
  const known = new Set(ROOMS.flatMap(([, table]) => Object.values(table).map(({ name }) => name)));
  const unknown = Object.keys(env)
    .filter((name) => name.startsWith("STELE_") && !known.has(name))
    .filter((name) => !READ_ELSEWHERE.includes(name))
    .filter((name) => !READ_ELSEWHERE_PREFIXES.some((prefix) => name.startsWith(prefix)))
    .sort()
    .map((name) => `${name}: there is no such setting; npm start -- --help lists them`);
  return [...new Set(malformed), ...unknown];
}

/** For a terminal: name, default, meaning, room by room. */
export function settingsText(): string {
  const all = allSettings().flatMap(({ settings }) => settings);
  const widths = {
    name: Math.max(...all.map(({ name }) => name.length)),
    value: Math.max(...all.map((setting) => shown(setting).length)),
  };
  return allSettings()
    .map(({ room, settings }) => {
      const rows = settings.map((setting) => [
        `  ${setting.name.padEnd(widths.name)}`,
        shown(setting).padEnd(widths.value),
        setting.doc,
      ]);
      return `${room}\n${columns(rows)}`;
    })
    .join("\n\n");
}

/** For the README: the same, as one table in Markdown. */
export function settingsMarkdown(): string {
  const rows = allSettings().flatMap(({ room, settings }) =>
    settings.map(({ name, default: value, doc }) => {
      const escaped = doc.replaceAll("|", "\\|");
      return `| ${room} | \`${name}\` | ${value === "" ? "" : `\`${value}\``} | ${escaped} |`;
    }),
  );
  return ["| room | setting | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

function shown({ default: value }: Setting<unknown>): string {
  return value === "" ? "-" : value;
}
