import type { Socket } from "node:net";

import { networkOf } from "./core/address";
import { TCP_IDLE_MS } from "./core/respond";

export const MAX_CONNECTIONS = 2_000;
/** One network (a /24, or a /56 of IPv6) may not take them all. */
export const MAX_CONNECTIONS_PER_NETWORK = 200;
/** Beyond half of them, who is idle makes room sooner (RFC 9210 section 4.5). */
const CROWDED_IDLE_MS = 5_000;

/** Told of each connection. */
export interface ConnectionCounter {
  connectionOpened(): void;
  connectionClosed(): void;
  connectionRefused(): void;
}

/** The open connections of one listener, and how many each network has. */
export class Connections {
  readonly #counter: ConnectionCounter;
  readonly #open = new Set<Socket>();
  readonly #ofNetwork = new Map<string, number>();
  #isClosed = false;

  constructor(counter: ConnectionCounter) {
    this.#counter = counter;
  }

  /** How long a connection that opens now may be idle. */
  get idleMs(): number {
    return this.#open.size > MAX_CONNECTIONS / 2 ? CROWDED_IDLE_MS : TCP_IDLE_MS;
  }

  /** Take a connection up until it closes; when there are too many it is destroyed. */
  admit(socket: Socket): void {
    const network = networkOf(socket.remoteAddress ?? "");
    const count = this.#ofNetwork.get(network) ?? 0;
    const isFull = this.#open.size >= MAX_CONNECTIONS || count >= MAX_CONNECTIONS_PER_NETWORK;
    if (isFull || this.#isClosed) {
      socket.destroy();
      return this.#counter.connectionRefused();
    }
    this.#open.add(socket);
    this.#counter.connectionOpened();
    this.#ofNetwork.set(network, count + 1);
    socket.once("close", () => this.#leave(socket, network));
  }

  /** Whoever is still there, or comes still, is sent away. */
  destroy(): void {
    this.#isClosed = true;
    for (const socket of this.#open) socket.destroy();
  }

  #leave(socket: Socket, network: string): void {
    this.#open.delete(socket);
    this.#counter.connectionClosed();
    const left = (this.#ofNetwork.get(network) ?? 1) - 1;
    if (left > 0) this.#ofNetwork.set(network, left);
    else this.#ofNetwork.delete(network);
  }
}
