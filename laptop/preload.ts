/** What a process of `npm run split` has beside its image: it ends with its launcher, and sends traces. */
import { startTracing } from "./tracing";

const { OTEL_EXPORTER_OTLP_ENDPOINT: traceTo } = process.env;
if (traceTo) startTracing(traceTo);

// A launcher that was killed cannot say so: its channel closes, and this drains as if it had.
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();
