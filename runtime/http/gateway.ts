import { createServer, type Server, type ServerResponse } from "node:http";
import type { AppModel, EndpointModel } from "../app-model";
import { AssetServer } from "./assets";
import { requireAuth, type Authenticator } from "./authenticator";
import type { Cors } from "./cors";
import { Failure, failureJson, failureOf, internalFailure, invalidArgument } from "./errors";
import { isolated, type Handlers } from "../handlers";
import { BodyTooLong, HttpRequest, readBody } from "./http-request";
import type { WireResponse } from "./payload";
import { BodyReader, ResponseWriter } from "./raw";
import { newTrace, type AuthData, type Trace } from "./request";
import { Router, type RouteMatch } from "./router";
import { decodePathParams, type Invocation, type Runner } from "../runner";

/** Headers at most this large, together, are read; more is answered by Node with 431. */
const MAX_HEADER_BYTES = 64 * 1024;

/** As in Encore, an upload may take as long as it takes; only the head has Node's own time limit. */
const NO_REQUEST_TIMEOUT = 0;

/** How soon a drained connection is noticed: a fraction of the time that a shutdown has. */
const IDLE_SWEEP_MS = 50;

export interface GatewayOptions {
  readonly root: string;
  readonly model: AppModel;
  readonly runner: Runner;
  readonly handlers: Handlers;
  readonly cors: Cors;
  readonly health: { readonly appId: string; readonly envName: string };
  /** Null while the application has none. */
  readonly authenticator: () => Authenticator | null;
  /** Whether this process runs the service. */
  readonly isHosted: (service: string) => boolean;
}

/** A request that has found its endpoint. */
interface Exchange {
  readonly request: HttpRequest;
  readonly response: ServerResponse;
  readonly endpoint: EndpointModel;
  readonly params: Readonly<Record<string, string>>;
  readonly trace: Trace;
}

/** The HTTP server of the application: Encore's gateway and the API server behind it, in one. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #router: Router;
  readonly #assets = new Map<EndpointModel, AssetServer>();
  readonly #server: Server;
  #draining = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#router = new Router(options.model.endpoints);
    for (const endpoint of options.model.endpoints) {
      if (endpoint.assets === null) continue;
      this.#assets.set(endpoint, new AssetServer(options.root, endpoint.assets));
    }
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: NO_REQUEST_TIMEOUT,
    };
    this.#server = createServer(settings, (request, response) => {
      void this.#answer(new HttpRequest(request), response);
    });
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
  close(): Promise<void> {
    return new Promise((resolve) => {
      // A connection that was busy becomes idle when it is answered, and would then be kept alive.
      const sweep = setInterval(() => this.#server.closeIdleConnections(), IDLE_SWEEP_MS);
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
    if (request.path === "/__encore/healthz") return this.#answerHealth(response);
    if (request.method === "OPTIONS") return this.#answerPreflight(request, response);
    const trace = newTrace(request.header("x-correlation-id") ?? null);
    try {
      const match = this.#router.match(request.method, request.path);
      if (match.kind === "found") {
        const { endpoint, params } = match;
        await this.#run({ request, response, endpoint, params, trace });
      } else this.#answerUnrouted(request, response, match, trace);
    } catch (error) {
      this.#answerFailure(request, response, failureOf(error), trace);
    }
    // A body that nobody read would keep the connection from its next request.
    if (!request.message.readableEnded) request.message.resume();
  }

  #answerHealth(response: ServerResponse): void {
    const { appId, envName } = this.#options.health;
    const details = {
      app_slug: appId,
      env_name: envName,
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

  #answerPreflight(request: HttpRequest, response: ServerResponse): void {
    const headers = this.#options.cors.preflight(request.message.headers);
    response.writeHead(200, { ...headers, "content-length": 0 }).end();
  }

  #answerUnrouted(
    request: HttpRequest,
    response: ServerResponse,
    match: Exclude<RouteMatch, { kind: "found" }>,
    trace: Trace,
  ): void {
    if (match.kind === "none") throw new GatewayFailure("not_found", "endpoint not found");
    if (!this.#router.hasFallback) throw new GatewayFailure("not_found", "no route for method");
    this.#decorate(request, response, trace);
    const allow = match.allowed.join(",");
    response.writeHead(405, { allow, "content-length": 0 }).end();
  }

  async #run(exchange: Exchange): Promise<void> {
    const { request, endpoint, trace } = exchange;
    // HEAD reaches a GET endpoint only where a fallback keeps the gateway from refusing it.
    if (request.method === "HEAD" && !this.#acceptsHead(endpoint)) {
      throw new GatewayFailure("not_found", "no route for method");
    }
    const authData = endpoint.expose ? await this.#authenticate(exchange) : null;
    if (!endpoint.expose) throw new Failure("not_found", "endpoint not found");
    if (!this.#options.isHosted(endpoint.service)) {
      throw new Failure("unavailable", `service "${endpoint.service}" is not hosted here`);
    }
    const invocation = { endpoint, trace, authData };
    switch (endpoint.kind) {
      case "typed":
        return this.#runTyped(exchange, invocation);
      case "raw":
        return this.#runRaw(exchange, invocation);
      case "static":
        return this.#runStatic(exchange);
      default:
        throw new Failure("unimplemented", "streams need a WebSocket upgrade");
    }
  }

  #acceptsHead(endpoint: EndpointModel): boolean {
    const { methods } = endpoint;
    return methods.includes("HEAD") || methods.includes("*") || this.#router.hasFallback;
  }

  async #authenticate({ request, endpoint, trace }: Exchange): Promise<AuthData | null> {
    const authenticator = this.#options.authenticator();
    try {
      if (authenticator === null) return requireAuth(endpoint, null);
      return await authenticator.authenticate(endpoint, request.wire({}, ""), trace);
    } catch (error) {
      throw GatewayFailure.of(failureOf(error));
    }
  }

  async #runTyped(exchange: Exchange, about: About): Promise<void> {
    const { request, response, trace } = exchange;
    const params = decodePathParams(exchange.params);
    const body = await this.#readTypedBody(exchange);
    const result = await this.#options.runner.run(
      invocationOf(request, about, request.wire(params, body)),
    );
    this.#decorate(request, response, trace);
    sendResult(response, result);
  }

  async #readTypedBody({ request, endpoint }: Exchange): Promise<string> {
    const { message, method } = request;
    if (!this.#options.runner.codec(endpoint).request.readsBody(method)) return "";
    try {
      return await readBody(message, endpoint.bodyLimit);
    } catch (error) {
      const reason =
        error instanceof BodyTooLong ? "length limit exceeded" : (error as Error).message;
      // Encore's words, cause and all.
      throw invalidArgument(`unable to read request body: ${reason}\n\nCaused by:\n    ${reason}`);
    }
  }

  async #runRaw(exchange: Exchange, about: About): Promise<void> {
    const { request, response, endpoint, trace } = exchange;
    const { runner, handlers } = this.#options;
    const route = handlers.find(endpoint.service, endpoint.name);
    const handler = route?.handler as RawHandler | undefined;
    if (handler === undefined) throw internalFailure("endpoint has no handler");
    const params = decodePathParams(exchange.params);
    const native = runner.request(invocationOf(request, about, request.wire(params, "")), null);
    const writer = new ResponseWriter(response, () => this.#decorate(request, response, trace));
    const body = new BodyReader(request.message, endpoint.bodyLimit);
    await runner.track(native, async () => {
      try {
        await isolated(() => handler(native, writer, body));
      } catch (error) {
        // Once the head is out, only the writer can say how the answer ends.
        if (!writer.headSent) throw error;
      }
      await writer.ended;
    });
  }

  async #runStatic({ request, response, endpoint, params, trace }: Exchange): Promise<void> {
    const [path = ""] = Object.values(decodePathParams(params));
    this.#decorate(request, response, trace);
    await this.#assets.get(endpoint)?.serve(request.message, response, path);
  }

  #answerFailure(
    request: HttpRequest,
    response: ServerResponse,
    failure: Failure,
    trace: Trace,
  ): void {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    this.#decorate(request, response, trace);
    if (failure instanceof GatewayFailure) {
      // Encore's gateway signs the answers that it gives in the API server's stead.
      response.setHeader("server", "Pingora");
      response.setHeader("cache-control", "private, no-store");
    }
    const tooLate = !request.message.complete && failure.message.includes("length limit");
    if (tooLate) response.setHeader("connection", "close");
    sendJson(response, failure.status, failureJson(failure));
  }

  #decorate(request: HttpRequest, response: ServerResponse, trace: Trace): void {
    const headers = this.#options.cors.headers(request.message.headers);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader("x-encore-trace-id", trace.traceId);
  }
}

/** A failure that the gateway itself answers, before any service has seen the request. */
class GatewayFailure extends Failure {
  static of(failure: Failure): GatewayFailure {
    const { code, message, details, internalMessage, stack } = failure;
    return new GatewayFailure(code, message, { details, internalMessage, stack });
  }
}

type RawHandler = (request: unknown, writer: ResponseWriter, body: BodyReader) => unknown;
type About = Pick<Invocation, "endpoint" | "trace" | "authData">;

function invocationOf(request: HttpRequest, about: About, wire: Invocation["wire"]): Invocation {
  const { path, pathAndQuery } = request;
  return { ...about, wire, path, pathAndQuery, headers: () => request.headers };
}

function sendResult(response: ServerResponse, result: WireResponse): void {
  for (const [name, value] of Object.entries(result.headers)) response.setHeader(name, value);
  if (result.cookies.length > 0) response.setHeader("set-cookie", result.cookies);
  if (result.body === null) response.writeHead(result.status, { "content-length": 0 }).end();
  else sendJson(response, result.status, result.body);
}

function sendJson(response: ServerResponse, status: number, json: string): void {
  // Bytes, not text: Node would write the head in the text's encoding, and headers are Latin-1.
  const body = Buffer.from(json);
  const headers = { "content-type": "application/json", "content-length": body.length };
  response.writeHead(status, headers).end(body);
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
