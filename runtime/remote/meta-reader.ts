import { type Failure, invalidArgument } from "../http/errors";
import { parseBody } from "../http/json-body";
import { childTrace, newTrace, type AuthData, type Trace } from "../http/request";
import { readText, VERSION } from "./call-meta";
import { parseCaller, type Caller } from "./caller";
import { headerOf, type Headers, type ServiceAuth } from "./service-auth";

/** What is known of a request that came in. */
export interface Inbound {
  /** Null when the request comes from outside of the application. */
  readonly caller: Caller | null;
  readonly userId: string | null;
  readonly authData: AuthData | null;
  /** The request's own place in its trace. */
  readonly trace: Trace;
}

/** A correlation id is a stranger's text and goes into every line of the log. */
const CORRELATION_ID_MAX = 64;

/** A request's headers, taken apart no further than they are asked for. */
interface Received {
  readonly received: Headers;
  readonly message: { readonly headers: Headers };
}

/** Reads what a request says of the call that it is, and checks the proof. */
export class MetaReader {
  readonly #auth: ServiceAuth;
  readonly #decodeAuthData: (value: unknown) => AuthData;

  constructor(auth: ServiceAuth, decodeAuthData: (value: unknown) => AuthData) {
    this.#auth = auth;
    this.#decodeAuthData = decodeAuthData;
  }

  /**
   * Without keys, everybody is believed who says so, as in Encore.
   *
   * @throws Failure `invalid_argument` when the request names a caller without a valid proof
   */
  read(headers: Headers, now: number): Inbound {
    checkVersion(headers);
    const callerName = headerOf(headers, "x-encore-meta-caller");
    if (callerName === null) return strangers(headers);
    if (headerOf(headers, "x-encore-meta-svc-auth-method") !== this.#auth.name) {
      throw badMeta("unknown service auth method");
    }
    const fault = this.#auth.fault(headers, now);
    if (fault !== null) throw badMeta("invalid service authentication data", fault);
    const caller = parseCaller(readText(callerName));
    if (caller === null) throw badMeta("invalid meta caller", "invalid caller string");
    return { caller, trace: readTrace(headers, caller), ...this.#readUser(headers) };
  }

  /**
   * A gateway is the door for strangers: a claim that is not proved is as good as none, and without
   * keys nothing is.
   *
   * @throws Failure `invalid_argument` when the metadata is of another version
   */
  readAtGateway(request: Received, now: number): Inbound {
    const { message } = request;
    const claims = message.headers["x-encore-meta-caller"] !== undefined;
    if (claims && this.#auth.name !== "noop") {
      try {
        return this.read(request.received, now);
      } catch {
        // Goes on as a stranger's.
      }
    }
    checkVersion(message.headers);
    return strangers(message.headers);
  }

  #readUser(headers: Headers): Pick<Inbound, "userId" | "authData"> {
    const userId = headerOf(headers, "x-encore-meta-userid");
    const data = headerOf(headers, "x-encore-meta-authdata");
    try {
      return {
        userId: userId === null ? null : readText(userId),
        authData: data === null ? null : this.#decodeAuthData(parseBody(readText(data))),
      };
    } catch (error) {
      throw badMeta("invalid auth data", (error as Error).message);
    }
  }
}

function checkVersion(headers: Headers): void {
  const version = headerOf(headers, "x-encore-meta-version");
  if (version !== null && version !== VERSION) throw badMeta("unknown encore meta version");
}

function strangers(headers: Headers): Inbound {
  const trace = newTrace(readCorrelationId(headers));
  return { caller: null, userId: null, authData: null, trace };
}

function readCorrelationId(headers: Headers): string | null {
  const id = headerOf(headers, "x-correlation-id");
  return id === null ? null : Array.from(readText(id)).slice(0, CORRELATION_ID_MAX).join("");
}

/** Only callers inside the application are believed: others would tie strangers' traces together. */
function readTrace(headers: Headers, caller: Caller): Trace {
  const correlationId = readCorrelationId(headers);
  const parent = headerOf(headers, "traceparent") ?? "";
  const [, traceId] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i.exec(parent) ?? [];
  if (traceId === undefined) return newTrace(correlationId);
  const state = [headers["tracestate"] ?? []].flat().join(",");
  const [, spanId = null] = /(?:^|,)encore\/span-id=([0-9a-f]{16})(?:,|$)/i.exec(state) ?? [];
  const step = childTrace({
    traceId,
    spanId: spanId ?? "",
    parentSpanId: null,
    correlationId,
  });
  // A gateway records no span of its own.
  return caller.kind === "gateway" || spanId === null ? { ...step, parentSpanId: null } : step;
}

function badMeta(what: string, cause?: string): Failure {
  const reason = cause === undefined ? what : `${what}\n\nCaused by:\n    ${cause}`;
  return invalidArgument(`unable to parse request: ${reason}`);
}
