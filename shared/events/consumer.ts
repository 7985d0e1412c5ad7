import log from "encore.dev/log";

import type { DeadEventStore } from "./store-dead";

export interface ConsumerOptions {
  /** The subscription's name. */
  readonly name: string;
  /** Why an event can never be handled; null when it can. */
  readonly faultOf: (payload: unknown) => string | null;
  /** Idempotent. A rejection is for now only: the broker delivers the event again. */
  readonly handle: () => void | Promise<void>;
  readonly store: DeadEventStore;
}

export type Replay =
  | { readonly outcome: "handled" | "unknown"; readonly error: "" }
  /** It still cannot be handled, and is kept. */
  | { readonly outcome: "dead"; readonly error: string };

/** One subscription, with dead letters of its own (docs/decisions/0012). */
export interface Consumer {
  /** Rejects when the event should come again. */
  take(payload: unknown): Promise<void>;
  /** Handles a dead event as if it had just come. Rejects when it could not be handled now. */
  replay(id: string): Promise<Replay>;
}

export function createConsumer({ name, faultOf, handle, store }: ConsumerOptions): Consumer {
  return {
    async take(payload) {
      const error = faultOf(payload);
      if (error === null) return await handle();
      const id = await store.put(name, payload, error);
      log.error("an event cannot be handled, and is kept", { subscription: name, id, error });
    },

    async replay(id) {
      const dead = await store.find(id);
      if (!dead || dead.subscription !== name) return { outcome: "unknown", error: "" };
      if (dead.payload === "") {
        return { outcome: "dead", error: "Cannot replay: its payload was too long to be kept" };
      }
      const payload: unknown = JSON.parse(dead.payload);
      const error = faultOf(payload);
      if (error !== null) {
        await store.setError(id, error);
        return { outcome: "dead", error };
      }
      await handle();
      await store.remove(id);
      return { outcome: "handled", error: "" };
    },
  };
}
