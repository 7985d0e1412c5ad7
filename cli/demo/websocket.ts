import { randomBytes } from "node:crypto";
import { type Agent, request } from "node:http";
import type { Socket } from "node:net";

import { Unserved } from "./exchange";

/** A visitor's WebSocket (RFC 6455), for short text messages. */
export interface WebSocketClient {
  /** Resolves with the echo of `text`; rejects with a `Closed` when the connection ends first. */
  echo(text: string): Promise<string>;
  /** Resolves once, with the close frame's code; 1006 when there was none. */
  readonly closed: Promise<number>;
  close(): void;
}

const TIMEOUT_MS = 15_000;
const NO_CLOSE_FRAME = 1006;
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 };

export class Closed extends Error {
  constructor(readonly code: number) {
    super(`the WebSocket was closed with ${code}`);
  }
}

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly host: string;
  readonly path: string;
  /** Whose connection is upgraded; without one, a new connection. */
  readonly agent?: Agent;
}

export function connect({ address, port, host, path, agent }: Target): Promise<WebSocketClient> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: address,
      port,
      path,
      agent: agent ?? false,
      headers: {
        host: `${host}:${port}`,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": randomBytes(16).toString("base64"),
      },
    });
    const askedAt = performance.now();
    let isSilent = false;
    const fail = (why: string, isUnanswered: boolean): void =>
      reject(new Unserved(`no WebSocket: ${why}`, askedAt, isUnanswered));
    outgoing.setTimeout(TIMEOUT_MS, () => {
      isSilent = true;
      outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`));
    });
    outgoing.on("error", (error) => fail(error.message, !isSilent));
    outgoing.on("response", (response) => {
      response.resume();
      fail(`status ${response.statusCode}`, false);
    });
    outgoing.on("upgrade", (_response, socket, head) => {
      socket.setTimeout(0);
      resolve(open(socket as Socket, head));
    });
    outgoing.end();
  });
}

function open(socket: Socket, head: Buffer): WebSocketClient {
  const waiting: Array<{ resolve: (text: string) => void; reject: (error: Error) => void }> = [];
  let pending = Buffer.alloc(0);
  let code: number | undefined;
  let tellClosed: (code: number) => void = () => undefined;
  const closed = new Promise<number>((resolve) => {
    tellClosed = resolve;
  });
  const receive = (chunk: Buffer): void => {
    pending = Buffer.concat([pending, chunk]);
    for (let frame = decode(pending); frame; frame = decode(pending)) {
      pending = pending.subarray(frame.bytes);
      if (frame.opcode === OPCODE.text) waiting.shift()?.resolve(frame.payload.toString("utf8"));
      if (frame.opcode === OPCODE.ping) socket.write(encode(OPCODE.pong, frame.payload));
      if (frame.opcode !== OPCODE.close) continue;
      code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
      if (!socket.writableEnded) socket.end(encode(OPCODE.close, frame.payload.subarray(0, 2)));
    }
  };
  socket.on("data", receive);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    const ended = code ?? NO_CLOSE_FRAME;
    tellClosed(ended);
    for (const { reject } of waiting.splice(0)) reject(new Closed(ended));
  });
  if (head.length > 0) receive(head);
  return {
    closed,
    echo: (text) => {
      if (code !== undefined || socket.destroyed) {
        return Promise.reject(new Closed(code ?? NO_CLOSE_FRAME));
      }
      socket.write(encode(OPCODE.text, Buffer.from(text)));
      return new Promise((resolve, reject) => {
        const timeout = setTimeout(() => {
          reject(new Error(`no echo within ${TIMEOUT_MS} ms`));
        }, TIMEOUT_MS);
        const settle =
          <T>(then: (value: T) => void) =>
          (value: T): void => {
            clearTimeout(timeout);
            then(value);
          };
        waiting.push({ resolve: settle(resolve), reject: settle(reject) });
      });
    },
    close: () => socket.end(encode(OPCODE.close, Buffer.from([0x03, 0xe8]))),
  };
}

/** A client masks what it sends (section 5.3); its messages here are short. */
function encode(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, masked]);
}

function decode(buffer: Buffer): { opcode: number; payload: Buffer; bytes: number } | undefined {
  if (buffer.length < 2) return undefined;
  let length = buffer.readUInt8(1) & 0x7f;
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  }
  if (buffer.length < at + length) return undefined;
  const opcode = buffer.readUInt8(0) & 0x0f;
  return { opcode, payload: buffer.subarray(at, at + length), bytes: at + length };
}
