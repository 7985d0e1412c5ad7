import { api } from "encore.dev/api";

import { movedEventFault } from "../migrations/topics";
import { type Consumer, createConsumer } from "../shared/events/consumer";
import type { DeadEvent } from "../shared/events/store-dead";
import { kickTail } from "./kick";
import { untilOpen } from "./local";
import { deadEvents } from "./store-dead";

/** The log says what moved; the event only says that it is time to read it. */
export const moved: Consumer = createConsumer({
  name: "containers-repl-moved",
  faultOf: movedEventFault,
  handle: kickTail,
  store: deadEvents,
});

interface ClusterRequest {
  clusterId: string;
}

interface DeadEventList {
  items: DeadEvent[];
  /** The oldest, since there were too many. */
  dropped: number;
}

interface ReplayRequest {
  clusterId: string;
  id: string;
}

interface ReplayResponse {
  outcome: "handled" | "dead" | "unknown";
  /** Why it is still dead; "" otherwise. */
  error: string;
}

/** List the events that the deployment of a cluster could not handle. */
export const listDeadEvents = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/dead-events" },
  async ({ clusterId }: ClusterRequest): Promise<DeadEventList> => {
    await untilOpen(clusterId);
    return await deadEvents.list();
  },
);

/** Handle one of them as if it had just come. */
export const replayDeadEvent = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/replay-dead-event" },
  async ({ clusterId, id }: ReplayRequest): Promise<ReplayResponse> => {
    await untilOpen(clusterId);
    return await moved.replay(id);
  },
);
