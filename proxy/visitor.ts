import type { Socket } from "node:net";

import type { Tunnel } from "./tunnel";

/** The side of an exchange that faces the visitor: an HTTP/1.1 connection. */
export interface Visitor {
  readonly socket: Socket;
  readonly clientIp: string;
  /** It came over the cluster's own ingress, so its next connection should go where DNS says. */
  readonly nudged: boolean;
  readonly aheadBytes: number;
  /** It connected when the proxy had begun to drain. */
  readonly late: boolean;
  /** A request of another cluster's proxy came over it. */
  fromPeer: boolean;
  /** What was read behind the head; the exchange gives back what is not its body. */
  takeAhead(): Buffer | undefined;
  giveBack(bytes: Buffer): void;
  pauseBody(): void;
  resumeBody(): void;
  /** The exchange is over. `close`: the connection ends too, after what was written. */
  finished(close: boolean): void;
  /** Cuts the connection so that the visitor sees it. */
  reset(): void;
  opened(tunnel: Tunnel): void;
}
