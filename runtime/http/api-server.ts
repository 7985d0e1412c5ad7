import type { ServerResponse } from "node:http";
import { isStream } from "../app-model";
import type { Inbound, MetaReader } from "../remote/meta-reader";
import { mayCallPrivate } from "../remote/caller";
import { sendFailure, sendWrongMethod } from "./answers";
import type { Endpoints } from "./endpoints";
import { Failure, failureOf } from "./errors";
import type { HttpRequest } from "./http-request";
import { encoreId } from "./request";
import type { Answering } from "./listener";
import type { Router } from "./router";

/**
 * The endpoints of a process that hosts no gateway, for the processes that do and for other
 * services. It believes what a request says of its caller when the request proves it.
 */
export class ApiServer implements Answering {
  readonly isGateway = false;
  readonly #endpoints: Endpoints;
  readonly #router: Router;
  readonly #metaReader: MetaReader;

  /** @param router knows the endpoints of the hosted services alone */
  constructor(endpoints: Endpoints, router: Router, metaReader: MetaReader) {
    this.#endpoints = endpoints;
    this.#router = router;
    this.#metaReader = metaReader;
  }

  leadsToStream(method: string, path: string): boolean {
    const match = this.#router.match(method, path);
    return match.kind === "found" && isStream(match.endpoint);
  }

  async answer(request: HttpRequest, response: ServerResponse): Promise<void> {
    let inbound: Inbound | null = null;
    try {
      const match = this.#router.match(request.method, request.path);
      if (match.kind === "wrongMethod") return sendWrongMethod(response, match.allowed);
      if (match.kind === "none") throw new Failure("not_found", "endpoint not found");
      inbound = this.#metaReader.read(request.received, Date.now());
      const traceId = encoreId(inbound.trace.traceId);
      const decorate = (): void => void response.setHeader("x-encore-trace-id", traceId);
      const { endpoint, params } = match;
      await this.#endpoints.run({ request, response, endpoint, params, inbound, decorate });
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      if (inbound !== null)
        response.setHeader("x-encore-trace-id", encoreId(inbound.trace.traceId));
      const toInside = mayCallPrivate(inbound?.caller ?? null);
      sendFailure(response, failureOf(error), toInside);
    }
  }
}
