/** What the writer's file must say. Pure. */

export interface Written {
  readonly seq: number;
  readonly by: string;
  readonly n: number;
  readonly generation: number;
}

/** What was acknowledged: of each writer, the numbers that its writes were given. */
export type Acknowledged = ReadonlyMap<string, ReadonlyMap<number, number>>;

const TOLD = 20;

/**
 * What is wrong with it; nothing when one writer at a time wrote everything once, and nothing is lost.
 * Of `messages`, the last one that was acknowledged is known, and that each waited for the one before.
 */
export function faultsOf(
  file: readonly Written[],
  acknowledged: Acknowledged,
  messages: ReadonlyMap<string, number>,
): string[] {
  const faults: string[] = [];
  const found = new Map<string, number>();
  let generation = 0;
  for (const [at, entry] of file.entries()) {
    const { seq, by, n } = entry;
    if (seq !== at + 1) faults.push(`line ${at + 1} has number ${seq}`);
    if (entry.generation < generation) {
      faults.push(`line ${at + 1} is of generation ${entry.generation}, after ${generation}`);
    }
    generation = Math.max(generation, entry.generation);
    const key = keyOf(by, n);
    if (found.has(key)) faults.push(`${key} is there twice: ${found.get(key)} and ${seq}`);
    found.set(key, seq);
  }
  for (const [by, numbers] of acknowledged) {
    for (const [n, seq] of numbers) {
      const there = found.get(keyOf(by, n));
      if (there === undefined) faults.push(`${keyOf(by, n)} was acknowledged and is not there`);
      else if (there !== seq)
        faults.push(`${keyOf(by, n)} was acknowledged as ${seq}, is ${there}`);
    }
  }
  for (const [by, last] of messages) {
    for (let n = 1; n <= last; n++) {
      if (!found.has(keyOf(by, n)))
        faults.push(`${keyOf(by, n)} was acknowledged and is not there`);
    }
  }
  return faults.slice(0, TOLD);
}

function keyOf(by: string, n: number): string {
  return `${by} ${n}`;
}
