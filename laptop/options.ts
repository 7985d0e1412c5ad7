import { parseArgs } from "node:util";

import { settingsText } from "./settings-table";

export interface Options {
  readonly help: boolean;
  /** Neither clusters nor examples are made. */
  readonly bare: boolean;
  readonly examples: boolean;
  /** Where traces go, by OTLP over HTTP; undefined for nowhere. */
  readonly traceTo: string | undefined;
  /** A PostgreSQL for each server that the configs name, instead of one for all. */
  readonly ownServers: boolean;
  /** Infra configs of more processes: clusters, further proxies. */
  readonly also: readonly string[];
}

export type Command = "start" | "run split";

/** Throws an error for the user, with exit code 2, when it is not understood. */
export function readOptions(argv: readonly string[], command: Command = "start"): Options {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean", short: "h", default: false },
        bare: { type: "boolean", default: false },
        "no-examples": { type: "boolean", default: false },
        "trace-to": { type: "string" },
        "own-servers": { type: "boolean", default: false },
        also: { type: "string", multiple: true, default: [] },
      },
      strict: true,
    });
    const traceTo = values["trace-to"];
    if (traceTo !== undefined && !/^https?:\/\/./.test(traceTo)) {
      throw new Error(`Cannot trace to "${traceTo}": expected such as http://127.0.0.1:4318.`);
    }
    const { help, bare, also, "own-servers": ownServers } = values;
    if (command === "start" && also.length > 0) throw new Error("Unknown option '--also'");
    if (command === "start" && ownServers) throw new Error("Unknown option '--own-servers'");
    return { help, bare, examples: !values["no-examples"], traceTo, ownServers, also };
  } catch (error) {
    const sentence = (error as Error).message.split(/\. |\.$/)[0];
    throw Object.assign(new Error(`${sentence}: see npm ${command} -- --help`), { exitCode: 2 });
  }
}

const SUMMARY: Readonly<Record<Command, string>> = {
  start:
    "  Starts the whole platform on this machine: the API, a name server, two clusters, four examples.",
  "run split":
    "  The same in three processes, from deploy/: control, east and west, each with databases of its own.",
};

export function helpText(command: Command = "start"): string {
  return [
    `Usage: npm ${command} [-- options]`,
    "",
    SUMMARY[command],
    "  Ctrl-C stops it; the next start finds its data again.",
    "",
    "Options:",
    "  --no-examples     deploy no example apps",
    "  --bare            make no clusters either",
    "  --trace-to <url>  send OpenTelemetry traces there, by OTLP over HTTP: http://127.0.0.1:4318",
    ...(command === "start"
      ? []
      : [
          "  --own-servers     run a PostgreSQL for each server that the configs name, instead of one for all",
          "  --also <config>   start one more process from such an infra config: a cluster, which POST /v1/clusters",
          "                    adds, or a further proxy of one",
        ]),
    "  -h, --help        show this",
    "",
    "Settings, in the environment; durations are such as 250ms, 3s, 5m:",
    "",
    settingsText(),
  ].join("\n");
}
