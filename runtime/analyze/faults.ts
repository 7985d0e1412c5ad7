import type { SourcePosition } from "../app-model";

/** One thing in the source that Encore, or this runtime, refuses. */
export interface Fault {
  readonly at: SourcePosition;
  readonly message: string;
}

/** Thrown once with everything that is wrong, so that one run shows it all. */
export class AppModelError extends Error {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(formatFault).join("\n"));
    this.name = "AppModelError";
    this.faults = faults;
  }
}

export function formatFault(fault: Fault): string {
  return `${fault.at.file}:${fault.at.line}: ${fault.message}`;
}

/** Collects faults; the same fault at the same line counts once. */
export class FaultList {
  readonly #faults: Fault[] = [];
  readonly #seen = new Set<string>();

  add(at: SourcePosition, message: string): void {
    const fault = { at, message };
    const key = formatFault(fault);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#faults.push(fault);
  }

  get length(): number {
    return this.#faults.length;
  }

  all(): readonly Fault[] {
    return this.#faults;
  }
}
