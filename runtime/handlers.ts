import { AsyncResource } from "node:async_hooks";
import type { ResponseExtras } from "./http/payload";

/** What the SDK registers for an endpoint. */
export interface ApiRoute {
  readonly service: string;
  readonly name: string;
  readonly raw: boolean;
  readonly streamingRequest: boolean;
  readonly streamingResponse: boolean;
  readonly handler: (...args: never[]) => unknown;
}

/** What the SDK's wrapper makes of a handler's result. */
export interface HandlerResult extends ResponseExtras {
  readonly payload: unknown;
}

/** The handlers of the application, by service and name. */
export class Handlers {
  readonly #routes = new Map<string, ApiRoute>();

  register(route: ApiRoute): void {
    this.#routes.set(key(route.service, route.name), route);
  }

  find(service: string, name: string): ApiRoute | null {
    return this.#routes.get(key(service, name)) ?? null;
  }
}

function key(service: string, name: string): string {
  return `${service}.${name}`;
}

/**
 * Calls application code in an async context of its own. The SDK enters the current request with
 * `enterWith`, which would otherwise replace the caller's.
 */
export function isolated<T>(run: () => T | Promise<T>): Promise<T> {
  const resource = new AsyncResource("EncoreRequest");
  try {
    // Not an async function: while contexts are followed each promise costs, and so does each await.
    return Promise.resolve(resource.runInAsyncScope(run));
  } catch (error) {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- whatever the application threw
    return Promise.reject(error);
  }
}
