import type { AuthHandlerModel, EndpointModel } from "../app-model";
import { Failure, failureOf, UNAUTHENTICATED_MESSAGE } from "./errors";
import { isolated } from "../handlers";
import { RequestCodec, type CodecContext, type WireRequest } from "./payload";
import { childTrace, Request, type AuthData, type Trace } from "./request";
import type { Runner } from "../runner";

export type AuthFunction = (request: Request) => unknown;

/** The gateway's authentication: asks the application's auth handler who is calling. */
export class Authenticator {
  readonly #model: AuthHandlerModel;
  readonly #handler: AuthFunction;
  readonly #codec: RequestCodec;
  readonly #runner: Runner;

  constructor(
    model: AuthHandlerModel,
    handler: AuthFunction,
    context: CodecContext,
    runner: Runner,
  ) {
    this.#model = model;
    this.#handler = handler;
    this.#codec = new RequestCodec(model.params, "/", context);
    this.#runner = runner;
  }

  /**
   * Null when nobody is known and the endpoint does not insist.
   *
   * @throws Failure when it does, or when the handler fails otherwise
   */
  async authenticate(
    endpoint: EndpointModel,
    wire: WireRequest,
    trace: Trace,
  ): Promise<AuthData | null> {
    if (!this.#codec.isPresent(wire)) return requireAuth(endpoint, null);
    try {
      return await this.#ask(wire, trace);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.code !== "unauthenticated" || endpoint.auth) throw failure;
      return null;
    }
  }

  async #ask(wire: WireRequest, trace: Trace): Promise<AuthData> {
    // Whatever the request's method, these parameters are read as a GET's.
    const payload = this.#codec.decode(wire, "GET");
    const { service, name } = this.#model;
    const request = new Request({ payload, trace: childTrace(trace), handler: { service, name } });
    const data = await this.#runner.track(request, () => isolated(() => this.#handler(request)));
    const userID = (data as AuthData | null | undefined)?.userID;
    if (userID !== undefined && userID !== null) return data as AuthData;
    throw new Failure("unauthenticated", UNAUTHENTICATED_MESSAGE);
  }
}

/** @throws Failure when the endpoint needs a caller and there is none */
export function requireAuth(endpoint: EndpointModel, data: AuthData | null): AuthData | null {
  if (!endpoint.auth || data !== null) return data;
  throw new Failure("unauthenticated", UNAUTHENTICATED_MESSAGE);
}
