import { setTimeout as sleep } from "node:timers/promises";

import type { NameServer } from "../resolve";

const POLL_MS = 1;
const GIVE_UP_MS = 15_000;

/** What our name server answers for a name, asked again and again: when did it change? */
export interface Watch {
  /** Wall-clock time of the first answer with another address; null when none came. */
  readonly changedAt: Promise<number | null>;
  /** Stop asking; a change that is already due is still waited for. */
  readonly stop: () => void;
}

/** Watches the address of `name` until it is no longer `before`. */
export function watchAddress(server: NameServer, name: string, before: string): Watch {
  let giveUpAt = Number.POSITIVE_INFINITY;
  const poll = async (): Promise<number | null> => {
    while (performance.now() < giveUpAt) {
      const answer = await server.query(name, "A").catch(() => undefined);
      const address = answer?.records.find(({ type }) => type === "A")?.data;
      if (address !== undefined && address !== before) return wallClock();
      await sleep(POLL_MS);
    }
    return null;
  };
  return {
    changedAt: poll(),
    stop: () => {
      giveUpAt = performance.now() + GIVE_UP_MS;
    },
  };
}

/** Milliseconds since 1970, with fractions: comparable with the platform's on this machine. */
function wallClock(): number {
  return performance.timeOrigin + performance.now();
}
