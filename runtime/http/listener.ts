import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { letIn } from "../../shared/arrivals";
import { sendJson, sendNothing } from "./answers";
import { HttpRequest } from "./http-request";
import { discardRest, guard, LIMITS, serverOptions, type Limits } from "./limits";
import { Newcomers } from "./newcomers";
import { acceptUpgrades, isUpgrade } from "./upgrades";

/** How soon a drained connection is noticed: a fraction of the time that a shutdown has. */
const IDLE_SWEEP_MS = 50;

/** Before the end nobody is kept waiting by those who never cease to connect. */
const LET_IN_MS = 100;

/** Encore keeps these to itself. */
const OWN_PATHS = "/__encore/";
const HEALTH_PATH = `${OWN_PATHS}healthz`;

/** What answers the requests: the gateway, or the endpoints themselves in a process without one. */
export interface Answering {
  /** Whether requests come straight from strangers. */
  readonly isGateway: boolean;
  /** Whether a request of this method and path opens a stream. */
  leadsToStream(method: string, path: string): boolean;
  answer(request: HttpRequest, response: ServerResponse): Promise<void>;
}

export interface Health {
  readonly appId: string;
  readonly envName: string;
}

/** The HTTP server of a process: its connections, its health, its drain. */
export class Listener {
  readonly #health: Health;
  readonly #answering: Answering;
  readonly #server: Server;
  readonly #limits: Limits;
  readonly #newcomers: Newcomers;
  #draining = false;
  /** Accepted so far. */
  #connections = 0;

  constructor(health: Health, answering: Answering, limits = LIMITS) {
    this.#health = health;
    this.#answering = answering;
    this.#limits = limits;
    const requestOf = (message: IncomingMessage): HttpRequest =>
      new HttpRequest(message, answering.isGateway);
    const answer = (message: IncomingMessage, response: ServerResponse): void => {
      void this.#answer(requestOf(message), response);
    };
    this.#server = createServer(serverOptions(limits));
    const plain = createServer(serverOptions(limits));
    for (const server of [this.#server, plain]) guard(server, limits, answer);
    acceptUpgrades(this.#server, plain, (message) => {
      const { method, path } = requestOf(message);
      return answering.leadsToStream(method, path);
    });
    this.#newcomers = new Newcomers(this.#server);
    this.#server.on("connection", () => (this.#connections += 1));
  }

  /** @throws Error in one line when the address cannot be had */
  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => {
        reject(new Error(listenFault(host, port, error)));
      });
      this.#server.listen(port, host, () => {
        const address = this.#server.address();
        const bound = typeof address === "object" && address !== null ? address.port : port;
        resolve(`${host.includes(":") ? `[${host}]` : host}:${bound}`);
      });
    });
  }

  /** Health checks fail from here on, so that nobody sends more; what comes is still answered. */
  startDraining(): void {
    this.#draining = true;
  }

  /** Accepts no more connections; resolves when those there are have been answered. */
  async close(): Promise<void> {
    await letIn(() => this.#connections, LET_IN_MS);
    return new Promise((resolve) => {
      // A connection that was busy becomes idle when it is answered, and would then be kept alive.
      const sweep = setInterval(() => {
        this.#server.closeIdleConnections();
        this.#newcomers.close();
      }, IDLE_SWEEP_MS);
      this.#server.close(() => {
        clearInterval(sweep);
        resolve();
      });
    });
  }

  /** Cuts what is left. */
  destroy(): void {
    this.#server.closeAllConnections();
  }

  async #answer(request: HttpRequest, response: ServerResponse): Promise<void> {
    if (this.#draining) response.setHeader("connection", "close");
    if (request.path === HEALTH_PATH) return this.#answerHealth(response);
    if (request.path.startsWith(OWN_PATHS)) return sendNothing(response);
    await this.#answering.answer(request, response);
    if (!isUpgrade(request.message)) discardRest(request.message, this.#limits);
  }

  #answerHealth(response: ServerResponse): void {
    const details = {
      app_slug: this.#health.appId,
      env_name: this.#health.envName,
      app_revision: "",
      encore_compiler: "",
      deploy_id: "",
      checks: [],
      enabled_experiments: [],
    };
    const [status, code, message] = this.#draining
      ? [503, "shutting_down", "Service is shutting down"]
      : [200, "ok", "Your Encore app is up and running!"];
    sendJson(response, status as number, JSON.stringify({ code, message, details }));
  }
}

function listenFault(host: string, port: number, error: NodeJS.ErrnoException): string {
  const address = `${host}:${port}`;
  if (error.code === "EADDRINUSE") {
    return `Cannot listen on ${address}: the port is taken by another process`;
  }
  if (error.code === "EACCES") return `Cannot listen on ${address}: not permitted`;
  if (error.code === "EADDRNOTAVAIL") {
    return `Cannot listen on ${address}: this machine has no such address`;
  }
  return `Cannot listen on ${address}: ${error.message}`;
}
