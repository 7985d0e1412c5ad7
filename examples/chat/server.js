import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { acceptWebSocket } from "./websocket.js";

const cluster = process.env.STELE_CLUSTER ?? "no cluster";
const MAX_TEXT = 2_000;
const MAX_NAME = 40;
const KEPT_MESSAGES = 100; // What somebody who joins gets to read.

const html = readFileSync(new URL("index.html", import.meta.url));
const visitors = new Set();
const kept = [];
let stopping = false;

const server = createServer((request, response) => {
  response.setHeader("Served-By", cluster);
  if (stopping) response.setHeader("Connection", "close");
  response.on("close", () => {
    // A connection whose request outlived the stop is a spare one now.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  if (new URL(request.url, "http://app").pathname === "/") {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(html);
  } else {
    response.writeHead(404, { "Content-Type": "text/plain" }).end("Not found\n");
  }
});

// Longer than any proxy keeps a spare connection, so that it is never we who close one in use.
server.keepAliveTimeout = 75_000;

server.on("upgrade", (request, socket, head) => {
  if (stopping || new URL(request.url, "http://app").pathname !== "/ws") {
    socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  const visitor = acceptWebSocket(request, socket, head, {
    onMessage: receive,
    onClose: () => {
      visitors.delete(visitor);
      announce();
    },
  });
  if (!visitor) return;
  visitors.add(visitor);
  for (const message of kept) visitor.send(JSON.stringify(message));
  announce();
});

function receive(payload) {
  const message = parse(payload);
  if (message === undefined) return;
  kept.push(message);
  if (kept.length > KEPT_MESSAGES) kept.shift();
  broadcast(message);
}

/** What a page sent, as far as it is a message. */
function parse(payload) {
  try {
    const { id, name, text } = JSON.parse(payload);
    if (![id, name, text].every((value) => typeof value === "string") || text === "")
      return undefined;
    const at = new Date().toISOString();
    return {
      kind: "message",
      id: id.slice(0, 64),
      name: name.slice(0, MAX_NAME),
      text: text.slice(0, MAX_TEXT),
      at,
    };
  } catch {
    return undefined;
  }
}

const announce = () => broadcast({ kind: "room", cluster, visitors: visitors.size });

function broadcast(message) {
  const payload = JSON.stringify(message);
  for (const visitor of visitors) visitor.send(payload);
}

// 1012, "service restart": the pages come back by themselves.
process.on("SIGTERM", () => {
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const visitor of visitors) visitor.close(1012, "restarting");
});

server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", () => {
  console.log(`chat listens on port ${server.address().port} in ${cluster}`);
});
