import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { page } from "./page.js";
import { openNotes } from "./store.js";

const cluster = process.env.STELE_CLUSTER ?? "no cluster";
const generation = Number(process.env.STELE_GENERATION ?? 0);
const MAX_BODY_BYTES = 64 * 1024;
const NEWEST_ON_PAGE = 50;

const notes = await openNotes("notes.jsonl");
let stopping = false;

const server = createServer((request, response) => {
  response.setHeader("Served-By", cluster);
  response.setHeader("Cache-Control", "no-store");
  if (stopping) response.setHeader("Connection", "close");
  response.on("close", () => {
    // A connection whose request outlived the stop is a spare one now.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  answer(request, response).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else sendJson(response, 500, { error: "The note could not be written" });
  });
});

// Longer than any proxy keeps a spare connection, so that it is never we who close one in use.
server.keepAliveTimeout = 75_000;

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://app");
  const id = /^\/notes\/([\w-]+)$/.exec(pathname)?.[1];
  if (request.method === "POST" && pathname === "/notes") return addNote(request, response);
  if (request.method !== "GET") return sendJson(response, 405, { error: "GET or POST /notes" });
  if (pathname === "/notes") return sendJson(response, 200, { items: notes.items });
  if (id !== undefined) {
    const note = notes.get(id);
    return sendJson(response, note ? 200 : 404, note ?? { error: `There is no note "${id}"` });
  }
  if (pathname !== "/") return sendJson(response, 404, { error: "There are / and /notes" });
  const newest = notes.items.slice(-NEWEST_ON_PAGE).reverse();
  const html = page({ cluster, generation, newest, total: notes.items.length });
  return response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(html);
}

async function addNote(request, response) {
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader("Connection", "close");
    return sendJson(response, 413, { error: `A note is at most ${MAX_BODY_BYTES} bytes` });
  }
  const type = request.headers["content-type"] ?? "";
  const text = readText(type, body);
  if (!text) return sendJson(response, 400, { error: "A note needs a text" });
  const note = { id: randomUUID(), at: new Date().toISOString(), text, cluster };
  await notes.add(note);
  if (type.startsWith("application/x-www-form-urlencoded")) {
    return response.writeHead(303, { Location: "/" }).end();
  }
  return sendJson(response, 201, note);
}

async function readBody(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** The text in a form, in JSON `{ "text": … }`, or the body itself. */
function readText(type, body) {
  if (type.startsWith("application/x-www-form-urlencoded")) {
    return new URLSearchParams(body).get("text")?.trim();
  }
  if (!type.includes("json")) return body.trim();
  try {
    const { text } = JSON.parse(body);
    return typeof text === "string" ? text.trim() : undefined;
  } catch {
    return undefined;
  }
}

function sendJson(response, status, value) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

// Finish what is in flight, close the file, and go.
process.on("SIGTERM", () => {
  stopping = true;
  server.close(() => void notes.close().then(() => process.exit(0)));
  server.closeIdleConnections();
});

server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", () => {
  const count = notes.items.length;
  console.log(`notes listens on port ${server.address().port} in ${cluster}, ${count} notes`);
});
