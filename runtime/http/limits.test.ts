import { connect, type Socket } from "node:net";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { sendFailure, sendJson } from "./answers";
import { failureOf } from "./errors";
import { readBody } from "./http-request";
import { LIMITS, type Limits } from "./limits";
import { Listener, type Answering } from "./listener";

const BODY_IDLE_MS = 40;

/** Says which path was asked, a turn of the event loop later, or what was sent to `/body`. */
const echo: Answering = {
  isGateway: true,
  leadsToStream: () => false,
  answer: async ({ path, message }, response) => {
    if (path === "/body") {
      const body = readBody(message, 10, BODY_IDLE_MS);
      return body.then(
        (text) => sendJson(response, 200, text),
        (error: Error) => sendFailure(response, failureOf(error)),
      );
    }
    await new Promise((resolve) => setImmediate(resolve));
    sendJson(response, 200, JSON.stringify(path));
  },
};

let listener: Listener;
let port: number;
const sockets: Socket[] = [];

async function listen(limits: Partial<Limits> = {}): Promise<void> {
  listener = new Listener({ appId: "a", envName: "b" }, echo, { ...LIMITS, ...limits });
  port = Number((await listener.listen("127.0.0.1", 0)).split(":")[1]);
}

beforeEach(() => listen());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  listener.destroy();
  await listener.close();
});

function open(): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  sockets.push(socket);
  return socket;
}

/** Everything that the server says until it ends the connection. */
function said(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  return new Promise((resolve) => socket.once("close", () => resolve(text)));
}

function ask(text: string): Promise<string> {
  const socket = open();
  const answer = said(socket);
  socket.end(text, "latin1");
  return answer;
}

const bodies = (answers: string): string[] =>
  answers
    .split(/HTTP\/1\.1 /)
    .slice(1)
    .map((one) => `${one.slice(0, 3)} ${one.split("\r\n\r\n")[1]}`);

describe("a request that is none", () => {
  it.each([
    ["FOO / HTTP/1.1\r\n\r\n", /^400 \{"code":"invalid_argument","message":"invalid method"/],
    ["CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", /^405 $/],
    ["GET /\r\n\r\n", /^400 $/],
    ["GET / HTTP/1.1\r\nno colon\r\n\r\n", /^400 $/],
    [`GET / HTTP/1.1\r\n${"a:\r\n".repeat(93)}\r\n`, /^431 $/],
    [`GET / HTTP/1.1\r\na: ${"a".repeat(70_000)}\r\n\r\n`, /^431 $/],
    ["POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", /^400 $/],
    ["POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na", /^400 $/],
  ])("%j is told so", async (text, expected) => {
    const answers = bodies(await ask(text));
    expect(answers).toEqual([expect.stringMatching(expected)]);
  });

  it("costs nothing to those before it on its connection", async () => {
    const answers = bodies(
      await ask("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nnonsense\r\n\r\n"),
    );
    expect(answers).toEqual(['200 "/a"', '200 "/b"']);
  });
});

describe("a request that others would refuse", () => {
  it.each([
    ["GET /a HTTP/1.1\r\n\r\n", '200 "/a"'],
    ["GET /a#b HTTP/1.1\r\n\r\n", '200 "/a"'],
    ["GET /a HTTP/1.0\r\n\r\n", '200 "/a"'],
    ["GET /a HTTP/1.1\r\nexpect: magic\r\n\r\n", '200 "/a"'],
    ["GET /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", '200 "/a"'],
    [`GET /a HTTP/1.1\r\n${"a:\r\n".repeat(92)}\r\n`, '200 "/a"'],
  ])("%j is answered, as Encore does", async (text, expected) => {
    expect(bodies(await ask(text))).toEqual([expected]);
  });
});

describe("what a stranger may take", () => {
  it("is so many connections", async () => {
    listener.destroy();
    await listener.close();
    await listen({ connections: 2 });
    const [first, second] = [open(), open()];
    await Promise.all(
      [first, second].map((one) => new Promise((done) => one.once("connect", done))),
    );
    expect(await ask("GET /a HTTP/1.1\r\n\r\n")).toBe("");
    const closed = said(first);
    first.end("GET /b HTTP/1.1\r\n\r\n");
    expect(bodies(await closed)).toEqual(['200 "/b"']);
    expect(bodies(await ask("GET /c HTTP/1.1\r\n\r\n"))).toEqual(['200 "/c"']);
  });

  it("is so long for a head", async () => {
    listener.destroy();
    await listener.close();
    await listen({ headMs: 50, sweepMs: 20 });
    const socket = open();
    socket.write("GET /a HTTP/1.1\r\nx: ");
    expect(bodies(await said(socket))).toEqual(["408 "]);
  });

  it("is so long for the next part of a body, and so much of one", async () => {
    const post = (length: number): string =>
      `POST /body HTTP/1.1\r\ncontent-length: ${length}\r\n\r\n`;
    const socket = open();
    const answers = said(socket);
    socket.write(`${post(5)}hello${post(11)}hello again${post(10)}hello`);
    socket.on("data", (chunk) => void (String(chunk).includes("nothing came") && socket.end()));
    expect(bodies(await answers)).toEqual([
      "200 hello",
      expect.stringMatching(/^400 .*length limit exceeded/),
      expect.stringMatching(/^400 .*nothing came for 40 ms/),
    ]);
  });

  it("is so much of a body that nobody reads", async () => {
    listener.destroy();
    await listener.close();
    await listen({ unreadBytes: 100_000 });
    const socket = open();
    const answer = said(socket);
    socket.write("POST /a HTTP/1.1\r\ncontent-length: 9000000\r\n\r\n");
    const more = (): void => {
      while (socket.writable && socket.write(Buffer.alloc(10_000)));
    };
    socket.on("drain", more);
    more();
    expect(bodies(await answer)).toEqual(['200 "/a"']);
  });

  it("leaves the connection in step when the body is short", async () => {
    const text = "POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n";
    expect(bodies(await ask(text))).toEqual(['200 "/a"', '200 "/b"']);
  });
});
