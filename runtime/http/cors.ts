import type { ServerResponse } from "node:http";
import type { AppModel } from "../app-model";
import type { CorsConfig } from "../infra-config";

const ALWAYS_ALLOWED = [
  "accept",
  "authorization",
  "content-type",
  "origin",
  "user-agent",
  "x-correlation-id",
  "x-request-id",
  "x-requested-with",
];
const ALWAYS_EXPOSED = ["x-request-id", "x-correlation-id", "x-encore-trace-id"];
const ALLOW_ORIGIN = "access-control-allow-origin";
const VARY = "origin, access-control-request-method, access-control-request-headers";

type HeaderMap = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The gateway's CORS rules: what the infra config says, and the headers that endpoints declare. */
export class Cors {
  readonly #mirrorHeaders: boolean;
  readonly #allowHeaders: string;
  readonly #exposeHeaders: string;
  readonly #withCredentials: (origin: string) => boolean;
  readonly #withoutCredentials: (origin: string) => boolean;

  constructor(config: CorsConfig | null, model: AppModel) {
    const allow = config?.allowHeaders ?? [];
    this.#mirrorHeaders = allow.includes("*");
    this.#allowHeaders = unique([...allow, ...ALWAYS_ALLOWED, ...requestHeaders(model)]);
    const expose = config?.exposeHeaders ?? [];
    this.#exposeHeaders = unique([...expose, ...ALWAYS_EXPOSED, ...responseHeaders(model)]);
    this.#withCredentials = originSet(config?.allowOriginsWithCredentials ?? []);
    const open = config?.allowOriginsWithoutCredentials ?? null;
    this.#withoutCredentials = open === null ? () => true : originSet(open);
  }

  /** Sets what every answer of the gateway carries. */
  decorate(request: HeaderMap, response: ServerResponse): void {
    const origin = this.#origin(request, hasCredentials(request));
    if (origin !== null) response.setHeader(ALLOW_ORIGIN, origin);
    response.setHeader("vary", VARY);
    response.setHeader("access-control-allow-credentials", "true");
    response.setHeader("access-control-expose-headers", this.#exposeHeaders);
  }

  /** The answer to OPTIONS, which the gateway gives by itself, whatever the path. */
  preflight(request: HeaderMap): Record<string, string> {
    const asked = text(request["access-control-request-headers"]);
    const method = text(request["access-control-request-method"]);
    const asksCredentials = asked
      .split(",")
      .some((name) => ["authorization", "cookie"].includes(name.trim().toLowerCase()));
    const origin = this.#origin(request, hasCredentials(request) || asksCredentials);
    return {
      ...(origin === null ? {} : { [ALLOW_ORIGIN]: origin }),
      vary: VARY,
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": this.#mirrorHeaders ? asked : this.#allowHeaders,
      ...(method === "" ? {} : { "access-control-allow-methods": method }),
    };
  }

  /** The origin that may look at the answer; null when there is none. */
  #origin(request: HeaderMap, withCredentials: boolean): string | null {
    const origin = text(request["origin"]);
    const allows = withCredentials ? this.#withCredentials : this.#withoutCredentials;
    return origin !== "" && allows(origin) ? origin : null;
  }
}

function hasCredentials(request: HeaderMap): boolean {
  return request["authorization"] !== undefined || request["cookie"] !== undefined;
}

function text(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : (value?.join(",") ?? "");
}

function unique(names: readonly string[]): string {
  return [...new Set(names.map((name) => name.toLowerCase()))].filter((n) => n !== "*").join(",");
}

function requestHeaders(model: AppModel): string[] {
  const schemas = model.endpoints.filter(({ expose }) => expose).map(({ request }) => request);
  const all = [...schemas, model.authHandler?.params ?? null];
  return all.flatMap((schema) => headerNames(schema?.fields ?? []));
}

function responseHeaders(model: AppModel): string[] {
  return model.endpoints
    .filter(({ expose }) => expose)
    .flatMap(({ response }) => headerNames(response?.fields ?? []));
}

function headerNames(fields: readonly { location: string; wireName: string }[]): string[] {
  return fields.filter(({ location }) => location === "header").map(({ wireName }) => wireName);
}

function originSet(origins: readonly string[]): (origin: string) => boolean {
  if (origins.includes("*")) return () => true;
  const rules = origins.map((origin) => {
    const star = origin.indexOf("*");
    if (star < 0) return (one: string) => one === origin;
    const [prefix, suffix] = [origin.slice(0, star), origin.slice(star + 1)];
    const shortest = prefix.length + suffix.length;
    return (one: string) => one.length > shortest && one.startsWith(prefix) && one.endsWith(suffix);
  });
  return (origin) => rules.some((rule) => rule(origin.toLowerCase()));
}
