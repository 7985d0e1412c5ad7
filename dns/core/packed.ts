/**
 * Repls as one text: `id name owner cluster generation`, the next after a comma. A million of them
 * come from the database, and from the disk, in a few hundred such texts: a row or a JSON object for
 * each would take several times as long to read.
 */
import type { Change } from "./catalog";
import type { Repl } from "./platform";

const FIELD = " ";
const REPL = ",";

/** Whether a text can hold it. What `clusters` takes for a name always can be held. */
export function isPackable({ id, name, owner, clusterId }: Repl): boolean {
  return [id, name, owner, clusterId].every(
    (text) => !text.includes(FIELD) && !text.includes(REPL),
  );
}

export function packRepl({ id, name, owner, clusterId, generation }: Repl): string {
  return [id, name, owner, clusterId, generation].join(FIELD);
}

export const joinPacked = (packed: readonly string[]): string => packed.join(REPL);

/** The same repls in several texts, of at least `length` each but for the last. */
export function* partsOf(text: string, length: number): Generator<string> {
  for (let at = 0; at < text.length;) {
    const found = text.indexOf(REPL, at + length);
    const end = found < 0 ? text.length : found;
    yield text.slice(at, end);
    at = end + 1;
  }
}

/** The placing of each repl that a text holds; what is no repl is left out. */
export function unpackRepls(text: string): (Change & { kind: "repl" })[] {
  const repls: (Change & { kind: "repl" })[] = [];
  for (let at = 0; at < text.length;) {
    const found = text.indexOf(REPL, at);
    const end = found < 0 ? text.length : found;
    // Arrays from `split` would cost as much as all the rest.
    const name = text.indexOf(FIELD, at) + 1;
    const owner = text.indexOf(FIELD, name) + 1;
    const cluster = text.indexOf(FIELD, owner) + 1;
    const last = text.indexOf(FIELD, cluster) + 1;
    const isWhole = at < name && name < owner && owner < cluster && cluster < last && last < end;
    const generation = isWhole ? Number(text.slice(last, end)) : 0;
    if (Number.isSafeInteger(generation) && generation > 0) {
      repls.push({
        kind: "repl",
        id: text.slice(at, name - 1),
        name: text.slice(name, owner - 1),
        owner: text.slice(owner, cluster - 1),
        clusterId: text.slice(cluster, last - 1),
        generation,
      });
    }
    at = end + 1;
  }
  return repls;
}
