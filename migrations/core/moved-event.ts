/** The version of `repl.moved` that this release publishes, and the only one that it reads. */
export const MOVED_VERSION = 1;

const TEXTS = ["replId", "migrationId", "from", "to"] as const;
const NUMBERS = ["seq", "generation"] as const;

/**
 * Why `payload` is no `repl.moved` of our version; null when it is one. What another version means is
 * not guessed: its fields may have the same names and say something else.
 */
export function movedEventFault(payload: unknown): string | null {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) {
    return `Cannot read repl.moved: expected an object, not ${JSON.stringify(payload) ?? "nothing"}`;
  }
  const fields = payload as Readonly<Record<string, unknown>>;
  const version = fields["v"];
  if (version !== MOVED_VERSION) {
    return `Cannot read version ${JSON.stringify(version) ?? "none"} of repl.moved: expected ${MOVED_VERSION}`;
  }
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

function wrong(name: string, value: unknown, expected: string): string {
  return `Cannot read repl.moved: ${name} is ${JSON.stringify(value) ?? "missing"}, expected ${expected}`;
}
