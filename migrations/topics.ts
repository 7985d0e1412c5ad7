import { Topic } from "encore.dev/pubsub";

export { movedEventFault } from "./core/moved-event";

/**
 * A repl has moved. Only a kick: whoever needs to know reads the placement log by `seq`, so an
 * event that is late, doubled, out of order or lost changes nothing.
 */
export interface ReplMoved {
  /** Version of what is in `moved`: `MOVED_VERSION`. Another one is not read (`movedEventFault`). */
  v: number;
  /**
   * `Moved`, in version 1. Not said here: the runtime refuses what does not fit a topic's type before a
   * consumer sees it, and drops fields that it does not know. Another version must reach the dead
   * events whole.
   */
  moved: unknown;
}

export const replMoved = new Topic<ReplMoved>("repl.moved", {
  deliveryGuarantee: "at-least-once",
});
