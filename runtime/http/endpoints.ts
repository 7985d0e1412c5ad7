import type { ServerResponse } from "node:http";
import type { AppModel, EndpointModel } from "../app-model";
import { isolated, type Handlers } from "../handlers";
import type { Inbound } from "../remote/meta-reader";
import { admit, decodePathParams, type Invocation, type Runner } from "../runner";
import type { Streams } from "../streams/streams";
import { AssetServer } from "./assets";
import { internalFailure } from "./errors";
import { readBody, type HttpRequest } from "./http-request";
import { sendResult } from "./answers";
import { BodyReader, ResponseWriter } from "./raw";
import { checkHandshake, openWebSocket } from "./upgrades";

export interface EndpointsOptions {
  readonly root: string;
  readonly model: AppModel;
  readonly runner: Runner;
  readonly handlers: Handlers;
  readonly streams: Streams;
}

/** A request that has found its endpoint, and of which is known who sends it. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly response: ServerResponse;
  readonly endpoint: EndpointModel;
  /** Still percent-encoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly inbound: Inbound;
  /** Adds the headers that every answer of this listener carries, just before the head is sent. */
  readonly decorate: () => void;
}

type RawHandler = (request: unknown, writer: ResponseWriter, body: BodyReader) => unknown;

/** The endpoints of the services that this process hosts, as HTTP reaches them. */
export class Endpoints {
  readonly #options: EndpointsOptions;
  readonly #assets = new Map<EndpointModel, AssetServer>();

  constructor(options: EndpointsOptions) {
    this.#options = options;
    for (const endpoint of options.model.endpoints) {
      if (endpoint.assets === null) continue;
      this.#assets.set(endpoint, new AssetServer(options.root, endpoint.assets));
    }
  }

  /** @throws Failure what the caller is to be told */
  run(exchange: Exchange): Promise<void> {
    switch (exchange.endpoint.kind) {
      case "typed":
        return this.#runTyped(exchange);
      case "raw":
        return this.#runRaw(exchange);
      case "static":
        return this.#runStatic(exchange);
      default:
        return this.#runStream(exchange);
    }
  }

  async #runTyped(exchange: Exchange): Promise<void> {
    const { request, response, endpoint, decorate } = exchange;
    const { runner } = this.#options;
    const params = decodePathParams(exchange.params);
    const hasBody = runner.codec(endpoint).request.readsBody(request.method);
    const body = hasBody ? await readBody(request.message, endpoint.bodyLimit) : "";
    const result = await runner.run(invocationOf(exchange, params, body));
    decorate();
    sendResult(response, result);
  }

  async #runRaw(exchange: Exchange): Promise<void> {
    const { request, response, endpoint, decorate } = exchange;
    const { runner, handlers } = this.#options;
    const invocation = invocationOf(exchange, decodePathParams(exchange.params), "");
    admit(invocation);
    const handler = handlers.find(endpoint.service, endpoint.name)?.handler as
      | RawHandler
      | undefined;
    if (handler === undefined) throw internalFailure("endpoint has no handler");
    const native = runner.request(invocation, null);
    const writer = new ResponseWriter(response, decorate);
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

  async #runStream(exchange: Exchange): Promise<void> {
    const { request, response, decorate } = exchange;
    const { streams } = this.#options;
    const invocation = invocationOf(exchange, decodePathParams(exchange.params), "");
    const payload = streams.handshake(invocation);
    checkHandshake(request.message);
    const start = streams.prepare(invocation, payload);
    decorate();
    streams.serve(start, openWebSocket(request.message, response));
  }

  async #runStatic(exchange: Exchange): Promise<void> {
    const { request, response, endpoint, decorate } = exchange;
    const params = decodePathParams(exchange.params);
    admit(invocationOf(exchange, params, ""));
    const [path = ""] = Object.values(params);
    decorate();
    await this.#assets.get(endpoint)?.serve(request.message, response, path);
  }
}

function invocationOf(
  { request, endpoint, inbound }: Exchange,
  params: Readonly<Record<string, string>>,
  body: string,
): Invocation {
  const { caller, userId, authData, trace } = inbound;
  const { path, pathAndQuery } = request;
  const wire = request.wire(params, body);
  const headers = (): HttpRequest["headers"] => request.headers;
  return { endpoint, wire, path, pathAndQuery, headers, caller, userId, authData, trace };
}
