import {
  type Attributes,
  context,
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

/** W3C Trace Context section 3.2: version, trace id, parent id, flags. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

function contextOf(traceparent: string): Context {
  const match = TRACEPARENT.exec(traceparent);
  if (!match) return ROOT_CONTEXT;
  const [, traceId = "", spanId = "", flags = ""] = match;
  const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(parent) ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

function traceparentOf(span: Span | undefined): string {
  const spanContext = span?.spanContext();
  if (!spanContext || !isSpanContextValid(spanContext)) return "";
  const flags = spanContext.traceFlags.toString(16).padStart(2, "0");
  return `00-${spanContext.traceId}-${spanContext.spanId}-${flags}`;
}

/** The active span as a `traceparent`, or "" where nothing is traced. */
export function currentTraceparent(): string {
  return traceparentOf(trace.getActiveSpan());
}

export interface SpanOptions {
  /** The `traceparent` of the span that caused this one; without it the active span, if any. */
  readonly parent?: string;
  readonly attributes?: Attributes;
}

/**
 * Runs `work` inside a span. `traceparent` is what a command or event must carry so that the receiver's
 * spans join; it is `parent` itself when no SDK is registered, so that a trace survives an untraced process.
 */
export async function withSpan<T>(
  name: string,
  { parent, attributes }: SpanOptions,
  work: (traceparent: string, span: Span) => Promise<T>,
): Promise<T> {
  const within = parent ? contextOf(parent) : context.active();
  const span = trace.getTracer("stele").startSpan(name, attributes ? { attributes } : {}, within);
  try {
    const traceparent = traceparentOf(span) || parent || "";
    return await context.with(trace.setSpan(within, span), () => work(traceparent, span));
  } catch (error) {
    span.recordException(error as Error);
    span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
    throw error;
  } finally {
    span.end();
  }
}
