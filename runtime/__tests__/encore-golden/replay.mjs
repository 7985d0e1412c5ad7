// node replay.mjs BASE            compares a server that runs app/ with golden.json; prints the differences; exit 1 if there are any
// node replay.mjs BASE --record   writes golden.json (only ever from the real Encore runtime)
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import { pathToFileURL } from "node:url";
import { requests, streams } from "./requests.mjs";

const file = new URL("./golden.json", import.meta.url);

export const readGolden = () => JSON.parse(fs.readFileSync(file, "utf8"));

/** What differs between two runs of one server is left out of an answer. */
const VARYING = new Set([
  "date",
  "x-encore-trace-id",
  "x-request-id",
  "connection",
  "keep-alive",
  "last-modified",
]);
const LISTS = [
  "access-control-expose-headers",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "vary",
];

// The order of keys in an answer is not part of the contract (the recorded runtime hashes them), nor are long echoes of what was sent.
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value && typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
  }
  if (typeof value !== "string") return value;
  if (value.length > 3000) return `${value.length} characters`;
  return value.startsWith('{"') ? inner(value) : unplaced(value);
}

// Where in its own text a decoder gave up is not part of the contract either.
function unplaced(text) {
  const missing = (m) => `missing fields ${m.match(/`[^`]+`/g)?.sort().join(" and ") ?? m}`;
  return text.replace(/ at line \d+ column \d+/g, "").replace(/missing fields .*/, missing);
}

function inner(text) {
  try {
    return JSON.stringify(sorted(JSON.parse(text)));
  } catch {
    return text;
  }
}

function canonical(raw, host) {
  const text = raw.replaceAll(host, "HOST");
  try {
    return sorted(JSON.parse(text));
  } catch {
    return text.slice(0, 3000);
  }
}

function answerOf(response, parts, host) {
  const headers = {};
  const { rawHeaders } = response;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    if (VARYING.has(name)) continue;
    const value = rawHeaders[i + 1];
    headers[name] = headers[name] === undefined ? value : [].concat(headers[name], value);
  }
  if (String(headers["content-type"]).startsWith("application/json")) {
    delete headers["content-length"];
  }
  for (const name of LISTS) {
    if (!headers[name]) continue;
    const items = new Set(String(headers[name]).toLowerCase().split(/[, ]+/));
    headers[name] = [...items].sort().join(", ");
  }
  return {
    status: response.statusCode,
    headers: Object.fromEntries(Object.entries(headers).sort()),
    body: canonical(Buffer.concat(parts).toString("utf8"), host),
  };
}

/** Sends one request on a connection of its own. */
function send(url, { method, path, headers, body }) {
  const hasLength = body !== undefined && !headers["transfer-encoding"];
  const options = {
    host: url.hostname,
    port: url.port,
    method,
    path,
    headers: { ...headers, ...(hasLength ? { "content-length": Buffer.byteLength(body) } : {}) },
    agent: false,
  };
  return new Promise((resolve) => {
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      const done = (cut) =>
        resolve({ ...answerOf(response, parts, url.host), ...(cut ? { cut } : {}) });
      response.on("end", () => done(false));
      response.on("aborted", () => done(true));
    });
    request.on("error", (error) => resolve({ error: error.code ?? error.message }));
    request.setTimeout(10_000, () => request.destroy(new Error("timeout")));
    request.end(body);
  });
}

/** A WebSocket client of just enough for text frames. */
function exchange(url, { path, send: messages }) {
  return new Promise((resolve) => {
    const socket = net.connect(+url.port, url.hostname);
    const got = [];
    let buffer = Buffer.alloc(0);
    let open = false;
    let next = 0;
    const finish = (end) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ got, end });
    };
    const timer = setTimeout(() => finish("timeout"), 3000);
    const tick = () => {
      if (next >= messages.length || socket.destroyed) return;
      const payload = Buffer.from(messages[next++]);
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]));
      setTimeout(tick, 100);
    };
    const readHead = () => {
      const end = buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      const line = buffer.subarray(0, buffer.indexOf("\r\n")).toString();
      got.push(line);
      buffer = buffer.subarray(end + 4);
      open = true;
      if (line.includes("101")) return tick();
      setTimeout(() => {
        got.push(buffer.toString());
        finish("refused");
      }, 200);
    };
    /** False when a frame is not there whole. */
    const readFrame = () => {
      let length = buffer[1] & 127;
      let at = 2;
      if (length === 126) {
        if (buffer.length < 4) return false;
        length = buffer.readUInt16BE(2);
        at = 4;
      }
      if (buffer.length < at + length) return false;
      const opcode = buffer[0] & 15;
      const payload = buffer.subarray(at, at + length);
      buffer = buffer.subarray(at + length);
      if (opcode === 8) {
        const code = payload.length >= 2 ? payload.readUInt16BE(0) : "";
        got.push(`close ${code} ${payload.subarray(2)}`.trim());
        finish("closed");
        return false;
      }
      got.push(opcode === 1 ? payload.toString() : `op ${opcode} ${payload}`);
      return true;
    };
    socket.on("connect", () =>
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      ),
    );
    socket.on("data", (data) => {
      buffer = Buffer.concat([buffer, data]);
      if (!open) {
        readHead();
        if (!open || !got[0].includes("101")) return;
      }
      while (buffer.length >= 2 && readFrame());
    });
    socket.on("close", () => finish("ended"));
    socket.on("error", () => {});
  });
}

const isEqual = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What the server answers to every request, by name. With `golden`, a request that is to wait for
 * something is repeated until it is answered as recorded instead, or has waited long enough.
 */
export async function replay(base, golden = null) {
  const url = new URL(base);
  const answers = {};
  for (const [name, request] of Object.entries(requests)) {
    if (request.waitMs && golden === null) await pause(request.waitMs);
    answers[name] = await send(url, request);
    const deadline = Date.now() + 5 * (request.waitMs ?? 0);
    while (golden !== null && !isEqual(answers[name], golden[name]) && Date.now() < deadline) {
      await pause(50);
      answers[name] = await send(url, request);
    }
  }
  for (const [name, one] of Object.entries(streams)) answers[name] = await exchange(url, one);
  return answers;
}

async function main(base, mode) {
  const now = await replay(base);
  if (mode === "--record") {
    fs.writeFileSync(file, `${JSON.stringify(now, null, 1)}\n`);
    console.log(`${Object.keys(now).length} recorded`);
    return;
  }
  let same = 0;
  let differ = 0;
  for (const [name, want] of Object.entries(readGolden())) {
    if (isEqual(want, now[name])) {
      same++;
      continue;
    }
    differ++;
    const [encore, here] = [want, now[name] ?? "no answer"].map((one) => JSON.stringify(one));
    console.log(`--- ${name}\n  encore ${encore.slice(0, 700)}\n  here   ${here.slice(0, 700)}`);
  }
  console.log(`${same} passed, ${differ} failed`);
  process.exitCode = differ ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main(...process.argv.slice(2));
