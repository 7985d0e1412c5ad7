import type { AppModel, EndpointModel } from "./app-model";
import { Failure, failureOf, invalidArgument } from "./http/errors";
import type { RequestCodec, WireRequest } from "./http/payload";
import { childTrace, newTrace, type AuthData, type Request } from "./http/request";
import type { CallMeta } from "./remote/call-meta";
import type { RemoteCalls } from "./remote/remote-calls";
import type { Caller } from "./remote/caller";
import type { Invocation, Runner } from "./runner";

/** What a failed call resolves to; the SDK turns it into an APIError. */
export class ApiCallError {
  readonly code: string;
  readonly message: string;
  readonly details: unknown;

  constructor(failure: Failure) {
    this.code = failure.code;
    this.message = failure.message;
    this.details = failure.details ?? undefined;
  }
}

export interface CallOptions {
  readonly authData?: AuthData | null;
}

/** A call as the SDK asks for it. */
export interface Call {
  readonly service: string;
  readonly endpoint: string;
  readonly payload?: unknown;
  /** The request in which the caller runs. */
  readonly source?: Request | null | undefined;
  readonly options?: CallOptions | null | undefined;
}

export type CallResult = Record<string, unknown> | null | ApiCallError;

/** Code outside of any request, as a caller. */
const OUTSIDE: Caller = { kind: "app", deployId: "" };

/**
 * Calls between services. In one process they skip the socket and nothing else: parameters and
 * results go through their JSON, as they would between processes.
 */
export class Calls {
  readonly #endpoints: ReadonlyMap<string, EndpointModel>;
  readonly #runner: Runner;
  readonly #isHosted: (service: string) => boolean;
  readonly #remote: RemoteCalls;

  constructor(
    model: AppModel,
    runner: Runner,
    isHosted: (service: string) => boolean,
    remote: RemoteCalls,
  ) {
    this.#endpoints = new Map(
      model.endpoints
        .filter(({ kind }) => kind === "typed")
        .map((endpoint) => [`${endpoint.service}.${endpoint.name}`, endpoint]),
    );
    this.#runner = runner;
    this.#isHosted = isHosted;
    this.#remote = remote;
  }

  /** Never rejects for an error of the callee: that is its result. */
  async call(call: Call): Promise<CallResult> {
    try {
      const endpoint = this.#endpoints.get(`${call.service}.${call.endpoint}`);
      if (endpoint === undefined) throw new Failure("not_found", "endpoint not found");
      return await this.#call(endpoint, call);
    } catch (error) {
      return new ApiCallError(failureOf(error));
    }
  }

  async #call(endpoint: EndpointModel, call: Call): Promise<Record<string, unknown> | null> {
    const codec = this.#runner.codec(endpoint);
    const outgoing = outgoingCall(endpoint, call, codec.request);
    const answer = this.#isHosted(endpoint.service)
      ? await this.#runner.run(localInvocation(outgoing))
      : await this.#remote.call(outgoing);
    return codec.response.decode(answer);
  }
}

/** A call on its way, before it matters which process answers it. */
export interface OutgoingCall {
  readonly endpoint: EndpointModel;
  readonly wire: WireRequest;
  readonly path: string;
  readonly pathAndQuery: string;
  readonly meta: CallMeta;
}

/** @throws Failure when the parameters cannot be sent */
export function outgoingCall(
  endpoint: EndpointModel,
  { payload, source, options }: Call,
  codec: RequestCodec,
): OutgoingCall {
  const wire = encodeRequest(() => codec.encode(callMethod(endpoint), payload));
  const path = callPath(endpoint, wire);
  const authData = options?.authData ?? source?.getAuthData() ?? null;
  const userId = authData?.userID ?? source?.userId ?? null;
  const caller = source?.asCaller() ?? OUTSIDE;
  const meta = { caller, userId, authData, trace: source?.trace ?? null };
  return { endpoint, wire, path, pathAndQuery: path + queryText(wire), meta };
}

/** The same call as its callee sees it, in the same process. */
export function localInvocation(call: OutgoingCall): Invocation {
  const { endpoint, wire, path, pathAndQuery, meta } = call;
  const { caller, userId, authData } = meta;
  const trace = meta.trace === null ? newTrace() : childTrace(meta.trace);
  const headers = (): Record<string, string> => wire.headers as Record<string, string>;
  return { endpoint, wire, path, pathAndQuery, headers, caller, userId, authData, trace };
}

function encodeRequest(encode: () => WireRequest): WireRequest {
  try {
    return encode();
  } catch (error) {
    throw invalidArgument(`unable to serialize request: ${(error as Error).message}`);
  }
}

function callMethod({ methods }: EndpointModel): string {
  return methods.includes("POST") || methods.includes("*") ? "POST" : (methods[0] as string);
}

function callPath(endpoint: EndpointModel, wire: WireRequest): string {
  return endpoint.path.replace(/\/([:*!])([^/]*)/g, (_, kind: string, name: string) => {
    const value = wire.pathParams[name] ?? "";
    const text = kind === ":" ? encodeURIComponent(value) : encodeURI(value);
    return `/${text}`;
  });
}

function queryText(wire: WireRequest): string {
  if (wire.query.size === 0) return "";
  const search = new URLSearchParams();
  for (const [key, values] of wire.query) for (const value of values) search.append(key, value);
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
