import type { AppModel, EndpointModel } from "./app-model";
import { Failure, failureOf, internalFailure, invalidArgument } from "./http/errors";
import { isolated, type Handlers, type HandlerResult } from "./handlers";
import type { RuntimeLog } from "./log";
import { setField } from "./http/payload-decode";
import {
  EndpointCodec,
  type CodecContext,
  type WireRequest,
  type WireResponse,
} from "./http/payload";
import { Request, type ApiCall, type AuthData, type Trace } from "./http/request";
import { mayCallPrivate, type Caller } from "./remote/caller";

/** A call of an endpoint that has been routed and authenticated. */
export interface Invocation {
  readonly endpoint: EndpointModel;
  readonly wire: WireRequest;
  readonly path: string;
  readonly pathAndQuery: string;
  readonly headers: ApiCall["headers"];
  /** Who calls from inside the application; null for a stranger. */
  readonly caller: Caller | null;
  readonly userId: string | null;
  readonly authData: AuthData | null;
  readonly trace: Trace;
}

/** @throws Failure when the endpoint is not for whoever calls */
export function admit({ endpoint, caller, userId }: Invocation): void {
  if (!endpoint.expose && !mayCallPrivate(caller)) {
    throw new Failure("not_found", "endpoint not found");
  }
  if (endpoint.auth && userId === null) {
    throw new Failure("unauthenticated", "endpoint requires auth but none provided");
  }
}

/** Runs the application's typed endpoints, whoever calls them, and knows what is in flight. */
export class Runner {
  readonly #handlers: Handlers;
  readonly #log: RuntimeLog;
  readonly #codecs = new Map<EndpointModel, EndpointCodec>();
  readonly #context: CodecContext;
  #inFlight = 0;
  #idle: (() => void)[] = [];

  constructor(
    model: AppModel,
    handlers: Handlers,
    log: RuntimeLog,
    decimal: CodecContext["decimal"],
  ) {
    this.#handlers = handlers;
    this.#log = log;
    this.#context = { types: model.types, decimal };
  }

  codec(endpoint: EndpointModel): EndpointCodec {
    let codec = this.#codecs.get(endpoint);
    if (codec === undefined) {
      codec = new EndpointCodec(endpoint, this.#context);
      this.#codecs.set(endpoint, codec);
    }
    return codec;
  }

  /** @throws Failure what the caller must be told */
  async run(invocation: Invocation): Promise<WireResponse> {
    const { endpoint, wire } = invocation;
    const codec = this.codec(endpoint);
    const payload = codec.request.decode(wire);
    admit(invocation);
    const request = this.request(invocation, payload);
    const result = await this.track(request, () => {
      const route = this.#handlers.find(endpoint.service, endpoint.name);
      const handler = route?.handler as ((request: Request) => unknown) | undefined;
      if (typeof handler !== "function") throw internalFailure("endpoint has no handler");
      return isolated(() => handler(request));
    });
    const { payload: value, extraHeaders, status } = (result ?? {}) as HandlerResult;
    return codec.response.encode(value, { extraHeaders, status });
  }

  request(invocation: Invocation, payload: unknown): Request {
    const { endpoint, wire, path, pathAndQuery, headers, userId, authData, trace } = invocation;
    const { method, pathParams } = wire;
    const call = { endpoint, method, path, pathAndQuery, pathParams, headers };
    return new Request({ payload, trace, userId, authData, call });
  }

  /** Counts a piece of work as in flight, and logs its start and end. */
  track<T>(request: Request, work: () => Promise<T>): Promise<T> {
    this.#inFlight += 1;
    return this.#follow(request, work, () => {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** Logs the start and end of a piece of work that the process does not wait for at its end. */
  log<T>(request: Request, work: () => Promise<T>): Promise<T> {
    return this.#follow(request, work, () => {});
  }

  async #follow<T>(request: Request, work: () => Promise<T>, ended: () => void): Promise<T> {
    const started = performance.now();
    this.#log.started(request);
    try {
      const result = await work();
      this.#log.completed(request, "ok", performance.now() - started);
      return result;
    } catch (error) {
      const failure = failureOf(error);
      const { code, internalMessage } = failure;
      const fields = { code, internal_message: internalMessage ?? undefined };
      this.#log.error(request, "request failed", failure, fields);
      this.#log.completed(request, code, performance.now() - started);
      throw error;
    } finally {
      ended();
    }
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }
}

type PathParams = Readonly<Record<string, string>>;

/** @throws Failure when a parameter is no valid UTF-8 */
export function decodePathParams(params: PathParams): PathParams {
  const names = Object.keys(params);
  if (!names.some((name) => params[name]?.includes("%"))) return params;
  const decoded: Record<string, string> = {};
  for (const name of names) setField(decoded, name, decodePercent(params[name] ?? ""));
  return decoded;
}

/** A percent sign that no two hexadecimal digits follow stands for itself. */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, "%25"));
  } catch {
    throw invalidArgument("unable to parse path params");
  }
}
