import { jsonText } from "./json-text";

/** As `LogLevel` of the SDK's native module. */
export const LogLevel = { Trace: 1, Debug: 2, Info: 3, Warn: 4, Error: 5 } as const;

export const LEVEL_NAMES = ["", "trace", "debug", "info", "warn", "error"];

/** One message, before it is written. */
export interface LogEntry {
  readonly level: number;
  readonly at: Date;
  readonly message: string;
  readonly caller: string | undefined;
  readonly error: string | undefined;
  readonly stack: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

export type WriteLine = (entry: LogEntry) => string;

/** As the environment asks for, like Encore: JSON, JSON for Google's log, or lines for people. */
export function lineFormat(env: NodeJS.ProcessEnv, isTerminal: boolean): WriteLine {
  if (env["ENCORE_LOG_FORMAT"] === "console") {
    const hasColor = isTerminal && !env["NO_COLOR"];
    return (entry) => consoleLine(entry, hasColor);
  }
  const isGoogle = ["gcp", "encore"].includes(env["ENCORE_CLOUD_PROVIDER"] ?? "");
  return isGoogle ? googleLine : jsonLine;
}

export function jsonLine({ level, at, message, caller, error, stack, fields }: LogEntry): string {
  const own = { level: LEVEL_NAMES[level], time: at.toISOString(), message };
  return sortedJson({ caller, error, stack, ...fields, ...own });
}

const SEVERITIES = ["", "DEBUG", "DEBUG", "INFO", "WARNING", "ERROR"];

function googleLine({ level, at, message, caller, error, stack, fields }: LogEntry): string {
  const own = { severity: SEVERITIES[level], timestamp: at.toISOString(), message };
  return sortedJson({ caller, error, stacktrace: stack, ...fields, ...own });
}

const SHORT_LEVELS = ["", "TRC", "DBG", "INF", "WRN", "ERR"];
const [RED, GREEN, YELLOW, MAGENTA, CYAN, GRAY] = [31, 32, 33, 35, 36, 90];
const LEVEL_COLORS = [GRAY, MAGENTA, YELLOW, GREEN, RED, RED];

function consoleLine(entry: LogEntry, hasColor: boolean): string {
  const paint = (text: string, color: number): string =>
    hasColor ? `\u001b[${color}m${text}\u001b[0m` : text;
  const { level, at, caller, message, error, stack, fields } = entry;
  const member = (key: string, value: string): string => `${paint(`${key}=`, CYAN)}${value}`;
  const members = Object.keys(fields)
    .filter((key) => fields[key] !== undefined)
    .sort()
    .map((key) => member(key, plain(fields[key])));
  const parts = [
    paint(clock(at), GRAY),
    paint(SHORT_LEVELS[level] ?? "", LEVEL_COLORS[level] ?? GRAY),
    ...(caller === undefined ? [] : [`${caller} ${paint(">", CYAN)}`]),
    message,
    ...(error === undefined ? [] : [member("error", paint(JSON.stringify(error), RED))]),
    ...members,
  ];
  return parts.join(" ") + (stack === undefined ? "" : `\n${stack}`);
}

/** The time of day here, as `08:05PM`. */
function clock(at: Date): string {
  const hour = at.getHours();
  const minute = String(at.getMinutes()).padStart(2, "0");
  return `${String(hour % 12 || 12).padStart(2, "0")}:${minute}${hour < 12 ? "AM" : "PM"}`;
}

function plain(value: unknown): string {
  return typeof value === "string" && !/[\s\\"]/.test(value) ? value : safeJson(value);
}

function sortedJson(values: Readonly<Record<string, unknown>>): string {
  const members = Object.keys(values)
    .sort()
    .filter((key) => values[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}:${safeJson(values[key])}`);
  return `{${members.join(",")}}`;
}

/** A value that has no JSON must not cost the line. */
function safeJson(value: unknown): string {
  try {
    return jsonText(value instanceof Error ? value.message : value);
  } catch {
    return JSON.stringify(String(value));
  }
}
