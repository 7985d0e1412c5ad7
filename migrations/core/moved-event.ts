/** The version of `repl.moved` that this release publishes, and the only one that it reads. */
export const MOVED_VERSION = 1;

/** What version 1 says. */
export interface Moved {
  /** The entry of the placement log that says the same. */
  readonly seq: number;
  readonly replId: string;
  readonly migrationId: string;
  /** The cluster that it left. */
  readonly from: string;
  /** Its new home. */
  readonly to: string;
  /** Fencing token of the repl at its new home. */
  readonly generation: number;
  /** W3C trace context of the move, or an empty string. */
  readonly traceparent: string;
}

const TEXTS = ["replId", "migrationId", "from", "to"] as const;
const NUMBERS = ["seq", "generation"] as const;

/**
 * Why an event is no `repl.moved` of our version; null when it is one. What another version means is
 * not guessed: its fields may have the same names and say something else.
 */
export function movedEventFault(event: unknown): string | null {
  const { v, moved } = fieldsOf(event) ?? {};
  if (v !== MOVED_VERSION) {
    return `Cannot read version ${JSON.stringify(v) ?? "none"} of repl.moved: expected ${MOVED_VERSION}`;
  }
  const fields = fieldsOf(moved);
  if (!fields) return wrong("moved", moved, "an object");
  for (const name of TEXTS) {
    const value = fields[name];
    if (typeof value !== "string" || value === "") return wrong(name, value, "a text");
  }
  for (const name of NUMBERS) {
    const value = fields[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      return wrong(name, value, "a whole number from 1");
    }
  }
  return null;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | null {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Readonly<Record<string, unknown>>) : null;
}

function wrong(name: string, value: unknown, expected: string): string {
  return `Cannot read repl.moved: ${name} is ${JSON.stringify(value) ?? "missing"}, expected ${expected}`;
}
