import { Subscription } from "encore.dev/pubsub";

import { replMoved } from "../migrations/topics";
import { kickTail } from "./kick";

/** The log says what moved; the event only says that it is time to read it. */
export const containersReplMoved = new Subscription(replMoved, "containers-repl-moved", {
  handler: async ({ v }) => {
    // Another version is not guessed: it goes to the dead letters.
    if (v !== 1) throw new Error(`Cannot read version ${v} of repl.moved: expected 1`);
    kickTail();
  },
});
