import { untilShutdown } from "../shared/hosting";

/** Another process may have worked on the migration, and does not tell us: look again after this. */
const LOOK_AGAIN_MS = 250;

export interface Change {
  /** False when the time is over, or the process ends. */
  readonly promise: Promise<boolean>;
}

const watchers = new Map<string, Set<() => void>>();
let ending = false;

void untilShutdown().then(() => {
  ending = true;
  for (const id of watchers.keys()) announce(id);
});

/** Tells whoever watches the migration in this process that it has changed. */
export function announce(id: string): void {
  for (const wake of watchers.get(id) ?? []) wake();
}

/** Begins to watch at once, so that a change during the caller's read is not missed. */
export function untilChanged(id: string, waitMs: number): Change {
  if (waitMs <= 0 || ending) return { promise: Promise.resolve(false) };
  const watching = watchers.get(id) ?? new Set();
  watchers.set(id, watching);
  const promise = new Promise<boolean>((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      watching.delete(wake);
      if (watching.size === 0) watchers.delete(id);
      resolve(!ending);
    };
    const timer = setTimeout(wake, Math.min(waitMs, LOOK_AGAIN_MS));
    watching.add(wake);
  });
  return { promise };
}
