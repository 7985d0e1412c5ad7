/** Asks a server what the rules say, and holds its replies against them. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect as connectHttp2 } from "node:http2";
import { isIPv6, Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { EDNS_RULES } from "./edns-rules";
import { LOOKUP_RULES } from "./lookup-rules";
import { decode, type Message, query, words } from "./message";
import { MESSAGE_RULES } from "./message-rules";
import type { Conversation, Exchange, Rule, Stream, Transport } from "./rule";
import { STREAM_RULES } from "./stream-rules";

export const RULES: readonly Rule[] = [
  ...MESSAGE_RULES,
  ...LOOKUP_RULES,
  ...EDNS_RULES,
  ...STREAM_RULES,
];

export const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "https"];

/** The rules that can be broken over a transport. */
export function rulesOver(transport: Transport): Rule[] {
  const like = transport === "tls" ? "tcp" : transport;
  return RULES.filter(({ over }) => {
    return over === undefined || over.some((candidate) => candidate === like);
  });
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** A datagram may be lost: so often it is sent, each time after so long. */
const UDP_ATTEMPTS = 3;
const REPLY_MS = 2_000;
/** How long a server may take to close, or to say nothing, over TCP. */
const CONVERSATION_MS = 5_000;
const MAX_UDP_OCTETS = 1232;

/** Behind a query that may be met with silence this one is sent: its reply says that none comes. */
const SENTINEL_ID = 0xfeed;
const SENTINEL = query("a.wire.test", "A", { id: SENTINEL_ID });

/** Why the server breaks the rule over this transport, or undefined. */
export async function faultOf(
  { test }: Rule,
  transport: Transport,
  target: Target,
): Promise<string | undefined> {
  try {
    if ("pieces" in test) return await streamFault(test, transport, target);
    return await exchangeFault(test, transport, target);
  } catch (error) {
    return (error as Error).message;
  }
}

async function streamFault(
  stream: Stream,
  transport: Transport,
  target: Target,
): Promise<string | undefined> {
  return stream.expect(await converse(stream, transport, target));
}

function askOver(ask: Buffer, transport: Transport, target: Target): Promise<Buffer | undefined> {
  if (transport === "udp") return askUdp(ask, target);
  return transport === "https" ? askHttps(ask, target) : askStream(ask, transport, target);
}

async function exchangeFault(
  first: Exchange,
  transport: Transport,
  target: Target,
): Promise<string | undefined> {
  for (let exchange: Exchange | undefined = first; exchange;) {
    const { ask, expect, next } = exchange as Exchange;
    const octets = await askOver(ask, transport, target);
    const reply = octets && decode(octets);
    const fault = (reply && faultOfAny(ask, reply, transport)) ?? expect(reply);
    if (fault !== undefined) return fault;
    exchange = reply && next?.(reply);
  }
  return undefined;
}

/** What holds for every reply: it is one, to this query, and no larger than the asker takes. */
function faultOfAny(ask: Buffer, reply: Message, transport: Transport): string | undefined {
  if (!reply.qr) return "the reply is a query";
  if (reply.id !== ask.readUInt16BE(0)) return `ID ${reply.id}`;
  if (
    reply.questions > 0 &&
    !ask.subarray(12).subarray(0, reply.question.length).equals(reply.question)
  ) {
    return `the question came back as ${reply.question.toString("hex")}`;
  }
  const limit = transport === "udp" ? sizeLimit(ask) : Infinity;
  return reply.octets.length <= limit ? undefined : `${reply.octets.length} octets`;
}

function sizeLimit(ask: Buffer): number {
  try {
    const { opt } = decode(ask);
    return opt ? Math.min(Math.max(512, opt.size), MAX_UDP_OCTETS) : 512;
  } catch {
    return MAX_UDP_OCTETS;
  }
}

/** The reply to a datagram; undefined when a later one was replied to and this one was not. */
async function askUdp(ask: Buffer, { host, port }: Target): Promise<Buffer | undefined> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  // A connected socket hears only the address that it asks (RFC 5452 section 9.1).
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  try {
    for (let attempt = 0; attempt < UDP_ATTEMPTS; attempt++) {
      const replies = await exchangeOnce(socket, ask);
      if (replies) return replies.find((reply) => reply.readUInt16BE(0) !== SENTINEL_ID);
    }
    throw new Error(`no reply from ${host}:${port}`);
  } finally {
    socket.close();
  }
}

/** Everything up to the sentinel's reply; undefined when that does not come. */
function exchangeOnce(socket: UdpSocket, ask: Buffer): Promise<Buffer[] | undefined> {
  return new Promise((resolve, reject) => {
    const replies: Buffer[] = [];
    const done = (value: Buffer[] | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      resolve(value);
    };
    const timer = setTimeout(() => done(undefined), REPLY_MS);
    socket.on("error", reject);
    socket.on("message", (reply) => {
      replies.push(reply);
      if (reply.length >= 2 && reply.readUInt16BE(0) === SENTINEL_ID) done(replies);
    });
    socket.send(ask);
    socket.send(SENTINEL);
  });
}

/** The reply to a message on a connection of its own; undefined when it was passed over or closed at. */
async function askStream(
  ask: Buffer,
  transport: Transport,
  target: Target,
): Promise<Buffer | undefined> {
  const pieces = [Buffer.concat([words(ask.length), ask, words(SENTINEL.length), SENTINEL])];
  const untilSentinel = (messages: readonly Buffer[]): boolean =>
    messages.some((message) => message.readUInt16BE(0) === SENTINEL_ID);
  const { messages } = await talk({ pieces, until: untilSentinel }, transport, target);
  return messages.find((message) => message.readUInt16BE(0) !== SENTINEL_ID);
}

async function converse(
  { pieces, isEnded, replies }: Stream,
  transport: Transport,
  target: Target,
): Promise<Conversation> {
  const until = (messages: readonly Buffer[]): boolean =>
    replies !== undefined && messages.length >= replies;
  const talked = await talk({ pieces, isEnded: isEnded ?? false, until }, transport, target);
  const { messages, firstPiece, hasClosed } = talked;
  return { replies: messages.map(decode), firstPiece, hasClosed };
}

interface Talk {
  readonly pieces: readonly Buffer[];
  readonly isEnded?: boolean;
  readonly until: (messages: readonly Buffer[]) => boolean;
}

interface Talked {
  readonly messages: Buffer[];
  readonly firstPiece: number;
  readonly hasClosed: boolean;
}

/** Sends the pieces one by one, and listens until enough came, the server closed, or time is up. */
async function talk(
  { pieces, isEnded, until }: Talk,
  transport: Transport,
  target: Target,
): Promise<Talked> {
  const socket = transport === "tls" ? overTls(target) : overTcp(target);
  socket.setNoDelay(true);
  const messages: Buffer[] = [];
  let firstPiece = 0;
  let pending: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const done = (hasClosed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ messages, firstPiece, hasClosed });
    };
    const timer = setTimeout(() => done(false), CONVERSATION_MS);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") return done(true);
      clearTimeout(timer);
      reject(error);
    });
    socket.on("end", () => done(true));
    socket.on("data", (chunk) => {
      firstPiece ||= chunk.length;
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE()) {
        const end = 2 + pending.readUInt16BE();
        messages.push(pending.subarray(2, end));
        pending = pending.subarray(end);
      }
      if (until(messages)) done(false);
    });
    const ready = transport === "tls" ? "secureConnect" : "connect";
    socket.once(ready, () => void send(socket, pieces, isEnded ?? false));
  });
}

const overTcp = (target: Target): Socket => new Socket().connect({ ...target });

/** The suite is about answers: whose certificate it is, it does not ask. */
const overTls = (target: Target): Socket =>
  connectTls({ ...target, ALPNProtocols: ["dot"], rejectUnauthorized: false });

/** The reply to a POST of RFC 8484; undefined when the status says that there is none. */
async function askHttps(ask: Buffer, { host, port }: Target): Promise<Buffer | undefined> {
  const authority = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const session = connectHttp2(authority, { rejectUnauthorized: false });
  try {
    return await new Promise<Buffer | undefined>((resolve, reject) => {
      session.on("error", reject);
      const type = "application/dns-message";
      const stream = session.request({
        ":method": "POST",
        ":path": "/dns-query",
        "content-type": type,
      });
      const chunks: Buffer[] = [];
      let isAnswer = false;
      stream.on("response", (headers) => {
        isAnswer = headers[":status"] === 200 && headers["content-type"] === type;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => resolve(isAnswer ? Buffer.concat(chunks) : undefined));
      stream.on("error", reject);
      stream.setTimeout(CONVERSATION_MS, () => reject(new Error(`no reply from ${authority}`)));
      stream.end(ask);
    });
  } finally {
    session.destroy();
  }
}

async function send(socket: Socket, pieces: readonly Buffer[], isEnded: boolean): Promise<void> {
  // A turn of the event loop between two writes makes two segments of them.
  for (const piece of pieces) {
    await new Promise((next) => setImmediate(next));
    if (!socket.writable) return;
    socket.write(piece);
  }
  if (isEnded) socket.end();
}
