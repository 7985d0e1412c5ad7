import { createHash } from "node:crypto";

/** A body in parts, and what whoever got all of it in order says of it. */
export interface Body {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
  readonly sha256: string;
}

const PART_BYTES = 1_000_000;
const VARIANTS = 4;

/** A few different bodies of that size, all of the same memory: each begins elsewhere in it. */
export function makeBodies(bytes: number, random: () => number): Body[] {
  const memory = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) memory.writeUInt32LE((random() * 2 ** 32) >>> 0, at);
  const all: Buffer[] = [];
  for (let at = 0; at < bytes; at += PART_BYTES) all.push(memory.subarray(at, at + PART_BYTES));
  return Array.from({ length: VARIANTS }, (_, variant) => {
    const first = Math.floor((all.length * variant) / VARIANTS);
    const parts = [...all.slice(first), ...all.slice(0, first)];
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return { parts, bytes, sha256: hash.digest("hex") };
  });
}
