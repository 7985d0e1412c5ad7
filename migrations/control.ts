/**
 * What a running migration may be told: `abort` it, or let go of it because its lease is `lost` or
 * this process is `stopping`.
 */
export type Interruption = "abort" | "lost" | "stopping";

export interface Control {
  raise(interruption: Interruption): void;
  /** The gravest one of those that are listened for, if any was raised. */
  raised(listenFor: readonly Interruption[]): Interruption | undefined;
  /** `work`, unless one of `listenFor` is or gets raised first, or `ms` are over. */
  race<T>(
    work: Promise<T>,
    listenFor: readonly Interruption[],
    ms?: number,
  ): Promise<{ value: T } | { interrupted: Interruption | "time" }>;
}

const GRAVEST_FIRST: readonly Interruption[] = ["lost", "stopping", "abort"];

export function createControl(): Control {
  const flags = new Set<Interruption>();
  const waiting = new Set<() => void>();

  const raised: Control["raised"] = (listenFor) =>
    GRAVEST_FIRST.find((flag) => flags.has(flag) && listenFor.includes(flag));

  return {
    raised,
    raise(interruption) {
      flags.add(interruption);
      for (const look of waiting) look();
    },
    async race(work, listenFor, ms) {
      // Whatever loses the race may still fail, and nobody is left to hear of it.
      work.catch(() => undefined);
      let stop = (): void => undefined;
      const interrupted = new Promise<{ interrupted: Interruption | "time" }>((resolve) => {
        const look = (): void => {
          const found = raised(listenFor);
          if (found) resolve({ interrupted: found });
        };
        const timer =
          ms === undefined ? undefined : setTimeout(() => resolve({ interrupted: "time" }), ms);
        stop = () => {
          clearTimeout(timer);
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      });
      try {
        return await Promise.race([interrupted, work.then((value) => ({ value }))]);
      } finally {
        stop();
      }
    },
  };
}
