import type { IncomingMessage } from "node:http";
import type { EndpointModel } from "../app-model";
import { Failure, internalFailure, parseFailure, UNAVAILABLE_MESSAGE } from "../http/errors";
import type { WireRequest, WireResponse } from "../http/payload";
import { metaHeaders, wireText, type CallMeta } from "./call-meta";
import type { ServiceDirectory, ServiceLocation } from "./service-directory";
import type { Upstreams } from "./upstream";

/** A call of an endpoint that another process hosts. */
export interface RemoteCall {
  readonly endpoint: EndpointModel;
  readonly wire: WireRequest;
  readonly pathAndQuery: string;
  readonly meta: CallMeta;
}

/** An answer is read whole before it is decoded; a longer one is a mistake. */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;

/** What stands between us and the service answers with these, in words that are not Encore's. */
const GATEWAY_STATUSES = [502, 503, 504];

/** Calls to services that other processes host: HTTP, signed, as Encore's own runtime sends it. */
export class RemoteCalls {
  readonly #directory: ServiceDirectory;
  readonly #upstreams: Upstreams;

  constructor(directory: ServiceDirectory, upstreams: Upstreams) {
    this.#directory = directory;
    this.#upstreams = upstreams;
  }

  /** @throws Failure the callee's, or `unavailable` when there is no answer */
  async call({ endpoint, wire, pathAndQuery, meta }: RemoteCall): Promise<WireResponse> {
    const location = this.#directory.find(endpoint.service);
    if (location === null) {
      throw new Failure("not_found", "service not found", {
        internalMessage: `no service discovery configuration found for service ${endpoint.service}`,
      });
    }
    const { method, body } = wire;
    const answer = await this.#upstreams.request(location, {
      method,
      pathAndQuery,
      headers: {
        ...parameterHeaders(wire),
        ...bodyHeaders(wire),
        ...metaHeaders(meta, location.auth, Date.now()),
      },
      isEmpty: body === "",
      send: (request) => request.end(body),
    });
    const text = await readAnswer(answer, location);
    const status = answer.statusCode ?? 500;
    if (status < 200 || status > 299) throw failureOfAnswer(status, text);
    return { status, headers: answer.headers as WireResponse["headers"], cookies: [], body: text };
  }
}

/** What a call says in its headers. */
export function parameterHeaders({ headers, cookies }: WireRequest): Record<string, string> {
  const named = Object.entries(headers).map(([name, value]) => [name, wireText(String(value))]);
  const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`);
  return {
    ...Object.fromEntries(named),
    ...(cookie.length === 0 ? {} : { cookie: wireText(cookie.join("; ")) }),
  };
}

function bodyHeaders({ body }: WireRequest): Record<string, string> {
  return body === "" ? {} : { "content-type": "application/json" };
}

/** @throws Failure when it is cut off, or too long */
export async function readAnswer(
  answer: IncomingMessage,
  location: ServiceLocation,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > ANSWER_MAX_BYTES) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new Failure("unavailable", UNAVAILABLE_MESSAGE, {
      internalMessage: `The answer of service "${location.service}" was cut off: ${(error as Error).message}`,
    });
  }
  if (length > ANSWER_MAX_BYTES) {
    throw internalFailure(
      `The answer of service "${location.service}" has more than ${ANSWER_MAX_BYTES} bytes`,
    );
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What the callee says is wrong. */
export function failureOfAnswer(status: number, text: string): Failure {
  const failure = parseFailure(text);
  if (failure !== null) return failure;
  if (GATEWAY_STATUSES.includes(status)) {
    const internalMessage = `answered ${status} by what stands before the service`;
    return new Failure("unavailable", UNAVAILABLE_MESSAGE, { internalMessage });
  }
  return new Failure(
    "invalid_argument",
    `unable to parse error response: expected Encore's JSON in an answer with status ${status}`,
  );
}
