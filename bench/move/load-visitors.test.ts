import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  request as ask,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { until } from "../../e2e/platform";
import { freePort } from "../../shared/__tests__/free-port";
import { makeBodies } from "./load-bodies";
import { faultsOf, type Written } from "./load-history";
import { randomOf } from "./load-plan";
import { LoadTally } from "./load-tally";
import { LoadVisitors } from "./load-visitors";

/** What is done to a request on its way; true when it was answered so. */
type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

const UPLOAD_BYTES = 3_000_000;
const healthy: Fault = () => false;
let folder: string;
let app: ChildProcess;
let appPort: number;
let between: Server | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stele-load-"));
  cpSync("bench/move/app", folder, { recursive: true });
  cpSync("examples/hello/websocket.js", join(folder, "websocket.js"));
  appPort = await freePort();
  const env = { ...process.env, PORT: String(appPort), STELE_CLUSTER: "east" };
  app = spawn(process.execPath, ["server.js"], { cwd: folder, env, stdio: "ignore" });
  const isUp = async () => (await fetch(`http://127.0.0.1:${appPort}/`)).ok;
  await until("the app listens", isUp);
}, 30_000);
afterEach(() => {
  between?.closeAllConnections();
  between?.close();
});
afterAll(() => {
  app.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

/** In front of the app, with that fault. */
async function frontOf(fault: Fault, cutsTunnels: boolean): Promise<number> {
  between = createServer((request, response) => {
    if (fault(request, response)) return;
    const { url: path, method, headers } = request;
    const upstream = ask({ port: appPort, host: "127.0.0.1", path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
      response.on("close", () => answer.destroy());
    });
    upstream.on("error", () => response.destroy());
    request.pipe(upstream);
  });
  between.on("upgrade", (request, socket) => {
    const upstream = connect(appPort, "127.0.0.1");
    const fields = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    upstream.write(`GET ${request.url} HTTP/1.1\r\n${fields.join("")}\r\n`);
    upstream.pipe(socket);
    socket.pipe(upstream);
    for (const one of [socket, upstream]) {
      one.on("error", () => undefined);
      one.on("close", () => (one === socket ? upstream : socket).destroy());
    }
    if (cutsTunnels) setTimeout(() => socket.destroy(), 100);
  });
  between.listen(0, "127.0.0.1");
  await once(between, "listening");
  return (between.address() as AddressInfo).port;
}

/** Visitors at work until `isDone`. */
async function visit(
  fault: Fault,
  isDone: (tally: LoadTally) => boolean,
  cutsTunnels = false,
): Promise<{ tally: LoadTally; visitors: LoadVisitors }> {
  const tally = new LoadTally();
  const visitors = new LoadVisitors({
    app: "app",
    host: "app.demo.repl.test",
    port: await frontOf(fault, cutsTunnels),
    pinnedTo: "127.0.0.1",
    resolve: () => "127.0.0.1",
    clusterAt: () => "east",
    tally,
    random: randomOf(1),
    small: { perSecond: 100, kinds: ["GET", "POST"] },
    bodies: makeBodies(UPLOAD_BYTES, randomOf(1)),
    uploadPauseMs: 0,
    download: { blocks: 4, eachMs: 2 },
    restMs: 50,
    isKeeping: true,
  });
  visitors.start();
  await expect.poll(() => isDone(tally), { timeout: 20_000 }).toBe(true);
  await visitors.stop();
  return { tally, visitors };
}

const hasFailed = (tally: LoadTally): boolean => tally.failures().length > 0;

describe("visitors", { timeout: 30_000 }, () => {
  it("of every class are served by an app that is well, and what they wrote is there", async () => {
    const everybody = (tally: LoadTally) =>
      tally.report().length === 24 && tally.report().every(({ count }) => count > 2);
    const { tally, visitors } = await visit(healthy, everybody);
    expect(tally.failures()).toEqual([]);
    const text = await (await fetch(`http://127.0.0.1:${appPort}/writes`)).text();
    const file = text.split("\n").slice(0, -1);
    const written = file.map((line) => JSON.parse(line) as Written);
    expect(faultsOf(written, visitors.acknowledged, visitors.messages)).toEqual([]);
    expect(file.length).toBeGreaterThan(10);
  });

  const answer =
    (path: string, text: string, headers: Record<string, string> = {}): Fault =>
    (request, response) => {
      if (request.url?.startsWith(path) !== true || (path === "/" && request.url !== "/")) {
        return false;
      }
      request.resume().on("end", () => response.writeHead(200, headers).end(text));
      return true;
    };

  it.each<[string, Fault, RegExp]>([
    ["another answer", answer("/", "hello"), /another answer/],
    ["a body that arrived in part", answer("/upload", '{"bytes":1}'), /1 bytes arrived/],
    ["a body that came in part", answer("/download", "x", { sha256: "0" }), /1 bytes came/],
    ["an event that was left out", answer("/events", "id: 2\n\n"), /event 2 came after 0/],
    ["an event that was cut off", answer("/events", "id: 1\n\nid"), /an event was cut off/],
    [
      "a reset",
      ({ url, socket }) => url === "/upload" && Boolean(socket.resetAndDestroy()),
      /no answer/,
    ],
    [
      "a cut in a body",
      ({ url = "" }, response) => {
        if (!url.startsWith("/download")) return false;
        response.writeHead(200, { "content-length": 100 });
        response.write("part", () => response.destroy());
        return true;
      },
      /the body was cut off/,
    ],
  ])("notice %s", async (_what, fault, why) => {
    const { tally } = await visit(fault, hasFailed);
    const [first] = tally.failures();
    expect(first?.why).toMatch(why);
  });

  it("notice a WebSocket that ends without a word", async () => {
    const { tally } = await visit(healthy, hasFailed, true);
    expect(tally.failures()[0]?.why).toBe("the WebSocket was closed with 1006");
  });
});
