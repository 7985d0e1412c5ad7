import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { createServer as createSecureServer, type Server as SecureServer } from "node:tls";

import { type ConnectionCounter, Connections } from "./connections";
import { addressOctets } from "./core/address";
import { NOT_MINE } from "./core/fast";
import type { Deliver } from "./hand-off";
import type { ListenAddress } from "./protocol";

/** While so much waits to be read by the asker, its further queries wait too. */
const MAX_UNSENT_OCTETS = 256 * 1024;
const LENGTH_OCTETS = 2;
/** Whoever says nothing for so long after connecting has no place in the table. */
const HANDSHAKE_MS = 5_000;

/** What askers know the server by, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Answers a chunk of queries, one after the other. */
export interface AnswerStream {
  /** Called before each chunk. */
  readonly begin: () => void;
  /** Called after each chunk with an answer. */
  readonly end: () => void;
  /**
   * Writes the answer to the query from `start` to `end` of `octets` into `out` from `at`, and says
   * its length; 0 for none, NOT_MINE where `whole` is to be asked.
   */
  readonly fast: (
    octets: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
    at: number,
    asker: TcpAsker,
  ) => number;
  /** Writes the answer to `query` into `out`, and says its length; 0 for none. */
  readonly whole: (query: Uint8Array, out: Uint8Array, asker: TcpAsker) => number;
}

export interface TcpAsker {
  readonly address: string;
  /** Of the address. */
  readonly octets: Uint8Array;
  /** For an answer that takes its time, in several messages perhaps: others may overtake it. */
  readonly later: () => Deliver;
}

export interface TcpListener {
  readonly address: ListenAddress;
  /** Accepts no more, lets open connections finish what they sent, at most for `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Over TLS (RFC 7858). */
export interface TlsListener extends TcpListener {
  /** Connections from now on see this certificate. */
  renew(certificate: Certificate): void;
}

export interface TcpEvents {
  readonly answerTo: AnswerStream;
  readonly counter: ConnectionCounter;
}

/** Answers queries over TCP (RFC 7766): any number on a connection, in order, one write a chunk. */
export async function listenTcp(address: ListenAddress, events: TcpEvents): Promise<TcpListener> {
  return listenWith(createServer({ allowHalfOpen: true, noDelay: true }), "connection", {
    ...address,
    ...events,
  });
}

/** The same within TLS. */
export async function listenTls(
  address: ListenAddress,
  certificate: Certificate,
  events: TcpEvents,
): Promise<TlsListener> {
  const server: SecureServer = createSecureServer({
    ...certificate,
    ALPNProtocols: ["dot"],
    minVersion: "TLSv1.2",
    handshakeTimeout: HANDSHAKE_MS,
    allowHalfOpen: true,
    noDelay: true,
  });
  const listener = await listenWith(server, "secureConnection", { ...address, ...events });
  return { ...listener, renew: (renewed) => server.setSecureContext(renewed) };
}

async function listenWith(
  server: Server,
  event: "connection" | "secureConnection",
  { host, port, answerTo, counter }: ListenAddress & TcpEvents,
): Promise<TcpListener> {
  const open = new Connections(counter);
  const served = new Set<Socket>();
  // Within TLS a connection counts from its first octet, not from the end of its handshake.
  server.on("connection", (socket: Socket) => open.admit(socket));
  server.on(event, (socket: Socket) => {
    if (socket.destroyed) return;
    const peer = socket.remoteAddress ?? "";
    served.add(socket);
    socket.on("close", () => served.delete(socket));
    socket.setTimeout(open.idleMs, () => socket.destroy());
    serve(socket, peer, answerTo);
  });
  await bound(server, host, port);
  const address = server.address();
  return {
    address: { host, port: typeof address === "object" ? (address?.port ?? port) : port },
    close: async (graceMs) => {
      for (const socket of served) socket.end();
      await closed(server, open, graceMs);
    },
  };
}

async function bound(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: isIPv6(host) }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

async function closed(server: Server, open: Connections, graceMs: number): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => open.destroy(), graceMs);
  await done;
  clearTimeout(timer);
}

/** Answers to a chunk are written here one behind the other; behind the last that begins within the bound any fits. */
const scratch = new Uint8Array(MAX_UNSENT_OCTETS + LENGTH_OCTETS + 65535);

function serve(socket: Socket, address: string, answerTo: AnswerStream): void {
  let pending: Buffer = Buffer.alloc(0);
  let hasEnded = false;
  /** Answers that will come later. */
  let owed = 0;

  const later = (): Deliver => {
    owed++;
    return async (messages) => {
      if (messages.length > 0) return sent(socket, messages);
      owed--;
      pump();
    };
  };
  const asker = { address, octets: addressOctets(address), later };

  /** Answer whole messages until none is left, or the asker does not read what it asked for. */
  const pump = (): void => {
    while (socket.writableLength < MAX_UNSENT_OCTETS) {
      const { answers, taken, isFaulty } = answerSome(pending, answerTo, asker);
      pending = pending.subarray(taken);
      if (answers.length > 0) socket.write(answers);
      if (isFaulty) return void socket.destroy();
      if (taken === 0) break;
    }
    const isBlocked = socket.writableLength >= MAX_UNSENT_OCTETS;
    if (isBlocked) socket.pause();
    else if (hasEnded && owed === 0) socket.end(); // Half-closed askers get their answers first.
    else socket.resume();
  };

  socket.on("error", () => socket.destroy());
  socket.on("drain", pump);
  socket.on("data", (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    pump();
  });
  socket.on("end", () => {
    hasEnded = true;
    pump();
  });
}

function sent(socket: Socket, messages: readonly Uint8Array[]): Promise<void> {
  const octets = messages.flatMap((message) => {
    return [Uint8Array.of(message.length >> 8, message.length & 0xff), message];
  });
  return new Promise((resolve, reject) => {
    socket.write(Buffer.concat(octets), (error) => (error ? reject(error) : resolve()));
  });
}

interface Some {
  readonly answers: Buffer;
  /** Octets of `pending` that were whole messages. */
  readonly taken: number;
  /** A message of no octets: the asker has lost its place in the stream. */
  readonly isFaulty: boolean;
}

/** Answers the whole messages at the start of `pending`, as one buffer of bounded size. */
function answerSome(pending: Buffer, answerTo: AnswerStream, asker: TcpAsker): Some {
  answerTo.begin();
  let octets = 0;
  let at = 0;
  let isFaulty = false;
  while (octets < MAX_UNSENT_OCTETS && pending.length - at >= LENGTH_OCTETS) {
    const length = (pending[at]! << 8) | pending[at + 1]!;
    isFaulty = length === 0;
    const start = at + LENGTH_OCTETS;
    const end = start + length;
    if (isFaulty || end > pending.length) break;
    const to = octets + LENGTH_OCTETS;
    let answered = answerTo.fast(pending, start, end, scratch, to, asker);
    if (answered === NOT_MINE) {
      answered = answerTo.whole(pending.subarray(start, end), scratch.subarray(to), asker);
    }
    if (answered > 0) {
      scratch[octets] = answered >> 8;
      scratch[octets + 1] = answered & 0xff;
      octets += LENGTH_OCTETS + answered;
    }
    at = end;
  }
  if (octets > 0) answerTo.end();
  return { answers: Buffer.from(scratch.subarray(0, octets)), taken: at, isFaulty };
}
