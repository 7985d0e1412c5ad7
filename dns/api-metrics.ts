import { api } from "encore.dev/api";

import { sendMetrics } from "./listen-metrics";
import { renderMetrics } from "./metrics";

/** Metrics of this process, as Prometheus reads them. */
export const metrics = api.raw(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/metrics" },
  (_request, response) => sendMetrics(response, renderMetrics),
);
