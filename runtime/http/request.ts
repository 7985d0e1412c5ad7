import { randomFillSync } from "node:crypto";
import type { EndpointModel } from "../app-model";
import type { Caller } from "../remote/caller";

/** Where a request stands in a trace; ids are hexadecimal. */
export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly correlationId: string | null;
}

/** Who calls, as the auth handler said. */
export interface AuthData {
  readonly userID: string;
  readonly [key: string]: unknown;
}

export interface ApiCall {
  readonly endpoint: EndpointModel;
  readonly method: string;
  readonly path: string;
  readonly pathAndQuery: string;
  readonly pathParams: Readonly<Record<string, unknown>>;
  /** Asked for only when the application looks at them. */
  readonly headers: () => Readonly<Record<string, string | readonly string[]>>;
}

export interface Message {
  readonly service: string;
  readonly topic: string;
  readonly subscription: string;
  readonly id: string;
  readonly publishedAt: string;
  readonly attempt: number;
}

export interface RequestParts {
  readonly payload: unknown;
  readonly trace: Trace;
  readonly userId?: string | null;
  readonly authData?: AuthData | null;
  readonly call?: ApiCall;
  readonly message?: Message;
  /** The auth handler that this request is for. */
  readonly handler?: { readonly service: string; readonly name: string };
}

/** The native request: what the SDK's `currentRequest()` and the handlers read. */
export class Request {
  readonly #parts: RequestParts;
  readonly #startedAtMs = Date.now();
  /** The SDK's middlewares leave their data here. */
  middlewareData: unknown;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  payload(): unknown {
    return this.#parts.payload ?? null;
  }

  getAuthData(): AuthData | null {
    return this.#parts.authData ?? null;
  }

  /** Who is known to call; an auth handler may have said no more of it. */
  get userId(): string | null {
    return this.#parts.userId ?? null;
  }

  get trace(): Trace {
    return this.#parts.trace;
  }

  meta(): Record<string, unknown> {
    const { trace, call, message, payload } = this.#parts;
    return {
      startedAt: new Date(this.#startedAtMs).toISOString().replace(/\.\d+Z$/, "Z"),
      trace: {
        traceId: encoreId(trace.traceId),
        spanId: encoreId(trace.spanId),
        parentSpanId: trace.parentSpanId === null ? undefined : encoreId(trace.parentSpanId),
        extCorrelationId: trace.correlationId ?? undefined,
      },
      apiCall: call && apiCallMeta(call, payload),
      pubsubMessage: message && messageMeta(message, payload),
    };
  }

  /** Who a call is from that is made while this request is handled. */
  asCaller(): Caller {
    const { call, message, handler } = this.#parts;
    if (message) {
      const { topic, subscription, id } = message;
      return { kind: "pubsub", topic, subscription, messageId: id };
    }
    const endpoint = call?.endpoint ?? handler;
    if (endpoint === undefined) return { kind: "app", deployId: "" };
    return { kind: "api", service: endpoint.service, endpoint: endpoint.name };
  }

  /** What every log line of this request says of it. */
  logFields(): Record<string, string> {
    const { trace, call, message, handler, userId } = this.#parts;
    const fields: Record<string, string> = {
      trace_id: encoreId(trace.traceId),
      span_id: encoreId(trace.spanId),
    };
    if (call) {
      fields["service"] = call.endpoint.service;
      fields["endpoint"] = call.endpoint.name;
    } else if (message) {
      fields["service"] = message.service;
      fields["topic"] = message.topic;
      fields["subscription"] = message.subscription;
    } else if (handler) {
      fields["service"] = handler.service;
      fields["endpoint"] = handler.name;
    }
    if (userId) fields["uid"] = userId;
    if (trace.correlationId !== null) fields["x_correlation_id"] = trace.correlationId;
    return fields;
  }
}

function apiCallMeta(call: ApiCall, payload: unknown): Record<string, unknown> {
  const { endpoint } = call;
  return {
    api: {
      service: endpoint.service,
      endpoint: endpoint.name,
      raw: endpoint.kind === "raw",
      requiresAuth: endpoint.auth,
      tags: endpoint.tags,
    },
    method: call.method,
    path: call.path,
    pathAndQuery: call.pathAndQuery,
    pathParams: call.pathParams,
    parsedPayload: payload ?? undefined,
    headers: call.headers(),
  };
}

function messageMeta(message: Message, payload: unknown): Record<string, unknown> {
  const { service, topic, subscription, id, publishedAt, attempt } = message;
  const meta = { service, topic, subscription, id, publishedAt, deliveryAttempt: attempt };
  return { ...meta, parsedPayload: payload ?? undefined };
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Random bytes are fetched for many ids at once: one at a time costs more than the request. */
const POOL_BYTES = 8192;
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;

function randomHex(bytes: number): string {
  if (poolAt + bytes > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  poolAt += bytes;
  return pool.toString("hex", poolAt - bytes, poolAt);
}

export function newTrace(correlationId: string | null = null): Trace {
  return {
    traceId: randomHex(TRACE_ID_BYTES),
    spanId: randomHex(SPAN_ID_BYTES),
    parentSpanId: null,
    correlationId,
  };
}

/** A step inside the same trace. */
export function childTrace(parent: Trace): Trace {
  return { ...parent, spanId: randomHex(SPAN_ID_BYTES), parentSpanId: parent.spanId };
}

const DIGITS = "0123456789abcdefghijklmnopqrstuv";
const DIGIT_BITS = 5;
/** So many hexadecimal digits are a whole number of Encore's. */
const GROUP = 5;

/** An id as Encore shows it, in logs and answers: base 32, where `traceparent` is hexadecimal. */
export function encoreId(hex: string): string {
  let text = "";
  for (let at = 0; at < hex.length; at += GROUP) {
    const group = hex.slice(at, at + GROUP);
    const count = Math.ceil((group.length * 4) / DIGIT_BITS);
    const bits = Number.parseInt(group, 16) << (count * DIGIT_BITS - group.length * 4);
    for (let digit = count - 1; digit >= 0; digit -= 1) {
      text += DIGITS[(bits >> (digit * DIGIT_BITS)) & 31];
    }
  }
  return text;
}
