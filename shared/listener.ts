import log from "encore.dev/log";
import postgres from "postgres";

import { backoffMs } from "./backoff";

const RECONNECT = { minMs: 50, maxMs: 2_000 };
const CONNECT_TIMEOUT_SECONDS = 5;

export interface Listener {
  close(): Promise<void>;
}

export interface ListenerEvents {
  /** A notification's payload. */
  readonly onNotify: (payload: string) => void;
  /** After each connect: notifications may have been lost before it, so read again. */
  readonly onConnect: () => void;
}

/**
 * Listens on a Postgres channel over a connection of its own, and connects again for as long as it is
 * open. Encore's `db.exec` cannot: LISTEN needs a session (encore-contract I.l).
 */
export function listen(
  connectionString: string,
  channel: string,
  events: ListenerEvents,
): Listener {
  const sql = postgres(connectionString, {
    max: 1,
    idle_timeout: 0,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    onnotice: () => undefined,
    backoff: (attempt) => backoffMs(attempt, RECONNECT, Math.random()) / 1000,
  });
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const connect = async (attempt: number): Promise<void> => {
    try {
      await sql.listen(channel, events.onNotify, events.onConnect);
    } catch (error) {
      if (closed) return;
      if (attempt === 1)
        log.warn("cannot listen, will try again", { channel, reason: String(error) });
      const waitMs = backoffMs(attempt, RECONNECT, Math.random());
      retry = setTimeout(() => void connect(attempt + 1), waitMs);
    }
  };
  void connect(1);

  return {
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await sql.end({ timeout: 1 });
    },
  };
}
