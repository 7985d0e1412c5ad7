import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";

import packet, { type Answer, type RecordType } from "dns-packet";

/** An answer of the name server, as far as the command line shows it. */
export interface Resolved {
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly rcode: string;
  readonly records: ReadonlyArray<{
    readonly type: string;
    readonly data: string;
    readonly ttl: number;
  }>;
}

export interface NameServer {
  /** Ask once, again after `retryMs` without an answer, and give up after `timeoutMs`. */
  query(name: string, type: RecordType): Promise<Resolved>;
  close(): void;
}

const TIMEOUT_MS = 2_000;
const RETRY_MS = 400; // On one machine an answer takes microseconds: one that is late was lost.
const MAX_ID = 65_536;

/** `127.0.0.1:5300` or `[::1]:5300`. */
export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(at + 1));
  if (at <= 0 || !Number.isInteger(port) || port < 1 || port >= MAX_ID) {
    throw new Error(`Cannot use the name server "${address}": expected such as 127.0.0.1:5300`);
  }
  return { host, port };
}

/**
 * A client of one name server over one UDP socket: many questions at once, told apart by their id.
 * Truncated answers are shown as they are, since no answer asked for here is long.
 */
export function openNameServer(address: string): NameServer {
  const { host, port } = splitAddress(address);
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const waiting = new Map<number, (answer: Resolved) => void>();
  let nextId = Math.floor(Math.random() * MAX_ID);
  let isOpen = true;
  socket.on("message", (message) => {
    const answer = decode(message);
    if (answer) waiting.get(answer.id)?.(answer.resolved);
  });
  socket.on("error", () => undefined); // A refused datagram: the timeout tells it.
  socket.unref();
  return {
    query: (name, type) => {
      do nextId = (nextId + 1) % MAX_ID;
      while (waiting.has(nextId));
      const id = nextId;
      const question = packet.encode({
        type: "query",
        id,
        flags: 0,
        questions: [{ type, name }],
      });
      const send = (): void => {
        if (isOpen) socket.send(question, port, host);
      };
      return answerOf(waiting, id, send, `${address} does not answer for ${name} ${type}`);
    },
    close: () => {
      isOpen = false;
      close(socket);
    },
  };
}

function answerOf(
  waiting: Map<number, (answer: Resolved) => void>,
  id: number,
  send: () => void,
  failure: string,
): Promise<Resolved> {
  return new Promise((resolve, reject) => {
    const retry = setTimeout(send, RETRY_MS);
    const timeout = setTimeout(() => {
      waiting.delete(id);
      clearTimeout(retry);
      reject(new Error(failure));
    }, TIMEOUT_MS);
    waiting.set(id, (answer) => {
      waiting.delete(id);
      clearTimeout(retry);
      clearTimeout(timeout);
      resolve(answer);
    });
    send();
  });
}

function close(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // Already closed.
  }
}

function decode(message: Buffer): { id: number; resolved: Resolved } | undefined {
  try {
    const { id = 0, answers = [], ...rest } = packet.decode(message);
    const { rcode = "NOERROR" } = rest as { rcode?: string };
    return { id, resolved: { rcode, records: answers.flatMap(record) } };
  } catch {
    return undefined; // Not an answer to us.
  }
}

function record(answer: Answer): Array<{ type: string; data: string; ttl: number }> {
  if (!("data" in answer)) return [];
  const { data, ttl = 0 } = answer as { data: unknown; ttl?: number };
  return [{ type: answer.type, data: present(data), ttl }];
}

/** Data as it is shown: texts as they are, TXT joined, the rest as JSON. */
function present(data: unknown): string {
  if (typeof data === "string") return data;
  if (Buffer.isBuffer(data)) return data.toString("utf8");
  if (Array.isArray(data)) return data.map(present).join(" ");
  return JSON.stringify(data);
}

/** Answers kept for as long as their TTL says, and never longer than `maxAgeMs`. */
export function cached(
  server: NameServer,
  now: () => number,
  maxAgeMs: number,
): (name: string) => Promise<string> {
  const kept = new Map<string, { address: string; untilMs: number }>();
  return async (name) => {
    const known = kept.get(name);
    if (known && known.untilMs > now()) return known.address;
    const { rcode, records } = await server.query(name, "A");
    const first = records.find(({ type }) => type === "A");
    if (!first) throw new Error(`${name} has no address: ${rcode}`);
    const untilMs = now() + Math.min(first.ttl * 1000, maxAgeMs);
    kept.set(name, { address: first.data, untilMs });
    return first.data;
  };
}
