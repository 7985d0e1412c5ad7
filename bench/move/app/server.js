// The app that bench/move moves: small answers, large bodies under a digest, numbered events, numbered
// messages, and writes that are numbered by whoever is the one writer. Beside it lies `websocket.js` of the
// example `hello`.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

import { openLog } from "./log.js";
import { acceptWebSocket } from "./websocket.js";

const cluster = process.env.STELE_CLUSTER ?? "no cluster";
const EVENT_MS = 100;
const BLOCK = Buffer.alloc(64 * 1024);
for (let at = 0; at < BLOCK.length; at += 2) BLOCK.writeUInt16LE(at, at);
/** Longer than one segment, so that a cut in the middle of a frame would be seen. */
const FRAME_PADDING = "x".repeat(4_000);

const log = await openLog("writes.jsonl");
const sockets = new Set();
const eventStreams = new Set();
let stopping = false;

const routes = {
  "/": index,
  "/writes": writes,
  "/upload": upload,
  "/download": download,
  "/events": events,
};

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://app");
  response.setHeader("Served-By", cluster);
  if (stopping) response.setHeader("Connection", "close");
  response.on("close", () => {
    // A connection whose request outlived the stop is a spare one now.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  const route = routes[url.pathname];
  if (route) route(request, response, url);
  else response.writeHead(404).end("not found\n");
});
// Longer than any proxy keeps a spare connection, so that it is never we who close one in use.
server.keepAliveTimeout = 75_000;

function index(_request, response) {
  response.writeHead(200, { "Content-Type": "text/plain" }).end("well\n");
}

/** POST one, answered with its number once it is on disk; GET them all. */
async function writes(request, response, url) {
  if (request.method === "GET") {
    response.writeHead(200, { "Content-Type": "application/jsonl" }).end(log.text());
    return;
  }
  request.resume();
  const by = url.searchParams.get("by");
  const { seq } = await log.add({ by, n: Number(url.searchParams.get("n")) });
  response.writeHead(201, { "Content-Type": "application/json" }).end(JSON.stringify({ seq }));
}

/** Answers with the length and the digest of what came in. */
async function upload(request, response) {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const part of request) {
      hash.update(part);
      bytes += part.length;
    }
  } catch {
    return; // The visitor has left.
  }
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") }));
}

/** `?blocks=` of 64 KiB, one each `?ms=`, under the digest in the head. */
function download(_request, response, url) {
  const blocks = Number(url.searchParams.get("blocks"));
  const pauseMs = Number(url.searchParams.get("ms"));
  const hash = createHash("sha256");
  for (let n = 0; n < blocks; n++) hash.update(block(n));
  response.writeHead(200, { "Content-Length": blocks * BLOCK.length, Sha256: hash.digest("hex") });
  let sent = 0;
  const timer = setInterval(() => {
    response.write(block(sent++));
    if (sent < blocks) return;
    clearInterval(timer);
    response.end();
  }, pauseMs);
  response.on("close", () => clearInterval(timer));
}

function block(n) {
  const at = n % BLOCK.length;
  return Buffer.concat([BLOCK.subarray(at), BLOCK.subarray(0, at)]);
}

/** Events numbered from the one after `Last-Event-ID`. */
function events(request, response) {
  let id = Number(request.headers["last-event-id"] ?? 0);
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const send = () => {
    id += 1;
    response.write(`id: ${id}\ndata: ${cluster} ${FRAME_PADDING.slice(0, 500)}\n\n`);
  };
  send();
  const timer = setInterval(send, EVENT_MS);
  eventStreams.add(response);
  response.on("close", () => {
    clearInterval(timer);
    eventStreams.delete(response);
  });
}

/** Takes `n` and says `got n`; with `?by=`, once it is on disk. */
server.on("upgrade", (request, socket, head) => {
  const by = new URL(request.url, "http://app").searchParams.get("by");
  const connection = acceptWebSocket(request, socket, head, {
    onMessage: async (message, from) => {
      if (by !== null) await log.addOnce({ by, n: Number(message) });
      from.send(`got ${message} ${FRAME_PADDING}`);
    },
    onClose: () => sockets.delete(connection),
  });
  if (connection) sockets.add(connection);
});

// Finish what is in flight, tell streams to come back elsewhere, and go.
process.on("SIGTERM", () => {
  stopping = true;
  server.close(() => void log.close().then(() => process.exit(0)));
  server.closeIdleConnections();
  for (const connection of sockets) connection.close(1012, "restarting");
  for (const stream of eventStreams) stream.end();
});

server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1");
