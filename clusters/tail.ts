import { untilShutdown } from "../shared/hosting";
import { listen, type Listener } from "../shared/listener";
import { createTail } from "./poll";
import * as store from "./store";

const tail = createTail({ read: store.readLog, untilClosed: untilShutdown() });

/** Reads the placement log by long poll. */
export const readTail = tail.read;

/** Wakes the pending reads for as long as it is open. */
export function listenToLog(): Listener {
  return listen(store.connectionString(), "placement_log", {
    onNotify: tail.wake,
    onConnect: tail.wake,
  });
}
