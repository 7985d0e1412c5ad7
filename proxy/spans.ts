import { ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";

import type { ProxySpan } from "./proxy";

/** Writes a proxied request as a span, afterwards: its worker has no tracer. */
export function recordSpan({ traceparent, startedAt, endedAt, attributes }: ProxySpan): void {
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-");
  const parent = trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
  const options = { kind: SpanKind.SERVER, startTime: startedAt, attributes: { ...attributes } };
  trace.getTracer("stele").startSpan("proxy request", options, parent).end(endedAt);
}
