import type { Socket } from "node:net";

import { LIMITS } from "./core/limits";

/**
 * Writes a head (latin1, may be empty) and the bytes behind it as one write; false when the socket's
 * buffer is full. Small bodies are copied behind the head: cheaper than a vectored write.
 */
export function writeWithHead(socket: Socket, text: string, bytes: Buffer): boolean {
  if (text === "") return socket.write(bytes);
  if (bytes.length > LIMITS.coalesceBytes) {
    socket.cork();
    socket.write(text, "latin1");
    const more = socket.write(bytes);
    socket.uncork();
    return more;
  }
  const whole = Buffer.allocUnsafe(text.length + bytes.length);
  whole.write(text, 0, "latin1");
  whole.set(bytes, text.length);
  return socket.write(whole);
}
