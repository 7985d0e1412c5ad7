import type { Failure } from "../http/errors";
import { invalidArgument } from "../http/errors";
import { childTrace, newTrace, type AuthData, type Trace } from "../http/request";
import { jsonText, parseJson } from "../json-text";
import { callerText, parseCaller, type Caller } from "./caller";
import { headerOf, type Headers, type ServiceAuth } from "./service-auth";

/** What one process tells another about a call. */
export interface CallMeta {
  readonly caller: Caller;
  /** The request in which the caller runs; null outside of any. */
  readonly trace: Trace | null;
  /** The user on whose behalf, and what the auth handler said of it. */
  readonly userId: string | null;
  readonly authData: AuthData | null;
}

/** What is known of a request that came in. */
export interface Inbound {
  /** Null when the request comes from outside of the application. */
  readonly caller: Caller | null;
  readonly userId: string | null;
  readonly authData: AuthData | null;
  /** The request's own place in its trace. */
  readonly trace: Trace;
}

/** Encore's one version of these headers. */
const VERSION = "1";

const META_PREFIX = "x-encore-meta-";

/** A correlation id is a stranger's text and goes into every line of the log. */
const CORRELATION_ID_MAX = 64;

const NO_SPAN = "0".repeat(16);

/** Whether a header is metadata of a call, which strangers must not set. */
export function isMetaHeader(name: string): boolean {
  return name.startsWith(META_PREFIX);
}

/** The headers that carry `meta`, with their proof. */
export function metaHeaders(
  meta: CallMeta,
  auth: ServiceAuth,
  now: number,
): Record<string, string> {
  const { caller, trace, userId, authData } = meta;
  const headers: Record<string, string> = { "x-encore-meta-version": VERSION };
  if (trace !== null) Object.assign(headers, traceHeaders(trace));
  if (trace?.correlationId) headers["x-correlation-id"] = wireText(trace.correlationId);
  if (userId !== null) headers["x-encore-meta-userid"] = wireText(userId);
  if (authData !== null) headers["x-encore-meta-authdata"] = wireText(jsonText(authData));
  headers["x-encore-meta-caller"] = wireText(callerText(caller));
  Object.assign(headers, auth.sign(headers, now));
  headers["x-encore-meta-svc-auth-method"] = auth.name;
  return headers;
}

/** Nothing is traced here, so what comes after the span says only so. */
export function traceHeaders({ traceId, spanId }: Trace): Record<string, string> {
  return {
    traceparent: `00-${traceId}-${spanId}-00`,
    tracestate:
      spanId === NO_SPAN ? "encore/sampled=0" : `encore/span-id=${spanId},encore/sampled=0`,
  };
}

/**
 * Reads the metadata of a request and checks its proof.
 *
 * @throws Failure `invalid_argument` when it names a caller without a valid proof
 */
export function readMeta(headers: Headers, auth: ServiceAuth, now: number): Inbound {
  const version = headerOf(headers, "x-encore-meta-version");
  if (version !== null && version !== VERSION) throw badMeta("unknown encore meta version");
  const correlationId = readCorrelationId(headers);
  const callerName = headerOf(headers, "x-encore-meta-caller");
  if (callerName === null) {
    return { caller: null, userId: null, authData: null, trace: newTrace(correlationId) };
  }
  if (headerOf(headers, "x-encore-meta-svc-auth-method") !== auth.name) {
    throw badMeta("unknown service auth method");
  }
  const fault = auth.fault(headers, now);
  if (fault !== null) throw badMeta("invalid service authentication data", fault);
  const caller = parseCaller(readText(callerName));
  if (caller === null) throw badMeta("invalid meta caller", "invalid caller string");
  const trace = readTrace(headers, caller, correlationId);
  return { caller, trace, ...readUser(headers) };
}

/** Without looking at who the request says it is from. */
export function readStrangersMeta(headers: Headers): Inbound {
  const version = headerOf(headers, "x-encore-meta-version");
  if (version !== null && version !== VERSION) throw badMeta("unknown encore meta version");
  const trace = newTrace(readCorrelationId(headers));
  return { caller: null, userId: null, authData: null, trace };
}

function readUser(headers: Headers): Pick<Inbound, "userId" | "authData"> {
  const userId = headerOf(headers, "x-encore-meta-userid");
  const data = headerOf(headers, "x-encore-meta-authdata");
  try {
    return {
      userId: userId === null ? null : readText(userId),
      authData: data === null ? null : (parseJson(readText(data)) as AuthData),
    };
  } catch (error) {
    throw badMeta("invalid auth data", (error as Error).message);
  }
}

function readCorrelationId(headers: Headers): string | null {
  const id = headerOf(headers, "x-correlation-id");
  return id === null ? null : Array.from(readText(id)).slice(0, CORRELATION_ID_MAX).join("");
}

/** Only callers inside the application are believed: others would tie strangers' traces together. */
function readTrace(headers: Headers, caller: Caller, correlationId: string | null): Trace {
  const parent = headerOf(headers, "traceparent") ?? "";
  const [, traceId] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i.exec(parent) ?? [];
  if (traceId === undefined) return newTrace(correlationId);
  const state = [headers["tracestate"] ?? []].flat().join(",");
  const [, spanId = null] = /(?:^|,)encore\/span-id=([0-9a-f]{16})(?:,|$)/i.exec(state) ?? [];
  const step = childTrace({
    traceId,
    spanId: spanId ?? NO_SPAN,
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

/** Header values travel as bytes, which Node reads and writes as Latin-1. */
function wireText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function readText(wire: string): string {
  return Buffer.from(wire, "latin1").toString("utf8");
}
