/**
 * DNS-01 values while a zone is changed (RFC 8555 section 8.4). They are kept beside the zone's
 * records, whoever puts them, since they end by themselves.
 */
import { CHALLENGE_LABEL } from "./view";
import { TYPE } from "./codes";
import { firstLabel, formatName, type Name } from "./names";

/** A name that many certificates are ordered for at once; each value waits for its validation. */
const MAX_CHALLENGES_OF_NAME = 50;

export interface Challenge {
  /** Absolute, without a trailing dot. */
  readonly name: string;
  readonly value: string;
}

/** The value that TXT data in canonical form carries where challenges are; undefined: it is none. */
export function challengeValue(name: Name, type: number, data: string): string | undefined {
  if (type !== TYPE.TXT || firstLabel(name) !== CHALLENGE_LABEL) return undefined;
  // One string of printable ASCII, as ACME has it; what needs escapes is something else.
  return /^"([^"\\]{1,255})"$/.exec(data)?.[1];
}

export class Challenges {
  readonly #before: readonly Challenge[];
  readonly #values = new Map<string, Set<string>>();
  readonly #put = new Map<string, Set<string>>();

  constructor(known: readonly Challenge[]) {
    this.#before = known;
    for (const { name, value } of known) setOf(this.#values, name).add(value);
  }

  values(name: Name): string[] {
    return [...(this.#values.get(formatName(name)) ?? [])];
  }

  has(name: Name): boolean {
    return this.values(name).length > 0;
  }

  /** A value that is there already begins its time anew. */
  put(name: Name, value: string): void {
    setOf(this.#values, formatName(name)).add(value);
    setOf(this.#put, formatName(name)).add(value);
  }

  remove(name: Name, value: string): void {
    this.#values.get(formatName(name))?.delete(value);
    this.#put.get(formatName(name))?.delete(value);
  }

  clear(name: Name): void {
    this.#values.delete(formatName(name));
    this.#put.delete(formatName(name));
  }

  /** What has to be written. */
  changes(): { readonly put: readonly Challenge[]; readonly gone: readonly Challenge[] } {
    const put = [...this.#put].flatMap(([name, values]) => {
      return [...values].map((value) => ({ name, value }));
    });
    const gone = this.#before.filter(({ name, value }) => !this.#values.get(name)?.has(value));
    return { put, gone };
  }

  /** Why it may not stand, or undefined. */
  fault(): string | undefined {
    for (const [name, values] of this.#values) {
      const fault = this.#put.has(name) ? faultOfCount(name, values.size) : undefined;
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
}

/** Why so many values may not be at a name, or undefined. */
export function faultOfCount(name: string, count: number): string | undefined {
  if (count <= MAX_CHALLENGES_OF_NAME) return undefined;
  return `"${name}" would have ${count} values: at most ${MAX_CHALLENGES_OF_NAME}`;
}

function setOf(of: Map<string, Set<string>>, name: string): Set<string> {
  const known = of.get(name) ?? new Set<string>();
  if (!of.has(name)) of.set(name, known);
  return known;
}
