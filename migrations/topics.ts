import { Topic } from "encore.dev/pubsub";

export { movedEventFault } from "./core/moved-event";

/**
 * A repl has moved. Only a kick: whoever needs to know reads the placement log by `seq`, so an
 * event that is late, doubled, out of order or lost changes nothing.
 */
export interface ReplMoved {
  /** Version of this payload: `MOVED_VERSION`. Another one is not read (`movedEventFault`). */
  v: number;
  /** The entry of the placement log that says the same. */
  seq: number;
  replId: string;
  migrationId: string;
  /** The cluster that it left. */
  from: string;
  /** Its new home. */
  to: string;
  /** Fencing token of the repl at its new home. */
  generation: number;
  /** W3C trace context of the move, or an empty string. */
  traceparent: string;
}

export const replMoved = new Topic<ReplMoved>("repl.moved", {
  deliveryGuarantee: "at-least-once",
});
