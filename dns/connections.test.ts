import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

import { expect, it } from "vitest";

import { Connections, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_NETWORK } from "./connections";

class FakeSocket extends EventEmitter {
  constructor(readonly remoteAddress: string) {
    super();
  }

  destroy(): void {
    this.emit("close");
  }
}

const socketOf = (address: string): Socket => new FakeSocket(address) as unknown as Socket;

it("takes so many of a network, and others still", () => {
  const connections = new Connections();
  const sockets = Array.from({ length: MAX_CONNECTIONS_PER_NETWORK }, (_, i) =>
    socketOf(`192.0.2.${i % 256}`),
  );
  expect(sockets.every((socket) => connections.admit(socket))).toBe(true);
  expect(connections.admit(socketOf("192.0.2.1"))).toBe(false);
  expect(connections.admit(socketOf("192.0.3.1"))).toBe(true);
  sockets[0]!.destroy();
  expect(connections.admit(socketOf("192.0.2.1"))).toBe(true);
});

it("waits less for who is idle when half are open, and takes no more than all", () => {
  const connections = new Connections();
  const quiet = connections.idleMs;
  const admitted = Array.from({ length: MAX_CONNECTIONS + 10 }, (_, i) =>
    connections.admit(socketOf(`10.0.${i % 250}.1`)),
  );
  expect(connections.idleMs).toBeLessThan(quiet);
  expect(admitted.filter(Boolean)).toHaveLength(MAX_CONNECTIONS);
  connections.destroy();
  expect(connections.size).toBe(0);
  expect(connections.idleMs).toBe(quiet);
});
