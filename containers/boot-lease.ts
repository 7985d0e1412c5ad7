import log from "encore.dev/log";

import { type ContainerRef, markerOf } from "./drivers/driver";
import { callOffStart, containerDriver } from "./runner";

/**
 * The ends of boot leases by a clock that nobody sets. The sweep ends a lease by the database's; a
 * database that is away, or whose clock was put back, must not let a container run on.
 */
const ends = new Map<string, NodeJS.Timeout>();

/** The staged container is stopped at `untilMs` of `performance.now()`, unless it is kept on. */
export function keepBootLease(ref: ContainerRef, untilMs: number): void {
  endBootLease(ref);
  const timer = setTimeout(() => void kill(ref), Math.max(0, untilMs - performance.now()));
  ends.set(markerOf(ref), timer.unref());
}

/** It was decided what becomes of the container. */
export function endBootLease(ref: ContainerRef): void {
  clearTimeout(ends.get(markerOf(ref)));
  ends.delete(markerOf(ref));
}

/** At once: whoever has waited the lease out starts the repl elsewhere. The sweep fences it. */
async function kill(ref: ContainerRef): Promise<void> {
  ends.delete(markerOf(ref));
  try {
    callOffStart(ref, "its boot lease has ended");
    await containerDriver().stop(ref, 0);
  } catch (error) {
    log.warn("cannot stop a container whose boot lease has ended", {
      ...ref,
      error: String(error),
    });
  }
}
