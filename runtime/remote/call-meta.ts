import type { AuthData, Trace } from "../http/request";
import { jsonText } from "../json-text";
import { callerText, type Caller } from "./caller";
import type { ServiceAuth } from "./service-auth";

/** What one process tells another about a call. */
export interface CallMeta {
  readonly caller: Caller;
  /** The request in which the caller runs; null outside of any. */
  readonly trace: Trace | null;
  /** The user on whose behalf, and what the auth handler said of it. */
  readonly userId: string | null;
  readonly authData: AuthData | null;
}

/** Encore's one version of these headers. */
export const VERSION = "1";

const META_PREFIX = "x-encore-meta-";

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
function traceHeaders({ traceId, spanId }: Trace): Record<string, string> {
  return {
    traceparent: `00-${traceId}-${spanId}-00`,
    tracestate: `encore/span-id=${spanId},encore/sampled=0`,
  };
}

/** Header values travel as bytes, which Node reads and writes as Latin-1. */
export function wireText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function readText(wire: string): string {
  return Buffer.from(wire, "latin1").toString("utf8");
}
