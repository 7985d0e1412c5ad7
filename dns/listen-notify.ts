import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";

import type { ListenAddress } from "./protocol";

/**
 * Send a datagram from an address of ours, and wait for an answer that `accept` takes: false when
 * none came in time. The port of the sender is any; secondaries go by the address (RFC 1996 3.10).
 */
export async function exchange(
  { from, to, octets, waitMs }: Exchange,
  accept: (answer: Uint8Array) => boolean,
): Promise<boolean> {
  const type = isIPv6(to.host) ? "udp6" : "udp4";
  const socket = createSocket({ type });
  try {
    await bound(socket, from);
    return await new Promise<boolean>((resolve, reject) => {
      const timer = setTimeout(() => resolve(false), waitMs);
      socket.on("error", reject);
      socket.on("message", (answer, sender) => {
        const isFromThere = sender.port === to.port && sender.address === to.host;
        if (!isFromThere || !accept(answer)) return;
        clearTimeout(timer);
        resolve(true);
      });
      socket.send(octets, to.port, to.host);
    });
  } finally {
    socket.close();
  }
}

export interface Exchange {
  /** An address of ours; undefined for the system's choice. */
  readonly from: string | undefined;
  readonly to: ListenAddress;
  readonly octets: Uint8Array;
  readonly waitMs: number;
}

async function bound(socket: Socket, from: string | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ port: 0, ...(from === undefined ? {} : { address: from }) }, () => {
      socket.removeListener("error", reject);
      resolve();
    });
  });
}
