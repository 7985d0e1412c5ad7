import { parseArgs } from "node:util";

import { settingsText } from "./settings-table";

export interface Options {
  readonly help: boolean;
  /** Neither clusters nor examples are made. */
  readonly bare: boolean;
  readonly examples: boolean;
  /** Where traces go, by OTLP over HTTP; undefined for nowhere. */
  readonly traceTo: string | undefined;
}

/** Throws an error for the user, with exit code 2, when it is not understood. */
export function readOptions(argv: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean", short: "h", default: false },
        bare: { type: "boolean", default: false },
        "no-examples": { type: "boolean", default: false },
        "trace-to": { type: "string" },
      },
      strict: true,
    });
    const traceTo = values["trace-to"];
    if (traceTo !== undefined && !/^https?:\/\/./.test(traceTo)) {
      throw new Error(`Cannot trace to "${traceTo}": expected such as http://127.0.0.1:4318.`);
    }
    return { help: values.help, bare: values.bare, examples: !values["no-examples"], traceTo };
  } catch (error) {
    const sentence = (error as Error).message.split(/\. |\.$/)[0];
    throw Object.assign(new Error(`${sentence}: see npm start -- --help`), { exitCode: 2 });
  }
}

export function helpText(): string {
  return [
    "Usage: npm start [-- options]",
    "",
    "  Starts the whole platform on this machine: the API, a name server, two clusters, four examples.",
    "  Ctrl-C stops it; the next start finds its data again.",
    "",
    "Options:",
    "  --no-examples     deploy no example apps",
    "  --bare            make no clusters either",
    "  --trace-to <url>  send OpenTelemetry traces there, by OTLP over HTTP: http://127.0.0.1:4318",
    "  -h, --help        show this",
    "",
    "Settings, in the environment; durations are such as 250ms, 3s, 5m:",
    "",
    settingsText(),
  ].join("\n");
}
