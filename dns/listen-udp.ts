import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";

import type { ListenAddress } from "./protocol";

/** A burst waits here while a change is applied: about 10⁴ queries. */
export const RECEIVE_BUFFER_OCTETS = 4 * 1024 * 1024;

/** The answer to a query in a buffer of its own, or none. */
export type AnswerUdp = (
  query: Uint8Array,
  address: string,
  later: Later,
) => Uint8Array | undefined;

/** Sends an answer that took its time. */
export type Later = (answer: Uint8Array) => void;

export interface UdpListener {
  readonly address: ListenAddress;
  close(): Promise<void>;
}

/**
 * Answers datagrams on one address. Each address has a socket of its own, so that an answer leaves
 * from where it was asked: on a wildcard socket the kernel chooses (Node has no IP_PKTINFO).
 */
export async function listenUdp(
  { host, port }: ListenAddress,
  answerTo: AnswerUdp,
): Promise<UdpListener> {
  const family = isIPv6(host) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    ipv6Only: family === 6,
    recvBufferSize: RECEIVE_BUFFER_OCTETS,
    // Senders are addresses already; node:dns would cost a tick for each answer.
    lookup: (address, _options, done) => done(null, address, family),
  });
  socket.on("message", (query, sender) => {
    // A sender that is gone, or never was, is no fault of ours: nobody is told, and that is cheaper.
    const send = (answer: Uint8Array): void => socket.send(answer, sender.port, sender.address);
    const answer = answerTo(query, sender.address, send);
    if (answer) send(answer);
  });
  try {
    await bound(socket, host, port);
  } catch (error) {
    socket.close();
    throw error;
  }
  return {
    address: { host, port: socket.address().port },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

const ignore = (): void => undefined;

async function bound(socket: Socket, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, host, () => {
      socket.removeListener("error", reject);
      resolve();
    });
  });
  // ICMP errors of earlier answers come back as socket errors; the socket stays usable.
  socket.on("error", ignore);
}
