import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { Channel, ChannelEvents } from "./channel";

/** Encore refuses a longer frame, and no client that is in use sends a message in several. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Who does not answer a close frame for this long is cut off. */
const CLOSE_TIMEOUT_MS = 5_000;

/** Who went away without a word is noticed by the system's probes. */
const KEEP_ALIVE_MS = 60_000;

/** Settings of both sides. Encore does not compress either. */
export const WEB_SOCKET = {
  maxPayload: MAX_MESSAGE_BYTES,
  closeTimeout: CLOSE_TIMEOUT_MS,
  perMessageDeflate: false,
};

/** A channel over a WebSocket that is open. */
export class WebSocketChannel implements Channel {
  readonly #webSocket: WebSocket;
  #waiting: (() => void)[] = [];

  constructor(webSocket: WebSocket, connection: Socket) {
    this.#webSocket = webSocket;
    connection.setKeepAlive(true, KEEP_ALIVE_MS);
    webSocket.pause();
    // What breaks the connection also ends it: `close` follows.
    webSocket.on("error", () => {});
    webSocket.once("close", () => this.#wake());
  }

  attach({ text, closed }: ChannelEvents): void {
    this.#webSocket.on("message", (data: Buffer) => text(data.toString("utf8")));
    this.#webSocket.once("close", (code: number, reason: Buffer) =>
      closed({ code, reason: reason.toString("utf8") }),
    );
    this.resume();
  }

  send(text: string): boolean {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return false;
    this.#webSocket.send(text, () => {
      if (this.unsentBytes === 0) this.#wake();
    });
    return true;
  }

  close(code?: number, reason?: string): void {
    // The other side's answer must be read, even if its messages are not.
    this.resume();
    this.#webSocket.close(code, reason);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  get unsentBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  drained(): Promise<void> {
    const isOpen = this.#webSocket.readyState === this.#webSocket.OPEN;
    if (!isOpen || this.unsentBytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
