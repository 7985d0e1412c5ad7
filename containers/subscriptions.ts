import { Subscription } from "encore.dev/pubsub";

import { replMoved } from "../migrations/topics";
import { moved } from "./events";

export const containersReplMoved = new Subscription(replMoved, "containers-repl-moved", {
  handler: async (event) => moved.take(event),
});
