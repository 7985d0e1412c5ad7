import { Subscription } from "encore.dev/pubsub";

import { replMoved } from "../migrations/topics";
import { kick } from "./life";

/** A repl has moved: read the placement log now. What the event says is in the log, in order. */
export const onReplMoved = new Subscription(replMoved, "dns-repl-moved", {
  handler: async () => kick(),
});
