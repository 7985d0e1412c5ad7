import { parseArgs, type ParseArgsConfig } from "node:util";

import type { Context } from "./context";
import { usage } from "./failure";
import { columns } from "./format";

export interface Argument {
  readonly name: string;
  readonly doc: string;
  /** Takes all that follow, one at least. */
  readonly repeated?: boolean;
  /** May be left out; it is "" then. */
  readonly optional?: boolean;
  /** The last one, which may begin with a hyphen without being an option. */
  readonly verbatim?: boolean;
}

export interface Option {
  /** What its value is called in help; an option without one is a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly default?: string;
  readonly doc: string;
}

/** What a command was given, checked against its table. */
export interface Input {
  /** An argument that is not repeated. */
  readonly arg: (name: string) => string;
  /** A repeated argument. */
  readonly rest: readonly string[];
  readonly text: (option: string) => string | undefined;
  readonly isOn: (option: string) => boolean;
  /** A whole number from 0; the option has a default or was given. */
  readonly number: (option: string) => number;
}

export interface Command {
  /** One to three words: `ls`, `domain add`, `dns zone add`. */
  readonly name: string;
  readonly doc: string;
  readonly args?: readonly Argument[];
  readonly options?: Readonly<Record<string, Option>>;
  /** More to know, and examples. */
  readonly more?: string;
  readonly run: (input: Input, context: Context) => Promise<void>;
}

export type Parsed =
  | { readonly kind: "help"; readonly text: string }
  | {
      readonly kind: "run";
      readonly command: Command;
      readonly input: Input;
      readonly json: boolean;
    };

const COMMON: Readonly<Record<string, Option>> = {
  json: { doc: "print JSON" },
  help: { short: "h", doc: "show this" },
};

/** Finds the command in `argv` and reads what it was given. Throws a usage `Failure`. */
export function parse(commands: readonly Command[], argv: readonly string[]): Parsed {
  const [first = "--help"] = argv;
  if (first === "--help" || first === "-h" || first === "help") {
    const about = argv.slice(1).filter((word) => !word.startsWith("-"));
    return { kind: "help", text: helpFor(commands, about) };
  }
  const found = find(commands, argv);
  if (found === undefined) return { kind: "help", text: helpOrUnknown(commands, argv) };
  const { command, rest } = found;
  const { values, positionals } = read(command, rest);
  if (values.help === true) return { kind: "help", text: commandHelp(command) };
  return {
    kind: "run",
    command,
    input: check(command, values, positionals),
    json: values.json === true,
  };
}

function find(
  commands: readonly Command[],
  argv: readonly string[],
): { command: Command; rest: readonly string[] } | undefined {
  for (const words of [3, 2, 1]) {
    const name = argv.slice(0, words).join(" ");
    // What is called rm everywhere may be asked for by its other name.
    const names = [name, name.replace(/ (delete|remove)$/, " rm")];
    const command = commands.find((candidate) => names.includes(candidate.name));
    if (command) return { command, rest: argv.slice(words) };
  }
  return undefined;
}

/** `stele domain` and `stele domain --help` show the group; anything else unknown is a mistake. */
function helpOrUnknown(commands: readonly Command[], argv: readonly string[]): string {
  for (const words of [2, 1]) {
    const about = argv.slice(0, words).join(" ");
    const next = argv[words];
    const group = commands.filter(({ name }) => name.startsWith(`${about} `));
    if (group.length === 0) continue;
    if (next === "--help" || next === "-h") return helpFor(commands, [about]);
    const names = group.map(({ name }) => name).join(", ");
    const isGroup = argv.length <= words;
    throw usage(
      `${isGroup ? `"${about}" is a group` : `unknown command "${about} ${next}"`}: ${names}`,
    );
  }
  throw usage(`unknown command "${argv[0] ?? ""}": stele --help lists them`);
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function read(
  command: Command,
  rest: readonly string[],
): { values: Values; positionals: readonly string[] } {
  const options: ParseArgsConfig["options"] = {};
  for (const [name, option] of Object.entries({ ...command.options, ...COMMON })) {
    options[name] = {
      type: option.value === undefined ? "boolean" : "string",
      ...(option.short === undefined ? {} : { short: option.short }),
    };
  }
  try {
    const isVerbatim = command.args?.at(-1)?.verbatim ?? false;
    const args = isVerbatim ? hyphensLast(rest, Object.keys(options)) : [...rest];
    const parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
    return { values: parsed.values as Values, positionals: parsed.positionals };
  } catch (error) {
    const sentence = (error as Error).message.split(/\. |\n/)[0]?.replace(/\.$/, "") ?? "";
    const message = sentence.charAt(0).toLowerCase() + sentence.slice(1);
    throw usage(`${message}: see stele ${command.name} --help`);
  }
}

/** Words that begin with a hyphen and are no option go behind `--`, where all are arguments. */
function hyphensLast(words: readonly string[], options: readonly string[]): string[] {
  const isOption = (word: string): boolean =>
    word === "--" || word === "-h" || options.includes(word.slice(2).split("=", 1)[0]!);
  const isHyphened = (word: string): boolean => word.startsWith("-") && !isOption(word);
  if (words.includes("--") || !words.some(isHyphened)) return [...words];
  return [...words.filter((word) => !isHyphened(word)), "--", ...words.filter(isHyphened)];
}

function check(command: Command, values: Values, positionals: readonly string[]): Input {
  const args = command.args ?? [];
  const repeated = args.at(-1)?.repeated ?? false;
  const missing = args[positionals.length];
  if (missing && !missing.optional) throw usage(`${line(command)}: <${missing.name}> is missing`);
  if (!repeated && positionals.length > args.length) {
    throw usage(`${line(command)}: "${positionals[args.length]}" is one too many`);
  }
  const given = Object.fromEntries(args.map(({ name }, at) => [name, positionals[at] ?? ""]));
  const text = (name: string): string | undefined => {
    const value = values[name] ?? command.options?.[name]?.default;
    return typeof value === "string" ? value : undefined;
  };
  return {
    arg: (name) => given[name] ?? "",
    rest: repeated ? positionals.slice(args.length - 1) : [],
    text,
    isOn: (name) => values[name] === true,
    number: (name) => {
      const value = text(name) ?? "";
      if (!/^\d{1,9}$/.test(value)) {
        throw usage(`--${name} "${value}": a whole number is expected`);
      }
      return Number(value);
    },
  };
}

/** `stele deploy <dir> --name <name> [--cluster <cluster>]` */
function line({ name, args = [] }: Command): string {
  const shown = args.map((arg) => {
    const name = `<${arg.name}>${arg.repeated ? "..." : ""}`;
    return arg.optional ? `[${name}]` : name;
  });
  return ["stele", name, ...shown].join(" ");
}

function helpFor(commands: readonly Command[], about: readonly string[]): string {
  if (about.length === 0) return overview(commands);
  const name = about.join(" ");
  const exact = commands.find((command) => command.name === name);
  if (exact) return commandHelp(exact);
  const group = commands.filter((command) => command.name.startsWith(`${name} `));
  if (group.length === 0) throw usage(`unknown command "${name}": stele --help lists them`);
  return group.map(commandHelp).join("\n\n");
}

function overview(commands: readonly Command[]): string {
  const rows = commands.map((command) => [
    `  ${line(command).slice("stele ".length)}`,
    command.doc,
  ]);
  return [
    "stele: apps on many clusters, moved without a failed request",
    "",
    "Usage: stele <command> [options]",
    "",
    columns(rows),
    "",
    "  <app> is name.owner, a name, or an id. Every command takes --json and --help.",
    "",
    "Environment:",
    columns([
      ["  STELE_API", "the platform's API (http://127.0.0.1:4000)"],
      ["  STELE_TOKEN_FILE", "the file with its token (.stele/token)"],
      ["  STELE_DNS", "its name server (127.0.0.1:5300)"],
      ["  NO_COLOR", "no colours, also on a terminal"],
    ]),
    "",
    "Exit codes: 0 done, 1 could not be done, 2 not understood",
  ].join("\n");
}

function commandHelp(command: Command): string {
  const args = (command.args ?? []).map(({ name, doc }) => [`  <${name}>`, doc]);
  const options = Object.entries({ ...command.options, ...COMMON }).map(([name, option]) => [
    `  ${option.short === undefined ? "" : `-${option.short}, `}--${name}${option.value === undefined ? "" : ` <${option.value}>`}`,
    option.default === undefined ? option.doc : `${option.doc} (${option.default})`,
  ]);
  return [
    `Usage: ${line(command)} [options]`,
    "",
    `  ${command.doc}`,
    ...(args.length === 0 ? [] : ["", "Arguments:", columns(args)]),
    "",
    "Options:",
    columns(options),
    ...(command.more === undefined ? [] : ["", command.more]),
  ].join("\n");
}
