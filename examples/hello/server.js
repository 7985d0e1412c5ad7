import { createServer } from "node:http";

import { page } from "./page.js";
import { acceptWebSocket } from "./websocket.js";

const cluster = process.env.STELE_CLUSTER ?? "no cluster";
const generation = Number(process.env.STELE_GENERATION ?? 0);
const startedAt = new Date().toISOString();

const MAX_SLOW_MS = 60_000;
const SLOW_CHUNK_MS = 50; // A chunk each so often: slow, but never still.
const EVENT_MS = 1_000;

const sockets = new Set();
const eventStreams = new Set();
let served = 0;
let stopping = false;

const routes = {
  "/": index,
  "/slow": slow,
  "/echo": echo,
  "/events": events,
};

const server = createServer((request, response) => {
  served += 1;
  const url = new URL(request.url, "http://app");
  response.setHeader("Served-By", cluster);
  if (stopping) response.setHeader("Connection", "close");
  response.on("close", () => {
    // A connection whose request outlived the stop is a spare one now.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  const route = routes[url.pathname];
  if (route) route(request, response, url);
  else response.writeHead(404, { "Content-Type": "text/plain" }).end("Not found\n");
});

// Longer than any proxy keeps a spare connection, so that it is never we who close one in use.
server.keepAliveTimeout = 75_000;

function index(request, response) {
  const accept = request.headers.accept ?? "";
  const facts = { app: "hello", cluster, generation, served, pid: process.pid, startedAt };
  response.setHeader("Vary", "Accept");
  response.setHeader("Cache-Control", "no-store");
  if (accept.includes("text/html")) {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page(facts));
  } else if (accept.includes("json")) {
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(facts));
  } else {
    response.writeHead(200, { "Content-Type": "text/plain" });
    response.end(`Hello from ${cluster} (generation ${generation})\n`);
  }
}

/** A body that takes `?ms=`. Its last line is `end`, so a reader sees whether it got all of it. */
function slow(_request, response, url) {
  const asked = Number(url.searchParams.get("ms") ?? 1_000);
  const totalMs = Number.isFinite(asked) ? Math.min(Math.max(asked, 0), MAX_SLOW_MS) : 1_000;
  const chunks = Math.max(1, Math.round(totalMs / SLOW_CHUNK_MS));
  response.writeHead(200, { "Content-Type": "text/plain" });
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    response.write(`${cluster} ${sent}/${chunks}\n`);
    if (sent < chunks) return;
    clearInterval(timer);
    response.end("end\n");
  }, totalMs / chunks);
  response.on("close", () => clearInterval(timer));
}

function echo(request, response) {
  const type = request.headers["content-type"] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type });
  request.pipe(response);
}

/** Server-sent events: one each second, with the cluster that sent it. */
function events(_request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  let id = 0;
  const send = () => {
    id += 1;
    const data = JSON.stringify({ cluster, generation, at: new Date().toISOString() });
    response.write(`id: ${id}\ndata: ${data}\n\n`);
  };
  send();
  const timer = setInterval(send, EVENT_MS);
  eventStreams.add(response);
  response.on("close", () => {
    clearInterval(timer);
    eventStreams.delete(response);
  });
}

server.on("upgrade", (request, socket, head) => {
  if (new URL(request.url, "http://app").pathname !== "/ws") {
    socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  const connection = acceptWebSocket(request, socket, head, {
    onMessage: (message, from) => from.send(message),
    onClose: () => sockets.delete(connection),
  });
  if (connection) sockets.add(connection);
});

// Finish what is in flight, tell streams to come back elsewhere, and go.
process.on("SIGTERM", () => {
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const connection of sockets) connection.close(1012, "restarting");
  for (const stream of eventStreams) stream.end();
});

server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", () => {
  console.log(`hello listens on port ${server.address().port} in ${cluster}`);
});
