import { isIP } from "node:net";

/** One setting: its environment variable, its default as one would write it there, and its meaning. */
export interface Setting<T> {
  readonly name: string;
  readonly default: string;
  /** Throws an Error that says what is expected. */
  readonly parse: (text: string) => T;
  readonly doc: string;
}

export type SettingsTable = Readonly<Record<string, Setting<unknown>>>;

/** The values that a table describes. */
export type Settings<Table extends SettingsTable> = {
  readonly [Key in keyof Table]: ReturnType<Table[Key]["parse"]>;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** The faults of `env` against `table`, one line each; none when it can be read. */
export function settingsFaults(table: SettingsTable, env: Environment): string[] {
  return Object.values(table).flatMap((setting) => {
    const text = env[setting.name] ?? setting.default;
    try {
      setting.parse(text);
      return [];
    } catch (error) {
      return [`${setting.name}="${text}": expected ${(error as Error).message}`];
    }
  });
}

/** Reads every setting of `table`; throws one error that lists all faults. */
export function readSettings<Table extends SettingsTable>(
  table: Table,
  env: Environment = process.env,
): Settings<Table> {
  const faults = settingsFaults(table, env);
  if (faults.length > 0) throw new Error(`Cannot read the settings:\n${faults.join("\n")}`);
  const values = Object.entries(table).map(([key, setting]) => [
    key,
    setting.parse(env[setting.name] ?? setting.default),
  ]);
  return Object.fromEntries(values) as Settings<Table>;
}

export function text(value: string): string {
  return value;
}

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < min || number > max) {
      throw new Error(`a whole number from ${min} to ${max}`);
    }
    return number;
  };
}

/** A duration: `250ms`, `3s`, `5m`, `2h`, or a bare number of milliseconds. */
export function milliseconds(min: number, max: number): (value: string) => number {
  return (value) => {
    const match = /^(\d+)(ms|s|m|h)?$/.exec(value);
    const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? "ms"] ?? 1;
    const duration = Number(match?.[1]) * factor;
    if (!match || duration < min || duration > max) {
      throw new Error(`a duration from ${min} ms to ${max} ms, such as 250ms, 3s or 5m`);
    }
    return duration;
  };
}

/** Parts between commas, without blanks; the empty text is no part at all. */
export function list(value: string): readonly string[] {
  return value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

export function flag(value: string): boolean {
  if (value === "1" || value === "true") return true;
  if (value === "0" || value === "false" || value === "") return false;
  throw new Error("1 or 0");
}

export function oneOf<const T extends string>(...choices: readonly T[]): (value: string) => T {
  return (value) => {
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) throw new Error(choices.join(" or "));
    return choice;
  };
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

const MAX_PORT = 65_535;

/** `127.0.0.1:5300` or `[::1]:5300`. */
export function address(value: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(value);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port <= MAX_PORT)) {
    throw new Error("an address and a port, such as 127.0.0.1:5300 or [::1]:5300");
  }
  return { host, port };
}

/** Several addresses between commas. */
export function addresses(value: string): readonly Address[] {
  return list(value).map(address);
}
