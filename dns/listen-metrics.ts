/** Metrics for who scrapes each process by itself: no authentication, so it binds nothing unasked. */
import { createServer, type ServerResponse } from "node:http";

import { EXPOSITION_TYPE } from "./core/exposition";
import type { ListenAddress } from "./protocol";

const PATH = "/metrics";
/** A few scrapers; whoever is more waits for nothing. */
const MAX_CONNECTIONS = 32;
/** A scraper says what it wants at once. */
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_HEADER_OCTETS = 8_192;

export interface MetricsListener {
  readonly address: ListenAddress;
  close(): Promise<void>;
}

/** Answers `GET /metrics` with what `render` gives, and nothing else. */
export async function listenMetrics(
  { host, port }: ListenAddress,
  render: () => Promise<string>,
): Promise<MetricsListener> {
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_OCTETS, requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      if (new URL(request.url ?? "", "http://name.server").pathname !== PATH) {
        return refuse(response, 404);
      }
      if (request.method !== "GET") return refuse(response, 405);
      sendMetrics(response, render);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  const address = server.address();
  return {
    address: { host, port: typeof address === "object" ? (address?.port ?? port) : port },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answer with what `render` gives, as soon as it does. */
export function sendMetrics(response: ServerResponse, render: () => Promise<string>): void {
  render().then(
    (text) => {
      response.writeHead(200, { "content-type": EXPOSITION_TYPE });
      response.end(text);
    },
    () => refuse(response, 500),
  );
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-length": 0 });
  response.end();
}
