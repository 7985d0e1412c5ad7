import type { Server } from "node:http";
import type { Socket } from "node:net";

/**
 * Connections on which nothing has been asked yet. Node.js counts them among the busy ones for a
 * minute, and so would wait for them at its end.
 */
export class Newcomers {
  /** What each had sent when it came, or when it came back from another protocol. */
  readonly #sockets = new Map<Socket, number>();

  constructor(server: Server) {
    server.on("connection", (socket: Socket) => {
      this.#sockets.set(socket, socket.bytesRead);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("request", ({ socket }) => this.#sockets.delete(socket));
  }

  /** Closes those that have not begun to ask. */
  close(): void {
    for (const [socket, bytesRead] of this.#sockets) {
      if (socket.bytesRead === bytesRead) socket.destroy();
    }
  }
}
