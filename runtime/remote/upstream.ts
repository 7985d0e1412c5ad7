import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
} from "node:http";
import { Agent as TlsAgent, request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { Failure, UNAVAILABLE_MESSAGE } from "../http/errors";
import type { ServiceLocation } from "./service-directory";

/** A process that does not even accept a connection in this time is as good as gone. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Below the time after which the other side closes an idle connection, so that we are the first. */
const IDLE_MS = 30_000;

/** Idle connections kept to one process: what a burst of calls leaves behind. */
const IDLE_CONNECTIONS_MAX = 64;

/** How soon a host that has vanished in the middle of a call is noticed: TCP asks after this. */
const PROBE_AFTER_MS = 15_000;

const AGENT = {
  keepAlive: true,
  keepAliveMsecs: PROBE_AFTER_MS,
  maxFreeSockets: IDLE_CONNECTIONS_MAX,
  timeout: IDLE_MS,
};

/** Methods that may be sent a second time. */
const SAFE_METHODS = ["GET", "HEAD"];

export interface UpstreamRequest {
  readonly method: string;
  readonly pathAndQuery: string;
  readonly headers: OutgoingHttpHeaders;
  /** Sends the body and ends the request; also called for the second attempt. */
  readonly send: (request: ClientRequest) => void;
  /** Whether `send` has nothing to send. */
  readonly isEmpty: boolean;
  readonly signal?: AbortSignal;
}

/** Sends requests to other processes of the application, over connections that it keeps. */
export class Upstreams {
  readonly #agent = new Agent(AGENT);
  readonly #tlsAgent = new TlsAgent(AGENT);

  /**
   * Resolves with the head of the answer. There is no limit for how long that takes, as in Encore:
   * a call may wait for something on purpose.
   *
   * @throws Failure `unavailable` when there is no answer
   */
  async request(location: ServiceLocation, request: UpstreamRequest): Promise<IncomingMessage> {
    try {
      return await this.#attempt(location, request);
    } catch (error) {
      // A kept connection can be closed by the other side just when it is used again.
      const isStale = error instanceof StaleConnection;
      const mayRepeat = request.isEmpty && SAFE_METHODS.includes(request.method);
      if (!isStale || !mayRepeat) throw unavailable(location, error as Error);
    }
    return this.#attempt(location, request).catch((error: Error) => {
      throw unavailable(location, error);
    });
  }

  /** Closes the connections, also those in use. */
  destroy(): void {
    this.#agent.destroy();
    this.#tlsAgent.destroy();
  }

  #attempt({ baseUrl }: ServiceLocation, about: UpstreamRequest): Promise<IncomingMessage> {
    const { method, headers, pathAndQuery, send, signal } = about;
    const isTls = baseUrl.protocol === "https:";
    const path = baseUrl.pathname.replace(/\/+$/, "") + pathAndQuery;
    const options = { method, headers, path, signal };
    return new Promise((resolve, reject) => {
      const request = isTls
        ? httpsRequest(baseUrl, { ...options, agent: this.#tlsAgent })
        : httpRequest(baseUrl, { ...options, agent: this.#agent });
      request.once("socket", (socket) => watchConnecting(socket, request));
      request.once("response", resolve);
      request.on("error", (error: NodeJS.ErrnoException) => {
        const isReset = error.code === "ECONNRESET" || error.code === "EPIPE";
        reject(isReset && request.reusedSocket ? new StaleConnection(error.message) : error);
      });
      send(request);
    });
  }
}

class StaleConnection extends Error {}

function watchConnecting(socket: Socket, request: ClientRequest): void {
  socket.setKeepAlive(true, PROBE_AFTER_MS);
  if (!socket.connecting) return;
  const timer = setTimeout(() => {
    request.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`));
  }, CONNECT_TIMEOUT_MS);
  const stop = (): void => clearTimeout(timer);
  socket.once("connect", stop).once("close", stop);
}

function unavailable({ service, baseUrl }: ServiceLocation, error: Error): Failure {
  if (error instanceof Failure) return error;
  // A refused connection to a name with several addresses has no message of its own.
  const reason = error.message || (error as NodeJS.ErrnoException).code || error.name;
  return new Failure("unavailable", UNAVAILABLE_MESSAGE, {
    internalMessage: `Cannot reach service "${service}" at ${baseUrl.origin}: ${reason}`,
  });
}
