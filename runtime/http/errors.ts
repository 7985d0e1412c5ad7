/** Encore's error codes and their HTTP statuses. */
const STATUS_OF = {
  ok: 200,
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const;

export type ErrorCode = keyof typeof STATUS_OF;

const INTERNAL_MESSAGE = "an internal error occurred";

/** What the caller of an endpoint gets instead of a result. */
export class Failure extends Error {
  readonly code: ErrorCode;
  readonly details: unknown;
  /** What really happened; for the log, never for a stranger. */
  readonly internalMessage: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    rest: { details?: unknown; internalMessage?: string | null; stack?: string | undefined } = {},
  ) {
    super(message);
    this.code = code;
    this.details = rest.details ?? null;
    this.internalMessage = rest.internalMessage ?? null;
    if (rest.stack !== undefined) this.stack = rest.stack;
  }

  get status(): number {
    return STATUS_OF[this.code];
  }
}

export function invalidArgument(message: string): Failure {
  return new Failure("invalid_argument", message);
}

/** An error of this side, whose words stay on this side. */
export function internalFailure(message: string, stack?: string): Failure {
  return new Failure("internal", INTERNAL_MESSAGE, { internalMessage: message, stack });
}

export const UNAUTHENTICATED_MESSAGE =
  "the request does not have valid authentication credentials for the operation";

/** What a handler threw, as Encore reads it: by its properties, not by its class. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (typeof thrown !== "object" || thrown === null) return internalFailure(String(thrown));
  const { code, message, details, cause, stack } = thrown as Partial<Record<string, unknown>>;
  const text = withCause(typeof message === "string" ? message : "", cause);
  const known = typeof code === "string" && Object.hasOwn(STATUS_OF, code) ? code : "internal";
  const rest = { details, stack: typeof stack === "string" ? stack : undefined };
  if (known !== "internal") return new Failure(known as ErrorCode, text, rest);
  return new Failure("internal", INTERNAL_MESSAGE, { ...rest, internalMessage: text });
}

function withCause(message: string, cause: unknown): string {
  const reason = (cause as { message?: unknown } | null | undefined)?.message;
  return typeof reason === "string" ? `${message}: ${reason}` : message;
}

/**
 * The error's JSON, as it leaves the process.
 *
 * @param toInside whether a service of the application reads it, which may know what happened
 */
export function failureJson(failure: Failure, toInside = false): string {
  const { code, message, details, internalMessage, stack } = failure;
  const wire: Record<string, unknown> = { code, message, details };
  if (toInside || isSwitchedOn("ENCORE_API_INCLUDE_INTERNAL_MESSAGE")) {
    wire["internal_message"] = internalMessage;
  }
  if (!toInside && isSwitchedOn("ENCORE_API_INCLUDE_ERROR_STACK")) wire["stack"] = stack;
  return JSON.stringify(wire);
}

/** Encore's switches are variables; "0" is off. */
export function isSwitchedOn(variable: string): boolean {
  const value = process.env[variable];
  return value !== undefined && value !== "" && value !== "0";
}

/** The failure that an answer of another process tells of; null when the text is none. */
export function parseFailure(text: string): Failure | null {
  try {
    const { code, message, details, internal_message } = JSON.parse(text) as Record<
      string,
      unknown
    >;
    if (typeof code !== "string" || !Object.hasOwn(STATUS_OF, code)) return null;
    if (typeof message !== "string") return null;
    const internalMessage = typeof internal_message === "string" ? internal_message : null;
    return new Failure(code as ErrorCode, message, { details, internalMessage });
  } catch {
    return null;
  }
}

export const UNAVAILABLE_MESSAGE = "the service is currently unavailable";
