import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

export const HELP = `Usage: stele-runtime [options]

  Runs the Encore application of this folder, or of the nearest one above with an encore.app: reads its
  source, starts a PostgreSQL for its databases, migrates them, serves. Ctrl-C drains and stops it.

Options:
  --listen <host:port>   where the API listens; 127.0.0.1:4000
  --state-dir <folder>   where data, bundles and the database are kept; .stele beside encore.app
  --database-url <url>   a PostgreSQL of your own, postgres://user:password@host:port/database;
                         DATABASE_URL does the same
  --infra <file>         Encore's infra config: which services and databases, which others there are;
                         no PostgreSQL is started, and its secrets are in the environment
  --log <level>          trace, debug, info, warn or error; info has two lines for each request
  --drain <seconds>      how long requests may take to end at Ctrl-C or SIGTERM; 3, or what --infra says
  -h, --help             show this

Without --infra secrets are read from .secrets.local.cue beside encore.app.`;

const LEVELS = ["trace", "debug", "info", "warn", "error"];

export interface CommandOptions {
  readonly help: boolean;
  readonly listen: string;
  readonly log: string;
  readonly drainSeconds: number;
  readonly stateDir?: string;
  readonly databaseUrl?: string;
  readonly infraFile?: string;
}

/** @throws an error for the user, with exit code 2, when the options are not understood */
export function readOptions(argv: readonly string[], env: NodeJS.ProcessEnv): CommandOptions {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        help: { type: "boolean", short: "h", default: false },
        listen: { type: "string", default: "127.0.0.1:4000" },
        "state-dir": { type: "string" },
        infra: { type: "string" },
        "database-url": { type: "string", default: env["DATABASE_URL"] ?? "" },
        log: { type: "string", default: env["ENCORE_LOG"] ?? "info" },
        drain: { type: "string", default: "3" },
      },
      strict: true,
    });
    const { help, listen, log, drain, infra, "database-url": url, "state-dir": dir } = values;
    return {
      help,
      listen,
      log: checkLevel(log),
      drainSeconds: readSeconds(drain),
      ...(dir === undefined ? {} : { stateDir: resolve(dir) }),
      ...(infra === undefined ? {} : { infraFile: resolve(infra) }),
      ...(url === "" ? {} : { databaseUrl: url }),
    };
  } catch (error) {
    const sentence = (error as Error).message.split(/\. |\.$/)[0];
    throw usageError(`${sentence}: see stele-runtime --help`);
  }
}

function checkLevel(level: string): string {
  if (LEVELS.includes(level)) return level;
  throw new Error(`Cannot log at "${level}", expected one of ${LEVELS.join(", ")}`);
}

function readSeconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new Error(`Cannot drain for "${text}", expected whole seconds, such as 30`);
}

/**
 * The application that `folder` belongs to.
 *
 * @throws an error for the user, with exit code 2, when there is none
 */
export function findApp(folder: string): string {
  const root = findUpwards(folder, "encore.app");
  if (root !== null) return root;
  const where = `neither "${resolve(folder)}" nor a folder above it has an encore.app`;
  throw usageError(`Cannot find an application: ${where}`);
}

/** @throws Error when the application has no `encore.dev` */
export function sdkVersion(root: string): string {
  const manifest = join("node_modules", "encore.dev", "package.json");
  const holder = findUpwards(root, manifest);
  if (holder === null) {
    throw new Error(`Cannot find the package encore.dev: run npm install in "${root}"`);
  }
  return (JSON.parse(readFileSync(join(holder, manifest), "utf8")) as { version: string }).version;
}

function findUpwards(folder: string, name: string): string | null {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, name))) return at;
    if (at === dirname(at)) return null;
  }
}

function usageError(message: string): Error {
  return Object.assign(new Error(message), { exitCode: 2 });
}
