/** A place in a gate: waiting, then inside. */
export interface Pass {
  /** Resolves inside. */
  readonly entered: Promise<void>;
  /** Ends the wait or the stay. Again is no error. */
  readonly leave: () => void;
}

/** Lets `limit` in at once, the others one after the other, first come, first served. */
export function createGate(limit: number): () => Pass {
  const waiting = new Set<() => void>();
  let inside = 0;

  const admit = (): void => {
    for (const enter of waiting) {
      if (inside >= limit) return;
      waiting.delete(enter);
      inside += 1;
      enter();
    }
  };

  return () => {
    let enter = (): void => undefined;
    const entered = new Promise<void>((resolve) => {
      enter = resolve;
    });
    let isOver = false;
    const leave = (): void => {
      if (isOver) return;
      isOver = true;
      if (!waiting.delete(enter)) inside -= 1;
      admit();
    };
    waiting.add(enter);
    admit();
    return { entered, leave };
  };
}
