import type { ServerResponse } from "node:http";
import { isStream, type EndpointModel } from "../app-model";
import type { Inbound, MetaReader } from "../remote/meta-reader";
import { mayCallPrivate, type Caller } from "../remote/caller";
import type { ServiceDirectory } from "../remote/service-directory";
import type { Upstreams } from "../remote/upstream";
import type { Streams } from "../streams/streams";
import { sendFailure, sendWrongMethod } from "./answers";
import type { Authenticator } from "./authenticator";
import type { Cors } from "./cors";
import type { Endpoints, Exchange } from "./endpoints";
import { Failure, failureOf } from "./errors";
import { forward } from "./forward";
import type { HttpRequest } from "./http-request";
import { encoreId } from "./request";
import type { Answering } from "./listener";
import { adoptProtocolHeaders } from "./protocol-headers";
import { relayStream } from "./relay-stream";
import type { FoundRoute, GatewayMatch, Router } from "./router";
import { isUpgrade } from "./upgrades";

export interface GatewayOptions {
  readonly name: string;
  /** Knows every endpoint of the application. */
  readonly router: Router;
  /** Knows those of the hosted services. */
  readonly hostedRouter: Router;
  readonly endpoints: Endpoints;
  readonly cors: Cors;
  /** Null while the application has none. */
  readonly authenticator: Authenticator | null;
  /** Whether this process runs the service. */
  readonly isHosted: (service: string) => boolean;
  readonly metaReader: MetaReader;
  readonly directory: ServiceDirectory;
  readonly upstreams: Upstreams;
  readonly streams: Streams;
}

/** Node knows more. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]);

/** The application's door: routes, answers CORS, asks who is there, and hands on. */
export class Gateway implements Answering {
  readonly isGateway = true;
  readonly #options: GatewayOptions;
  readonly #caller: Caller;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#caller = { kind: "gateway", gateway: options.name };
  }

  leadsToStream(method: string, path: string): boolean {
    const match = this.#options.router.route(method, path);
    return match.kind === "found" && isStream(match.endpoint);
  }

  async answer(request: HttpRequest, response: ServerResponse): Promise<void> {
    if (request.method === "OPTIONS") return this.#answerPreflight(request, response);
    let inbound: Inbound | null = null;
    try {
      if (!METHODS.has(request.method)) {
        throw new GatewayFailure("invalid_argument", "invalid method");
      }
      inbound = this.#readInbound(request);
      const match = this.#options.router.route(request.method, request.path);
      await this.#hand(request, response, match, inbound);
    } catch (error) {
      this.#answerFailure(request, response, failureOf(error), inbound);
    }
  }

  #answerPreflight(request: HttpRequest, response: ServerResponse): void {
    const headers = this.#options.cors.preflight(request.message.headers);
    response.writeHead(200, { ...headers, "content-length": 0 }).end();
  }

  #readInbound(request: HttpRequest): Inbound {
    try {
      if (isUpgrade(request.message)) adoptProtocolHeaders(request.message);
      return this.#options.metaReader.readAtGateway(request, Date.now());
    } catch (error) {
      throw GatewayFailure.of(failureOf(error));
    }
  }

  async #hand(
    request: HttpRequest,
    response: ServerResponse,
    match: GatewayMatch,
    inbound: Inbound,
  ): Promise<void> {
    if (match.kind === "none") throw new GatewayFailure("not_found", "endpoint not found");
    if (match.kind === "wrongMethod") throw new GatewayFailure("not_found", "no route for method");
    const { authenticator } = this.#options;
    const authenticated =
      authenticator === null
        ? inbound
        : await this.#authenticate(authenticator, request, match, inbound);
    const decorate = (): void => this.#decorate(request, response, inbound);
    const { service } = match.endpoint;
    if (!this.#options.isHosted(service)) {
      return this.#forward(request, response, match.endpoint, authenticated, decorate);
    }
    const { endpoint, params } = match;
    const exchange = { request, response, endpoint, params, inbound: authenticated, decorate };
    if (match.isSecondChoice) return this.#runSecondChoice(exchange);
    return this.#options.endpoints.run(exchange);
  }

  /** The server behind a gateway does not look at fallbacks when it knows the path. */
  async #runSecondChoice(exchange: Exchange): Promise<void> {
    const { request, response, decorate } = exchange;
    const match = this.#options.hostedRouter.match(request.method, request.path);
    if (match.kind === "none") throw new Failure("not_found", "endpoint not found");
    if (match.kind === "wrongMethod") {
      decorate();
      return sendWrongMethod(response, match.allowed);
    }
    const { endpoint, params } = match;
    return this.#options.endpoints.run({ ...exchange, endpoint, params });
  }

  async #forward(
    request: HttpRequest,
    response: ServerResponse,
    { service, kind, bodyLimit: limit }: EndpointModel,
    inbound: Inbound,
    decorate: () => void,
  ): Promise<void> {
    const { directory, upstreams, streams } = this.#options;
    const location = directory.find(service);
    if (location === null) {
      throw new GatewayFailure("internal", "an internal error occurred", {
        internalMessage: `no service discovery configuration found for service ${service}`,
      });
    }
    const meta = { ...inbound, caller: inbound.caller ?? this.#caller };
    // A raw endpoint answers in its own words.
    const bodyLimit = kind === "typed" ? limit : null;
    try {
      if (isUpgrade(request.message)) {
        await relayStream(request, response, { location, meta, streams }, decorate);
      } else {
        await forward(request, response, { location, meta, upstreams, bodyLimit }, decorate);
      }
    } catch (error) {
      const failure = failureOf(error);
      throw failure.code === "unavailable" ? GatewayFailure.of(failure) : failure;
    }
  }

  async #authenticate(
    authenticator: Authenticator,
    request: HttpRequest,
    { endpoint }: FoundRoute,
    inbound: Inbound,
  ): Promise<Inbound> {
    try {
      const wire = request.wire({}, "");
      const authData = await authenticator.authenticate(endpoint, wire, inbound.trace);
      return authData === null ? inbound : { ...inbound, userId: authData.userID, authData };
    } catch (error) {
      throw GatewayFailure.of(failureOf(error));
    }
  }

  #answerFailure(
    request: HttpRequest,
    response: ServerResponse,
    failure: Failure,
    inbound: Inbound | null,
  ): void {
    if (response.headersSent) return void response.destroy();
    this.#decorate(request, response, inbound);
    const isOwn = failure instanceof GatewayFailure;
    if (isOwn) {
      // Encore's gateway signs the answers that it gives in the API server's stead.
      response.setHeader("server", "Pingora");
      response.setHeader("cache-control", "private, no-store");
    }
    sendFailure(response, failure, !isOwn && mayCallPrivate(inbound?.caller ?? null));
  }

  #decorate(request: HttpRequest, response: ServerResponse, inbound: Inbound | null): void {
    this.#options.cors.decorate(request.message.headers, response);
    if (inbound === null || response.hasHeader("x-encore-trace-id")) return;
    response.setHeader("x-encore-trace-id", encoreId(inbound.trace.traceId));
  }
}

/** A failure that the gateway itself answers, before any service has seen the request. */
class GatewayFailure extends Failure {
  static of(failure: Failure): GatewayFailure {
    const { code, message, details, internalMessage, stack } = failure;
    return new GatewayFailure(code, message, { details, internalMessage, stack });
  }
}
