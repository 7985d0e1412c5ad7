import { ServerResponse, type IncomingMessage, type Server } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import type { Channel } from "../streams/channel";
import { WEB_SOCKET, WebSocketChannel } from "../streams/web-socket-channel";
import { Failure, invalidArgument } from "./errors";

/** The subprotocol of Encore's generated clients. */
const SUBPROTOCOL = "encore-ws";

/** A connection that its request has left to another protocol, and what came after the request. */
interface Upgrade {
  readonly socket: Socket;
  readonly head: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

const webSockets = new WebSocketServer({
  ...WEB_SOCKET,
  noServer: true,
  clientTracking: false,
  handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
});
const headLines = new WeakMap<IncomingMessage, readonly string[]>();
webSockets.on("headers", (lines, message) => lines.push(...(headLines.get(message) ?? [])));

/**
 * Has requests to speak another protocol answered like others: those that lead to a stream with a
 * response whose connection can be taken over, the rest as if they had not asked.
 *
 * @param plain a server that does not listen, for the rest
 */
export function acceptUpgrades(
  server: Server,
  plain: Server,
  leadsToStream: (message: IncomingMessage) => boolean,
): void {
  // Its connections are not among those that are closed when they are idle.
  plain.maxRequestsPerSocket = 1;
  server.on("upgrade", (message, stream, head) => {
    const socket = stream as Socket;
    // Until somebody takes over, nobody listens: what breaks the connection also closes it.
    socket.on("error", () => {});
    if (!leadsToStream(message)) {
      giveTo(plain, message, { socket, head });
      return;
    }
    upgrades.set(message, { socket, head });
    const response = new ServerResponse(message);
    response.assignSocket(socket);
    response.once("finish", () => {
      // It was refused: the connection goes on as one of HTTP.
      if (response.getHeader("connection") === "close") return socket.destroySoon();
      response.detachSocket(socket);
      if (head.length > 0) socket.unshift(head);
      server.emit("connection", socket);
    });
    server.emit("request", message, response);
  });
}

/** Whether the request's connection can be taken over. */
export function isUpgrade(message: IncomingMessage): boolean {
  return upgrades.has(message);
}

/** Node.js has taken the connection from its parser: the request is read again by another. */
function giveTo(server: Server, message: IncomingMessage, { socket, head }: Upgrade): void {
  const { method, url, httpVersion, rawHeaders } = message;
  const start = `${method} ${url} HTTP/${httpVersion}`;
  const text = [start, ...headerLines(rawHeaders), "", ""].join("\r\n");
  socket.unshift(Buffer.concat([Buffer.from(text, "latin1"), head]));
  server.emit("connection", socket);
}

function headerLines(rawHeaders: readonly string[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  return lines;
}

/** What a client's key must be: 16 bytes in Base64 (RFC 6455 section 4.1). */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** @throws Failure when the request is no proper handshake, in Encore's words where it has some */
export function checkHandshake({ headers }: IncomingMessage): void {
  if (!headers.connection?.toLowerCase().includes("upgrade")) {
    throw invalidArgument("Connection header did not include 'upgrade'");
  }
  if (headers.upgrade?.toLowerCase() !== "websocket") {
    throw invalidArgument("`Upgrade` header did not include 'websocket'");
  }
  if (headers["sec-websocket-version"] !== "13") {
    throw invalidArgument("`Sec-WebSocket-Version` header did not include '13'");
  }
  const key = headers["sec-websocket-key"];
  if (key === undefined) throw invalidArgument("`Sec-WebSocket-Key` header missing");
  if (!KEY.test(key)) {
    throw invalidArgument(`the \`Sec-WebSocket-Key\` header is not 16 bytes in Base64: "${key}"`);
  }
}

/**
 * Answers 101 with the headers that the response has.
 *
 * @throws Failure when the client has gone
 */
export function openWebSocket(message: IncomingMessage, response: ServerResponse): Channel {
  const upgrade = upgrades.get(message);
  if (upgrade === undefined) throw connectionGone();
  const { socket, head } = upgrade;
  response.detachSocket(socket);
  const headers = Object.entries(response.getHeaders());
  headLines.set(
    message,
    headers.map(([name, value]) => `${name}: ${String(value)}`),
  );
  const opened: WebSocket[] = [];
  webSockets.handleUpgrade(message, socket, head, (webSocket) => opened.push(webSocket));
  const [webSocket] = opened;
  if (webSocket === undefined) throw connectionGone();
  return new WebSocketChannel(webSocket, socket);
}

function connectionGone(): Failure {
  return new Failure("canceled", "the connection is gone");
}
