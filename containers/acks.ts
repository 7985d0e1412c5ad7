import { listen, type Listener } from "../shared/listener";
import { type ClusterStore, connectionString } from "./store";

/** A lost notification costs no more than this. */
const POLL_MS = 50;

const waiting = new Set<() => void>();

/** Hears when a proxy acknowledges a version, so that a freeze waits no longer than it must. */
export function listenToAcks(): Listener {
  const wakeAll = (): void => {
    for (const wake of waiting) wake();
  };
  return listen(connectionString(), "proxy_acked", { onNotify: wakeAll, onConnect: wakeAll });
}

function nextAck(): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      waiting.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, POLL_MS);
    waiting.add(wake);
  });
}

export interface QuietOptions {
  readonly waitMs: number;
  /** Asked again and again; true ends the wait early. */
  readonly isAbandoned?: () => boolean;
}

/**
 * Whether, within `waitMs`, every live proxy has acknowledged `version` with nothing of the repl in
 * flight that it forbids (design section 4, rule 7).
 */
export async function untilQuiet(
  store: ClusterStore,
  replId: string,
  version: number,
  { waitMs, isAbandoned = () => false }: QuietOptions,
): Promise<boolean> {
  const end = performance.now() + waitMs;
  for (;;) {
    const next = nextAck();
    if (await store.isQuiet(replId, version)) return true;
    if (performance.now() >= end || isAbandoned()) return false;
    await next;
  }
}
