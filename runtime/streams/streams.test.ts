import { rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { AppProcess, copyFixture, START_MS } from "../app-process";

const SECRET = "a key that the processes share";

let root: string;
let app: AppProcess;
let address: string;

beforeAll(async () => {
  root = copyFixture("streams");
  app = new AppProcess(root, { env: { NODE_OPTIONS: "--expose-gc" } });
  address = await app.ready();
}, START_MS);

afterAll(() => {
  app.child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

interface Options {
  readonly protocols?: string[];
  readonly headers?: Record<string, string>;
  readonly at?: string;
}

/** A client that notes everything. */
class Client {
  readonly socket: WebSocket;
  readonly got: unknown[] = [];
  /** Code and reason, or the status and body of a refusal. */
  readonly ended: Promise<readonly [number, unknown]>;
  #more: () => void = () => {};

  constructor(path: string, { protocols = [], headers = {}, at = address }: Options = {}) {
    this.socket = new WebSocket(`ws://${at}${path}`, protocols, { headers });
    this.socket.on("message", (data: Buffer) => {
      this.got.push(JSON.parse(data.toString()));
      this.#more();
    });
    this.socket.on("error", () => {});
    this.ended = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve([code, reason.toString()]));
      this.socket.once("unexpected-response", (_, answer) => {
        let text = "";
        answer.on("data", (chunk) => (text += chunk));
        answer.once("end", () => resolve([answer.statusCode ?? 0, JSON.parse(text)]));
      });
    });
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  async has(count: number): Promise<void> {
    while (this.got.length < count) await new Promise<void>((resolve) => (this.#more = resolve));
  }
}

const headersProtocol = (headers: object): string =>
  `encore.dev.headers.${Buffer.from(JSON.stringify(headers)).toString("base64url")}`;

const post = (path: string): Promise<Response> =>
  fetch(`http://${address}${path}`, { method: "POST" });

const LAST_REQUEST = "GET /__encore/healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/** What a raw request gets within its connection. */
function raw(text: string): Promise<string> {
  return new Promise((resolve) => {
    const [host, port] = address.split(":");
    const socket = connect(Number(port), host as string, () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => (answer += chunk));
    socket.on("close", () => resolve(answer));
  });
}

describe("a stream", () => {
  it("goes both ways, by its schemas", async () => {
    const client = new Client("/echo/a%20b?count=2", { headers: { "x-key": "k" } });
    await client.has(1);
    client.send({ text: "one" });
    client.send({ text: "two", at: "2026-01-02T03:04:05Z", more: 1 });
    client.send({ text: "end" });
    expect(await client.ended).toEqual([1005, ""]);
    expect(JSON.parse((client.got[0] as { text: string }).text)).toEqual({
      room: "a b",
      count: 2,
      key: "k",
    });
    const texts = client.got.slice(1).map((message) => (message as { text: string }).text);
    expect(texts).toEqual(["one", "2026-01-02T03:04:05.000Z", "end"]);
  });

  it("passes over what it cannot read", async () => {
    const client = new Client("/sum");
    await new Promise((resolve) => client.socket.once("open", resolve));
    for (const message of ["{", "", '{"n":"1"}', "[]", '{"n":2}', '{"m":1}', '{"n":0}']) {
      client.send(message);
    }
    expect(await client.ended).toEqual([1005, ""]);
    expect(client.got).toEqual([{ total: 2 }]);
    await expect
      .poll(() => app.output, { timeout: 5_000 })
      .toMatch(/failed to parse incoming message.*expected a number/);
  });

  it("loses nothing when it ends at once", async () => {
    const count = 20_000;
    const client = new Client(`/burst?n=${count}`);
    expect(await client.ended).toEqual([1005, ""]);
    expect(client.got).toEqual(Array.from({ length: count }, (_, i) => ({ i })));
  });

  it("shows the request as Encore does", async () => {
    const client = new Client("/about?x=1");
    await client.ended;
    expect(JSON.parse((client.got[0] as { text: string }).text)).toMatchObject({
      type: "api-call",
      api: { service: "line", endpoint: "about", raw: false, auth: false },
      method: "",
      path: "/about",
      pathAndQuery: "/about?x=1",
      headers: {},
    });
  });

  it.each([
    ["fail", "out_of_range: too far"],
    ["break", "internal: an internal error occurred"],
  ])("that fails (%s) is closed with the reason", async (text, reason) => {
    const client = new Client("/echo/a");
    await client.has(1);
    client.send({ text });
    expect(await client.ended).toEqual([1011, reason]);
  });

  it("lives as long as somebody holds it", { timeout: 20_000 }, async () => {
    const client = new Client("/keep");
    await new Promise((resolve) => client.socket.once("open", resolve));
    while (client.got.length === 0) await post("/poke");
    let isOver = false;
    void client.ended.then(() => (isOver = true));
    expect(isOver).toBe(false);
    while (!isOver) await post("/forget");
    expect(await client.ended).toEqual([1005, ""]);
  });
});

describe("a handshake", () => {
  it.each([
    ["/echo/a?count=x", 400, "unable to decode query string: count: expected a number, got x"],
    ["/burst", 400, "unable to decode query string: missing field n"],
    ["/hidden?n=1", 404, "endpoint not found"],
    ["/nowhere", 404, "endpoint not found"],
    ["/mine", 401, "the request does not have valid authentication credentials for the operation"],
  ])("%s is refused with %s", async (path, status, message) => {
    expect(await new Client(path).ended).toEqual([status, expect.objectContaining({ message })]);
  });

  it("says who is there, in a header or in a subprotocol", async () => {
    const authorization = "Bearer good";
    const protocols = ["encore-ws", headersProtocol({ authorization })];
    for (const options of [{ headers: { authorization } }, { protocols }]) {
      const client = new Client("/mine", options);
      await client.ended;
      expect(client.got).toEqual([{ text: "ada" }]);
    }
    const bad = new Client("/mine", { headers: { authorization: "Bearer bad" } });
    expect(await bad.ended).toEqual([401, expect.objectContaining({ message: "bad token" })]);
  });

  it("negotiates Encore's subprotocol, and carries the gateway's headers", async () => {
    const client = new Client("/about", { protocols: ["other", "encore-ws"] });
    const [answer] = await Promise.all([
      new Promise<{ headers: Record<string, string> }>((resolve) => {
        client.socket.once("upgrade", (message) => resolve(message as never));
      }),
      client.ended,
    ]);
    expect(client.socket.protocol).toBe("encore-ws");
    expect(answer.headers["x-encore-trace-id"]).toMatch(/^[0-9a-v]{26}$/);
    expect(answer.headers["access-control-expose-headers"]).toContain("x-encore-trace-id");
  });

  const handshake = (lines: string[]): string =>
    ["GET /about HTTP/1.1", "Host: h", ...lines, "", ""].join("\r\n");
  const upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
  const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";

  it.each([
    [["Connection: close"], "Connection header did not include 'upgrade'"],
    [["Connection: upgrade, close"], "`Upgrade` header did not include 'websocket'"],
    [["Connection: upgrade", "Upgrade: h2c"], "`Upgrade` header did not include 'websocket'"],
    [[...upgrade, key], "`Sec-WebSocket-Version` header did not include '13'"],
    [[...upgrade, "Sec-WebSocket-Version: 13"], "`Sec-WebSocket-Key` header missing"],
    [
      [...upgrade, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"],
      "the `Sec-WebSocket-Key` header is not 16 bytes in Base64",
    ],
  ])("with %j is told what is missing", async (lines, message) => {
    const isLast = lines.some((line) => line.includes("close"));
    const answer = await raw(handshake(lines) + (isLast ? "" : LAST_REQUEST));
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain(`"code":"invalid_argument","message":"${message}`);
    // The connection can be used further.
    if (!isLast) expect(answer).toContain('"code":"ok"');
  });

  it("that nobody asked for is passed over, body and all", async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c" };
      const [host, port] = address.split(":");
      const options = { host, port, method: "POST", path: "/plain", headers };
      const request = httpRequest(options, (response) => {
        let text = "";
        response.on("data", (chunk) => (text += chunk));
        response.once("end", () => resolve(text));
      });
      request.once("error", reject);
      request.write("x".repeat(100_000));
      request.end("y");
    });
    expect(answer).toBe("h2c 100001");
  });
});

describe("a side that is slow", () => {
  const sent = (): number => Number([...app.output.matchAll(/sent (\d+)/g)].at(-1)?.[1] ?? 0);

  it("holds up a handler that awaits its messages", { timeout: 20_000 }, async () => {
    const client = new Client("/flood?awaits=true");
    await client.has(1);
    client.socket.pause();
    let before = -1;
    // Held up when two reports in a row say the same.
    while (sent() !== before || before <= 0) {
      before = sent();
      const { length } = app.output;
      while (!/sent \d+\n/.test(app.output.slice(length))) await app.says(/./).then(pause);
    }
    client.socket.resume();
    await client.has(before + 100);
    client.socket.terminate();
    await app.says(/flood ended: (channel closed)/);
  });

  it("is cut off where the handler does not", { timeout: 20_000 }, async () => {
    const { length } = app.output;
    const client = new Client("/flood?awaits=false");
    client.socket.once("open", () => client.socket.pause());
    while (!/flood ended: Cannot send/.test(app.output.slice(length))) await pause();
    client.socket.resume();
    expect((await client.ended)[0]).toBe(1006);
  });

  it("that is a handler holds up its client", { timeout: 20_000 }, async () => {
    const client = new Client("/deaf");
    await client.has(1);
    const message = JSON.stringify({ text: "x".repeat(64 * 1024) });
    // More than the systems' buffers and the waiting messages hold.
    for (let count = 0; count < 500; count++) client.socket.send(message);
    let before = -1;
    while (client.socket.bufferedAmount !== before) {
      before = client.socket.bufferedAmount;
      for (let turn = 0; turn < 20; turn++) await pause();
    }
    expect(before).toBeGreaterThan(1024 * 1024);
    client.socket.terminate();
  });

  it("may not send a message without end", async () => {
    const client = new Client("/sum");
    await new Promise((resolve) => client.socket.once("open", resolve));
    client.send("x".repeat(16 * 1024 * 1024 + 1));
    expect((await client.ended)[0]).toBe(1009);
  });
});

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

const USES: readonly (readonly [string, unknown[]])[] = [
  ["out", [{ i: 0 }, { i: 1 }, { i: 2 }]],
  ["in", [{ total: 3 }]],
  [
    "both",
    [
      { text: '{"key":"k","count":2,"room":"a b"}' },
      { text: "1970-01-01T00:00:00.000Z" },
      { text: "end" },
    ],
  ],
  ["mine", [{ text: "ada" }]],
  ["fail", [{ text: '{"room":"a"}' }, "websocket client receive channel closed"]],
  [
    "wrong",
    [
      "failed to make api call: invalid_argument: unable to decode query string: n: expected a number, got many",
    ],
  ],
];

async function use(what: string, at: string): Promise<unknown> {
  const headers = { authorization: "Bearer good" };
  const response = await fetch(`http://${at}/use/${what}`, { headers });
  return ((await response.json()) as { got: unknown[] }).got;
}

describe("a service", () => {
  it.each(USES)("streams to another in its process: %s", async (what, got) => {
    expect(await use(what, address)).toEqual(got);
  });

  it("needs a caller where the stream does", async () => {
    const response = await fetch(`http://${address}/use/mine`);
    expect(await response.json()).toEqual({
      got: ["failed to make api call: unauthenticated: endpoint requires auth but none provided"],
    });
  });
});

describe("in two processes", () => {
  let line: AppProcess;
  let front: AppProcess;
  let at: string;

  beforeAll(async () => {
    const metadata = { app_id: "streams", env_name: "test", env_type: "test", cloud: "local" };
    const common = { metadata, auth: [{ type: "key", id: 1, key: SECRET }] };
    line = new AppProcess(root, {
      infra: { ...common, hosted_services: ["line"], hosted_gateways: [] },
    });
    const base_url = `http://${await line.ready()}`;
    front = new AppProcess(root, {
      infra: {
        ...common,
        hosted_services: ["hub", "gate"],
        hosted_gateways: ["api-gateway"],
        service_discovery: { line: { base_url } },
        cors: {},
      },
    });
    at = await front.ready();
  }, START_MS);

  afterAll(() => {
    line.child.kill("SIGKILL");
    front.child.kill("SIGKILL");
  });

  it.each(USES)("a service streams to another: %s", async (what, got) => {
    expect(await use(what, at)).toEqual(got);
  });

  it("the gateway joins a client with the service", async () => {
    const authorization = "Bearer good";
    const options = { at, protocols: ["encore-ws", headersProtocol({ authorization })] };
    const mine = new Client("/mine", options);
    expect(await mine.ended).toEqual([1005, ""]);
    expect(mine.got).toEqual([{ text: "ada" }]);
    const burst = new Client("/burst?n=5000", { at });
    await burst.ended;
    expect(burst.got).toHaveLength(5000);
    const echo = new Client("/echo/a", { at });
    await echo.has(1);
    echo.send({ text: "fail" });
    expect(await echo.ended).toEqual([1011, "out_of_range: too far"]);
  });

  it.each([
    ["/burst", 400, "unable to decode query string: missing field n"],
    ["/hidden?n=1", 404, "endpoint not found"],
  ])("the service's refusal of %s arrives", async (path, status, message) => {
    const client = new Client(path, { at });
    expect(await client.ended).toEqual([status, expect.objectContaining({ message })]);
  });

  it("a stranger does not reach the service's private streams", async () => {
    const client = new Client("/hidden?n=1", { at: await line.ready() });
    expect((await client.ended)[0]).not.toBe(1005);
    expect(client.got).toEqual([]);
  });

  it("the gateway's end closes them", { timeout: 20_000 }, async () => {
    const echo = new Client("/echo/a", { at });
    await echo.has(1);
    front.child.kill("SIGTERM");
    expect(await echo.ended).toEqual([1001, "the service is shutting down"]);
    expect(await front.exited).toBe(0);
  });
});

// The last test: it ends the application.
it(
  "the process's end closes every stream, and handlers say their last",
  { timeout: 20_000 },
  async () => {
    const last = new Client("/last");
    const deaf = new Client("/deaf");
    const keep = new Client("/keep");
    await Promise.all([
      new Promise((resolve) => last.socket.once("open", resolve)),
      new Promise((resolve) => keep.socket.once("open", resolve)),
      deaf.has(1),
    ]);
    last.send({ text: "a" });
    last.send({ text: "b" });
    // On one connection after the messages: what it is answered has seen them go before.
    await new Promise((resolve) => {
      last.socket.once("pong", resolve);
      last.socket.ping();
    });
    const slow = new Client("/deaf");
    await slow.has(1);
    // A client that answers no close is not waited for.
    slow.socket.pause();
    app.child.kill("SIGTERM");
    expect(await last.ended).toEqual([1005, ""]);
    expect(last.got).toEqual([{ text: "heard 2" }]);
    const goingAway = [1001, "the service is shutting down"];
    expect(await deaf.ended).toEqual(goingAway);
    expect(await keep.ended).toEqual(goingAway);
    expect(await app.exited).toBe(0);
    slow.socket.resume();
  },
);
