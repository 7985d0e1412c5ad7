import type { Writable } from "node:stream";

import { seal, StreamCut, type Unsealed } from "./file-frames";

/** Who takes nothing for so long is gone: Encore tells a raw endpoint nothing of that. */
export const IDLE_MS = 30_000;

export interface Pouring {
  /** The next chunk, null after the last. */
  readonly next: () => Promise<Unsealed | null>;
  readonly sign: (digest: string) => string;
  /** Aborts between two chunks. */
  readonly signal: AbortSignal;
  readonly idleMs?: number;
}

/**
 * Writes chunks as fast as they are taken: the next is made while one is on its way, and no more are in
 * memory. `write` of an Encore response always says yes, so its callback is what is waited for.
 */
export async function pour(response: Writable, pouring: Pouring): Promise<void> {
  const { next, sign, signal, idleMs = IDLE_MS } = pouring;
  let coming = next();
  for (;;) {
    const chunk = await coming;
    if (chunk === null) return;
    if (signal.aborted) throw new StreamCut("the source ends");
    coming = next();
    coming.catch(() => undefined);
    await written(response, seal(chunk, sign(chunk.digest)), idleMs);
  }
}

async function written(response: Writable, bytes: Uint8Array, idleMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => {
        reject(new StreamCut(`the destination took nothing for ${idleMs} ms`));
      }, idleMs);
      response.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    clearTimeout(timer);
  }
}
