/** What is done again and again until it is done: the end of challenges, the checks of domains. */
import log from "encore.dev/log";

import { settle } from "./domains";
import { expireChallenges } from "./store-challenges";
import { claimDue, forgetOld } from "./store-domain";
import { zones } from "./zones";

const EVERY_MS = 2_000;

export interface Sweep {
  stop(): void;
}

async function sweepOnce(): Promise<void> {
  const revision = await expireChallenges();
  if (revision !== undefined) await zones().reach(revision);
  await Promise.all((await claimDue()).map(settle));
  await forgetOld();
}

/** Sweeps until stopped. Any number of processes may: rows are claimed. */
export function startSweep(): Sweep {
  let isStopped = false;
  let isFailing = false;
  let timer: NodeJS.Timeout;
  const run = async (): Promise<void> => {
    try {
      await sweepOnce();
      if (isFailing) log.info("the sweep works again");
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn("cannot sweep, will try again", { reason: String(error) });
      isFailing = true;
    }
    if (!isStopped) timer = setTimeout(() => void run(), EVERY_MS);
  };
  timer = setTimeout(() => void run(), EVERY_MS);
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
