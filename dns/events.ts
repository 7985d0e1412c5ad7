import { api } from "encore.dev/api";

import { movedEventFault } from "../migrations/topics";
import { type Consumer, createConsumer } from "../shared/events/consumer";
import type { DeadEvent } from "../shared/events/store-dead";
import { kick } from "./life";
import { deadEvents } from "./store-dead";

/** A repl has moved: read the placement log now. What the event says is in the log, in order. */
export const moved: Consumer = createConsumer({
  name: "dns-repl-moved",
  faultOf: movedEventFault,
  handle: kick,
  store: deadEvents,
});

interface DeadEventList {
  items: DeadEvent[];
  /** The oldest, since there were too many. */
  dropped: number;
}

interface ReplayRequest {
  id: string;
}

interface ReplayResponse {
  outcome: "handled" | "dead" | "unknown";
  /** Why it is still dead; "" otherwise. */
  error: string;
}

/** List the events that could not be handled. */
export const listDeadEvents = api(
  { expose: false, method: "POST", path: "/v1/internal/dns/dead-events" },
  async (): Promise<DeadEventList> => deadEvents.list(),
);

/** Handle one of them as if it had just come. */
export const replayDeadEvent = api(
  { expose: false, method: "POST", path: "/v1/internal/dns/replay-dead-event" },
  async ({ id }: ReplayRequest): Promise<ReplayResponse> => moved.replay(id),
);
