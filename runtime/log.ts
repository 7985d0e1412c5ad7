import { isatty } from "node:tty";
import { fstatSync, openSync, renameSync, closeSync, writeSync } from "node:fs";
import { Failure, failureOf, isSwitchedOn } from "./http/errors";
import { jsonLine, LEVEL_NAMES, lineFormat, LogLevel } from "./log-line";
import type { Request } from "./http/request";

const OFF = 6;
const STDERR = 2;
/** A log file that is full becomes `.1`, in place of the one before: twice this much is kept. */
const MAX_LOG_FILE_BYTES = 16 * 1024 * 1024;

const SHOWS_STACKS = isSwitchedOn("ENCORE_LOG_INCLUDE_ERROR_STACK");

type Fields = Readonly<Record<string, unknown>>;

/** Where lines go: the file that ENCORE_LOG_FILE names, which is ours and not Encore's, or stderr. */
class Output {
  readonly #path = process.env["ENCORE_LOG_FILE"] ?? "";
  #descriptor = STDERR;
  #bytes = 0;

  constructor() {
    if (this.#path !== "") this.#open();
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      try {
        at += writeSync(this.#descriptor, bytes, at);
      } catch (error) {
        // A full pipe takes more in a moment; a closed one, or a full disk, never will.
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      }
    }
    this.#bytes += bytes.length;
    if (this.#descriptor !== STDERR && this.#bytes > MAX_LOG_FILE_BYTES) this.#rotate();
  }

  #open(): void {
    this.#descriptor = openSync(this.#path, "a", 0o600);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    renameSync(this.#path, `${this.#path}.1`);
    this.#open();
  }
}

/** Lines wait so long for others: a system call for each would cost more than to make them. */
const FLUSH_AFTER_MS = 5;

/** Lines leave together. What is still there when the process ends leaves then. */
class LineBuffer {
  #lines: string[] = [];
  readonly #output = new Output();

  constructor() {
    process.on("exit", () => this.flush());
  }

  add(line: string): void {
    if (this.#lines.length === 0) setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
    this.#lines.push(line);
  }

  flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(""));
    this.#lines = [];
    this.#output.write(bytes);
  }
}

const lines = new LineBuffer();
const format = lineFormat(process.env, isatty(STDERR));

/** Writes what is still buffered, before the process ends. */
export function flushLog(): void {
  lines.flush();
}

/** The native logger: a line per message to stderr. */
export class Logger {
  readonly #level: number;
  readonly #fields: Fields;

  constructor(level: number = appLevel(), fields: Fields = {}) {
    this.#level = level;
    this.#fields = fields;
  }

  log(
    request: Request | null | undefined,
    level: number,
    message: string,
    error?: unknown,
    caller?: string,
    fields?: Fields,
  ): void {
    if (level < this.#level) return;
    const failure = error === undefined || error === null ? null : failureOf(error);
    const entry = {
      level,
      at: new Date(),
      message,
      caller: caller || undefined,
      error: failure === null ? undefined : errorText(error, failure),
      stack: SHOWS_STACKS ? failure?.stack : undefined,
      fields: { ...this.#fields, ...fields, ...request?.logFields() },
    };
    lines.add(`${format(entry)}\n`);
  }

  withLevel(level: number): Logger {
    return new Logger(level, this.#fields);
  }

  with(fields: Fields): Logger {
    return new Logger(this.#level, { ...this.#fields, ...fields });
  }
}

/** As `jsonLine` writes it, without its sorting: there are two of these for every request. */
export function requestLine(request: Request, message: string, ending: string): string {
  const fields = request.logFields();
  const member = (name: string): string => {
    const value = fields[name];
    return value === undefined ? "" : `"${name}":${JSON.stringify(value)},`;
  };
  const body =
    `${ending}${member("endpoint")}"level":"info","message":"${message}",${member("service")}` +
    `${member("span_id")}${member("subscription")}"time":"${new Date().toISOString()}",` +
    `${member("topic")}${member("trace_id")}${member("uid")}${member("x_correlation_id")}`;
  return `{${body.slice(0, -1)}}\n`;
}

/** A failure is said as its caller sees it, then as it is; an error of the application as it is. */
function errorText(error: unknown, { message, internalMessage }: Failure): string {
  if (internalMessage === null) return message;
  return error instanceof Failure ? `${message}: ${internalMessage}` : internalMessage;
}

function appLevel(): number {
  return process.env["ENCORE_NOLOG"] ? OFF : LogLevel.Trace;
}

function runtimeLevel(): number {
  if (process.env["ENCORE_NOLOG"]) return OFF;
  const named = LEVEL_NAMES.indexOf((process.env["ENCORE_LOG"] ?? "info").toLowerCase());
  return named > 0 ? named : LogLevel.Info;
}

/** The runtime's own messages, about requests above all; `ENCORE_LOG` says from which level on. */
export class RuntimeLog {
  readonly #level = runtimeLevel();
  readonly #logger = new Logger(this.#level);

  /** Whether a request's start and end are printed. */
  readonly #requests = this.#level <= LogLevel.Info;

  started(request: Request): void {
    if (!this.#requests) return;
    if (format === jsonLine) lines.add(requestLine(request, "starting request", ""));
    else this.info(request, "starting request");
  }

  completed(request: Request, code: string, durationMs: number): void {
    if (!this.#requests) return;
    const duration = Math.round(durationMs * 1000) / 1000;
    const message = "request completed";
    if (format !== jsonLine) return this.info(request, message, { code, duration });
    lines.add(requestLine(request, message, `"code":"${code}","duration":${duration},`));
  }

  info(request: Request | null, message: string, fields?: Fields): void {
    this.#logger.log(request, LogLevel.Info, message, undefined, undefined, fields);
  }

  warn(message: string, fields?: Fields): void {
    this.#logger.log(null, LogLevel.Warn, message, undefined, undefined, fields);
  }

  error(request: Request | null, message: string, error?: unknown, fields?: Fields): void {
    this.#logger.log(request, LogLevel.Error, message, error, undefined, fields);
  }
}
