import { connect } from "node:net";

import type { Endpoint } from "../core/ports";

/** On one machine a connection is accepted at once, or the queue is full. */
const PROBE_TIMEOUT_MS = 1_000;

/** Whether a TCP connection is accepted there. Nothing is sent, so no handler of the app runs. */
export function accepts({ host, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
