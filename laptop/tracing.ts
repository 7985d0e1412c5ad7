import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";

import type * as Api from "@opentelemetry/api";
import type { Context, ContextManager } from "@opentelemetry/api";
import type * as Exporter from "@opentelemetry/exporter-trace-otlp-http";
import type * as Resources from "@opentelemetry/resources";
import type * as Sdk from "@opentelemetry/sdk-trace-base";

const EXPORT_EACH_MS = 500; // Somebody watches: a move is to be seen soon after it ended.
const OTLP_TRACES_PATH = "/v1/traces";

/** Sends spans to `url` from now on. Must be called before the application is loaded. */
export function startTracing(url: string): void {
  // Loaded only when asked for: the SDK would be a good part of every start.
  const load = createRequire(import.meta.url);
  const { context, ROOT_CONTEXT, trace } = load("@opentelemetry/api") as typeof Api;
  const { OTLPTraceExporter } = load("@opentelemetry/exporter-trace-otlp-http") as typeof Exporter;
  const { BasicTracerProvider, BatchSpanProcessor } = load(
    "@opentelemetry/sdk-trace-base",
  ) as typeof Sdk;
  const { resourceFromAttributes } = load("@opentelemetry/resources") as typeof Resources;
  const exporter = new OTLPTraceExporter({ url: tracesUrl(url) });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME ?? "stele" }),
    spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: EXPORT_EACH_MS })],
  });
  context.setGlobalContextManager(new AsyncContext(ROOT_CONTEXT));
  trace.setGlobalTracerProvider(provider);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void provider.forceFlush().catch(() => undefined));
  }
}

/** A collector is named by its base, as in OTEL_EXPORTER_OTLP_ENDPOINT; a full address is kept. */
export function tracesUrl(url: string): string {
  const parsed = new URL(url);
  return parsed.pathname === "/" ? new URL(OTLP_TRACES_PATH, parsed).href : url;
}

/** Carries the active span across awaits; the API has the interface and leaves this to the SDK. */
class AsyncContext implements ContextManager {
  private readonly storage = new AsyncLocalStorage<Context>();

  constructor(private readonly root: Context) {}

  active(): Context {
    return this.storage.getStore() ?? this.root;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.storage.run(active, () => work.call(self as ThisParameterType<F>, ...args));
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== "function") return target;
    const bound = (...args: unknown[]): unknown =>
      this.storage.run(active, () => (target as (...args: unknown[]) => unknown)(...args));
    return bound as T;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.storage.disable();
    return this;
  }
}
