import { Subscription } from "encore.dev/pubsub";

import { replMoved } from "../migrations/topics";
import { moved } from "./events";

export const onReplMoved = new Subscription(replMoved, "dns-repl-moved", {
  handler: async (event) => moved.take(event),
});
