/**
 * Repls as one text: `id name owner cluster generation`, the next after a comma. A million of them
 * come from the database, and from the disk, in a few hundred such texts: a row or a JSON object for
 * each would take several times as long to read.
 */
import type { Repl } from "./platform";

const FIELD = " ";
const REPL = ",";
const FIELDS = 5;

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

/** What a text holds; what is no repl is left out. */
export function unpackRepls(text: string): Repl[] {
  const repls: Repl[] = [];
  for (const packed of text === "" ? [] : text.split(REPL)) {
    const fields = packed.split(FIELD);
    const [id, name, owner, clusterId, last] = fields as [string, string, string, string, string];
    const generation = Number(last);
    const isRepl = fields.length === FIELDS && Number.isSafeInteger(generation) && generation > 0;
    if (isRepl) repls.push({ id, name, owner, clusterId, generation });
  }
  return repls;
}
