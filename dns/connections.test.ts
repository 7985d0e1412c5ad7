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

class Tally {
  open = 0;
  refused = 0;
  connectionOpened(): void {
    this.open++;
  }
  connectionClosed(): void {
    this.open--;
  }
  connectionRefused(): void {
    this.refused++;
  }
}

const socketOf = (address: string): Socket => new FakeSocket(address) as unknown as Socket;

it("takes so many of a network, and others still", () => {
  const tally = new Tally();
  const connections = new Connections(tally);
  const sockets = Array.from({ length: MAX_CONNECTIONS_PER_NETWORK }, (_, i) =>
    socketOf(`192.0.2.${i % 256}`),
  );
  for (const socket of sockets) connections.admit(socket);
  expect(tally).toMatchObject({ open: MAX_CONNECTIONS_PER_NETWORK, refused: 0 });
  connections.admit(socketOf("192.0.2.1"));
  expect(tally).toMatchObject({ open: MAX_CONNECTIONS_PER_NETWORK, refused: 1 });
  connections.admit(socketOf("192.0.3.1"));
  sockets[0]!.destroy();
  connections.admit(socketOf("192.0.2.1"));
  expect(tally).toMatchObject({ open: MAX_CONNECTIONS_PER_NETWORK + 1, refused: 1 });
});

it("waits less for who is idle when half are open, and takes no more than all", () => {
  const tally = new Tally();
  const connections = new Connections(tally);
  const quiet = connections.idleMs;
  for (let i = 0; i < MAX_CONNECTIONS + 10; i++) connections.admit(socketOf(`10.0.${i % 250}.1`));
  expect(connections.idleMs).toBeLessThan(quiet);
  expect(tally).toEqual({ open: MAX_CONNECTIONS, refused: 10 });
  connections.destroy();
  expect(tally.open).toBe(0);
  expect(connections.idleMs).toBe(quiet);
});
