import { createServer } from "node:net";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { Bench, get, HOST, ok, Origin } from "./scripted";

let bench: Bench;
let origin: Origin;

beforeEach(async () => {
  bench = await Bench.open({ headMs: 200, responseHeadMs: 400 });
  origin = await Origin.open();
  bench.serve(origin);
});

afterEach(() => {
  bench.close();
  origin.close();
});

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => {
    server.once("listening", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

describe("an app that fails", () => {
  it("is answered 502 when it refuses, after the route was read again and a wake", async () => {
    bench.route({ host: "127.0.0.1", port: await deadPort() });
    bench.onWake = () => "running";
    const client = await bench.client();
    client.send(get("/", "Accept: text/html\r\n"));
    const answer = await client.until("</html>\n");
    expect(answer).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(answer).toContain("Proxy-Status: stele; error=connection_refused\r\n");
    expect(answer).toContain("Content-Type: text/html");
    expect(bench.asked.map(({ kind }) => kind)).toEqual(["reread", "wake"]);
  });

  it("is not noticed when the route names a new address by then", async () => {
    bench.route({ host: "127.0.0.1", port: await deadPort() });
    bench.onReread = () => bench.serve(origin);
    origin.serve(() => ok("moved"));
    const client = await bench.client();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\nabc`);
    await client.until("moved");
  });

  it("gets a request again that its idle connection lost, if it may be repeated", async () => {
    const client = await bench.client();
    client.send(get("/1"));
    const app = await origin.accept();
    await app.head();
    app.send(ok("one"));
    await client.until("one");
    client.send(get("/2"));
    await app.head();
    app.socket.resetAndDestroy();
    const fresh = await origin.accept();
    expect(await fresh.head()).toMatch(/^GET \/2 /);
    fresh.send(ok("two"));
    await client.until("two");
  });

  it.each([
    ["a POST on a used connection", "POST", "", true],
    ["a GET on a fresh connection", "GET", "", false],
    ["a GET whose body has begun", "GET", "Content-Length: 2\r\n", true],
  ])("is answered 502 when it drops %s", async (_what, method, fields, used) => {
    const client = await bench.client();
    if (used) {
      client.send(get("/1"));
      const first = await origin.accept();
      await first.head();
      first.send(ok("one"));
      await client.until("one");
    }
    const body = fields === "" ? "" : "ab";
    client.send(`${method} / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n${body}`);
    const app = used ? (origin.wires[0] ?? (await origin.accept())) : await origin.accept();
    await app.head();
    app.socket.resetAndDestroy();
    const answer = await client.until("}\n");
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toContain("error=http_response_incomplete");
    expect(origin.wires.length).toBe(1);
  });

  it.each([
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a bad status", "HTTP/1.1 099 No\r\n\r\n"],
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
    ["a folded line", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n"],
    ["a huge head", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(70_000)}`],
    ["endless hints", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20)],
  ])("is answered 502 for %s", async (_what, response) => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    app.send(response);
    const answer = await client.until("}\n");
    expect(answer).toContain("HTTP/1.1 502 Bad Gateway\r\n");
    expect(answer).toContain("error=http_protocol_error");
    await app.end();
  });

  it("is answered 504 when it is too slow", async () => {
    const client = await bench.client();
    client.send(get("/"));
    await (await origin.accept()).head();
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 504 /);
  });

  it.each([
    ["a length", "Content-Length: 10\r\n\r\nhalf"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"],
    ["bad chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!!"],
  ])("shows as a cut connection when it stops inside %s", async (_what, rest) => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    app.send(`HTTP/1.1 200 OK\r\n${rest}`);
    await client.until("\r\n\r\n");
    app.socket.end();
    await client.end();
    expect(client.received).not.toContain("\r\n0\r\n");
  });

  it("is seen by an HTTP/1.0 visitor, who knows the end by the close alone", async () => {
    const client = await bench.client();
    let fault = "";
    client.socket.on("error", (error: NodeJS.ErrnoException) => (fault = error.code ?? ""));
    client.send(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await client.until("hello");
    app.socket.resetAndDestroy();
    await client.when("reset", () => fault === "ECONNRESET");
  });

  it("cannot slip a second response to the next visitor", async () => {
    const client = await bench.client();
    client.send(get("/1"));
    const app = await origin.accept();
    await app.head();
    app.send(`${ok("one")}${ok("smuggled")}`);
    await client.until("one");
    client.send(get("/2"));
    const fresh = await origin.accept();
    await fresh.head();
    fresh.send(ok("two"));
    expect(await client.until("two")).not.toContain("smuggled");
  });

  it("loses an idle connection on which it talks unasked", async () => {
    const client = await bench.client();
    client.send(get("/1"));
    const app = await origin.accept();
    await app.head();
    app.send(ok("one"));
    await client.until("one");
    app.send(ok("unasked"));
    await app.end();
    client.send(get("/2"));
    const fresh = await origin.accept();
    await fresh.head();
    fresh.send(ok("two"));
    expect(await client.until("two")).not.toContain("unasked");
  });
});

describe("a visitor who fails", () => {
  it.each(["FIN", "RST"])("takes its request along when it leaves with %s", async (how) => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    if (how === "RST") client.socket.resetAndDestroy();
    else client.socket.end();
    await app.end();
    await bench.when("no request in flight", () => bench.proxy.stats().inFlight === 0);
  });

  it("is told 408 when its head does not end", async () => {
    const client = await bench.client();
    client.send("GET / HT");
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 408 /);
    await client.end();
  });

  it.each([
    ["bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400],
    ["a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00", 400],
    ["a long target", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, 414],
    ["a long head", `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A: ${"a".repeat(40_000)}\r\n\r\n`, 431],
    ["many fields", `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${"A: b\r\n".repeat(200)}\r\n`, 431],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["an unknown expectation", get("/", "Expect: miracles\r\n"), 417],
    ["a huge body", get("/", "Content-Length: 99999999999\r\n"), 413],
  ])(
    "is told what is wrong with %s, and nothing after it is served",
    async (_what, text, status) => {
      const client = await bench.client();
      client.send(text + get("/canary"));
      await client.end();
      expect(client.received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(client.received.match(/HTTP\/1\.1 \d/g)?.length).toBe(1);
      expect(origin.wires.length).toBe(0);
    },
  );

  it("is told 400 when its chunks break, and the app never sees the end of the body", async () => {
    const client = await bench.client();
    client.send(
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    );
    const app = await origin.accept();
    await app.until("abc\r\n");
    client.send("3 \r\nabc\r\n0\r\n\r\n");
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 400 /);
    await app.end();
    expect(app.received).not.toContain("0\r\n");
  });
});

describe("backpressure", () => {
  const sizes = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072, 200_001];

  it.each(["length", "chunked"])(
    "survives every size round the high-water mark: %s",
    async (form) => {
      const client = await bench.client();
      origin.serve((head) => {
        const body = "x".repeat(Number(head.split(" ")[1]?.slice(1)));
        if (form === "length") return ok(body);
        const chunk = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
        return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
      });
      for (const size of [...sizes, ...sizes]) {
        client.socket.pause();
        client.send(get(`/${size}`));
        setImmediate(() => client.socket.resume());
        await client.head();
        if (form === "length") await client.bytes(size);
        else await client.until("0\r\n\r\n");
      }
      expect(origin.wires.length).toBe(1);
    },
  );

  it("stops reading a response that nobody takes", async () => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    client.socket.pause();
    const size = 64_000_000;
    app.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    app.socket.write(Buffer.alloc(size, "x"));
    await bench.when("a full pipe", () => app.socket.writableLength > 0);
    const before = app.socket.writableLength;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    expect(app.socket.writableLength).toBeGreaterThan(size / 4);
    expect(before).toBeGreaterThan(0);
    client.socket.resume();
    let taken = 0;
    client.socket.on("data", (bytes: Buffer) => {
      taken += bytes.length;
      client.received = "";
    });
    await bench.when("the whole body", () => taken >= size);
  });

  it("stops reading an upload that the app does not take, and goes on", async () => {
    const client = await bench.client();
    const size = 32_000_000;
    client.send(`PUT / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n\r\n`);
    const app = await origin.accept();
    await app.head();
    app.socket.pause();
    client.socket.write(Buffer.alloc(size, "u"));
    await bench.when("a full pipe", () => client.socket.writableLength > 0);
    app.socket.resume();
    await app.when("the whole body", (wire) => wire.received.length === size);
    app.send(ok("thanks"));
    await client.until("thanks");
  });
});
