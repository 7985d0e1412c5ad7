import { createSocket } from "node:dgram";
import { createServer } from "node:net";

import type { Address } from "../shared/settings";

/** An address that something of ours is going to listen on. */
export interface Wanted extends Address {
  readonly what: string;
  readonly transports: ReadonlyArray<"tcp" | "udp">;
}

/** Why it cannot be listened on: `EADDRINUSE`, …; undefined when it can. */
export async function bindFault({ host, port, transports }: Wanted): Promise<string | undefined> {
  const faults = await Promise.all(
    transports.map((transport) =>
      transport === "tcp" ? tcpFault(host, port) : udpFault(host, port),
    ),
  );
  return faults.find((fault) => fault !== undefined);
}

function tcpFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function udpFault(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code ?? error.message);
    });
    socket.bind(port, host, () => socket.close(() => resolve(undefined)));
  });
}

/** Throws an error with one line for each address that is not free. */
export async function assertFree(wanted: readonly Wanted[]): Promise<void> {
  const faults = await Promise.all(
    wanted.map(async (one) => {
      const fault = await bindFault(one);
      if (fault === undefined) return [];
      const why = fault === "EADDRINUSE" ? "the port is taken" : fault;
      return [`Cannot listen on ${show(one)} for ${one.what}: ${why}`];
    }),
  );
  const lines = faults.flat();
  if (lines.length > 0) throw new Error(lines.join("\n"));
}

/** `127.0.0.1:8080`, `[::1]:8080` */
export function show({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
