import { backoffMs } from "../../shared/backoff";

/** After so long a life a crash is a first one again. */
const STEADY_MS = 60_000;
/** So many crashes in a row are a crash loop: only a request or a deploy tries again. */
const CRASH_LOOP = 5;
const BACKOFF = { minMs: 200, maxMs: 30_000 };

export interface Crash {
  /** Crashes in a row before this one. */
  readonly crashes: number;
  /** How long it had run, in milliseconds; 0 when it never became ready. */
  readonly upMs: number;
}

export interface Restart {
  readonly crashes: number;
  /** Not before so many milliseconds from now, whoever asks. */
  readonly waitMs: number;
  /** Whether it is started again without being asked for. */
  readonly automatic: boolean;
}

/** When a container that ended by itself may start again; `random` is from 0 to 1. */
export function afterCrash({ crashes, upMs }: Crash, random: number): Restart {
  const count = upMs >= STEADY_MS ? 1 : crashes + 1;
  return {
    crashes: count,
    waitMs: backoffMs(count, BACKOFF, random),
    automatic: upMs > 0 && count < CRASH_LOOP,
  };
}
