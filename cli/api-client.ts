import { readFileSync } from "node:fs";

import { Failure, usage } from "./failure";

const DEFAULT_TIMEOUT_MS = 15_000;

export interface RequestOptions {
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly timeoutMs?: number;
}

/** The platform's HTTP API. Every failure is a `Failure` with one clear line. */
export interface Api {
  readonly address: string;
  get<T>(path: string, options?: RequestOptions): Promise<T>;
  post<T>(path: string, body: unknown, options?: RequestOptions): Promise<T>;
  put<T>(path: string, body: unknown, options?: RequestOptions): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  delete<T>(path: string, options?: RequestOptions): Promise<T>;
}

export interface ApiSettings {
  /** Such as `http://127.0.0.1:4000`. */
  readonly address: string;
  readonly tokenFile: string;
  /** Ends every request: Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Encodes each value that goes into a path: `` path`/v1/repls/${id}` ``. */
export function path(strings: TemplateStringsArray, ...values: string[]): string {
  return String.raw({ raw: strings }, ...values.map(encodeURIComponent));
}

export function openApi(settings: ApiSettings): Api {
  const call = <T>(method: string, route: string, options: RequestOptions = {}): Promise<T> =>
    request<T>(settings, method, route, options);
  return {
    address: settings.address,
    get: (route, options) => call("GET", route, options),
    post: (route, body, options) => call("POST", route, { ...options, body }),
    put: (route, body, options) => call("PUT", route, { ...options, body }),
    patch: (route, body) => call("PATCH", route, { body }),
    delete: (route, options) => call("DELETE", route, options),
  };
}

async function request<T>(
  settings: ApiSettings,
  method: string,
  route: string,
  options: RequestOptions,
): Promise<T> {
  const url = locate(settings.address, route);
  for (const [key, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined) url.searchParams.set(key, String(value));
  }
  const headers: Record<string, string> = {};
  const token = readToken(settings.tokenFile);
  if (token !== null) headers.authorization = `Bearer ${token}`;
  if (options.body !== undefined) headers["content-type"] = "application/json";
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const signal = AbortSignal.any([settings.signal, AbortSignal.timeout(timeoutMs)]);
  const [response, text] = await fetch(url, { method, headers, body, signal })
    .then(async (answer) => [answer, await answer.text()] as const)
    .catch((error: unknown) => {
      throw unreachable(settings.address, error, timeoutMs);
    });
  if (!response.ok) throw refused(settings, response.status, text, token !== null);
  return parse<T>(settings.address, text);
}

function locate(address: string, route: string): URL {
  try {
    return new URL(route, address);
  } catch {
    throw usage(`STELE_API="${address}": expected such as http://127.0.0.1:4000`);
  }
}

/** The token that `npm start` wrote; null when there is none to read. */
function readToken(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}

function unreachable(address: string, error: unknown, timeoutMs: number): Failure {
  const { name, cause } = error as { name?: string; cause?: Partial<NodeJS.ErrnoException> };
  if (name === "TimeoutError") {
    return new Failure(`the platform at ${address} did not answer within ${timeoutMs} ms`);
  }
  if (name === "AbortError") return new Failure("interrupted");
  if (cause?.code === "ECONNREFUSED") {
    return new Failure(
      `the platform is not running at ${address}: start it with npm start`,
      1,
      "not_running",
    );
  }
  return new Failure(
    `the platform at ${address} cannot be reached: ${cause?.code ?? cause?.message ?? String(error)}`,
    1,
    "unavailable",
  );
}

function refused(settings: ApiSettings, status: number, text: string, hadToken: boolean): Failure {
  if (status === 401) {
    const why = hadToken ? `refuses the token in ${settings.tokenFile}` : "asks for a token";
    return new Failure(
      `the platform at ${settings.address} ${why}: name its file in STELE_TOKEN_FILE`,
      1,
      "unauthenticated",
    );
  }
  try {
    const { code, message } = JSON.parse(text) as { code?: string; message?: string };
    if (message) return new Failure(message, 1, code ?? null);
  } catch {
    // Not the API's own words: say what can be said.
  }
  return new Failure(`${settings.address} answered ${status}, which is not the platform's answer`);
}

function parse<T>(address: string, text: string): T {
  try {
    return JSON.parse(text === "" ? "{}" : text) as T;
  } catch {
    throw new Failure(`${address} answered something that is not JSON: is it the platform's API?`);
  }
}
