import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { WebSocket } from "ws";
import { Failure, UNAVAILABLE_MESSAGE } from "../http/errors";
import { failureOfAnswer, readAnswer } from "../remote/remote-calls";
import type { ServiceLocation } from "../remote/service-directory";
import type { Channel } from "./channel";
import { WEB_SOCKET, WebSocketChannel } from "./web-socket-channel";

/** A process that does not answer the handshake in this time is as good as gone. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Opens a stream of a service that another process hosts.
 *
 * @throws Failure when it refuses, or cannot be reached
 */
export function openRemoteStream(
  location: ServiceLocation,
  pathAndQuery: string,
  headers: OutgoingHttpHeaders,
): Promise<Channel> {
  const url = new URL(location.baseUrl);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const target = url.href.replace(/\/+$/, "") + pathAndQuery;
  const options = { ...WEB_SOCKET, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, headers };
  const webSocket = new WebSocket(target, options as WebSocket.ClientOptions);
  return new Promise((resolve, reject) => {
    webSocket.on("error", (error) => {
      const internalMessage = `Cannot open a stream at ${target}: ${error.message}`;
      reject(new Failure("unavailable", UNAVAILABLE_MESSAGE, { internalMessage }));
    });
    webSocket.once("unexpected-response", (_request, answer) => {
      void refusal(answer, location)
        .then(reject)
        .finally(() => webSocket.terminate());
    });
    webSocket.once("upgrade", ({ socket }) => {
      webSocket.once("open", () => resolve(new WebSocketChannel(webSocket, socket)));
    });
  });
}

async function refusal(answer: IncomingMessage, location: ServiceLocation): Promise<unknown> {
  try {
    return failureOfAnswer(answer.statusCode ?? 500, await readAnswer(answer, location));
  } catch (error) {
    return error;
  }
}
