import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { Bench, get, HOST, ok, Origin } from "./scripted";

let bench: Bench;
let origin: Origin;

beforeEach(async () => {
  bench = await Bench.open();
  origin = await Origin.open();
  bench.serve(origin);
});

afterEach(() => {
  bench.close();
  origin.close();
});

describe("requests and responses", () => {
  it("passes a GET on and its answer back, with the platform's fields", async () => {
    const client = await bench.client();
    client.send(get("/a?b=c", "X-Own: 1\r\nX-Forwarded-For: 9.9.9.9\r\nStele-Foo: x\r\n"));
    const app = await origin.accept();
    const head = await app.head();
    expect(head).toMatch(/^GET \/a\?b=c HTTP\/1\.1\r\nHost: app\.demo\.repl\.test\r\nX-Own: 1\r\n/);
    expect(head).toContain("X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n");
    expect(head).toContain(`X-Forwarded-Host: ${HOST}\r\nX-Forwarded-Port: 80\r\n`);
    expect(head).toContain(`Forwarded: for=127.0.0.1;proto=http;host=${HOST}\r\n`);
    expect(head).toMatch(/\r\nX-Request-Id: [a-z0-9-]{8,64}\r\n/);
    expect(head).toMatch(/\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n/);
    expect(head).not.toMatch(/9\.9\.9\.9|stele-foo/i);
    app.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX-A: b\r\n\r\nhi");
    const answer = await client.until("hi");
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\nDate: .+GMT\r\n/);
    expect(answer).toMatch(/X-Request-Id: [a-z0-9-]+\r\n\r\nhi$/);
  });

  it("keeps both connections for the next request", async () => {
    origin.serve((head) => ok(head.split(" ")[1] as string));
    const client = await bench.client();
    for (const path of ["/1", "/2", "/3"]) {
      client.send(get(path));
      await client.until(`\r\n\r\n${path}`);
    }
    expect(origin.wires.length).toBe(1);
  });

  it("answers pipelined requests in order, however the bytes are cut", async () => {
    origin.serve((head) => ok(`<${head.split(" ")[1]}>`));
    const client = await bench.client();
    const paths = Array.from({ length: 200 }, (_, index) => `/${index}`);
    const text = paths.map((path) => get(path)).join("");
    for (let at = 0; at < text.length; at += 997) client.send(text.slice(at, at + 997));
    for (const path of paths) await client.until(`\r\n\r\n<${path}>`);
  });

  it("answers HEAD without a body, and uses the connection again", async () => {
    origin.serve((head) =>
      head.startsWith("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" : ok("next"),
    );
    const client = await bench.client();
    client.send(get("/").replace("GET", "HEAD"));
    expect(await client.head()).toContain("Content-Length: 1000\r\n");
    client.send(get("/"));
    await client.until("next");
    expect(origin.wires.length).toBe(1);
  });

  it.each([204, 304])("answers %d without a body", async (status) => {
    origin.serve((head) =>
      head.includes("/first") ? `HTTP/1.1 ${status} Nothing\r\nETag: "a"\r\n\r\n` : ok("next"),
    );
    const client = await bench.client();
    client.send(get("/first") + get("/second"));
    const head = await client.head();
    expect(head).toContain(`HTTP/1.1 ${status} Nothing`);
    expect(head).not.toMatch(/content-length|transfer-encoding/i);
    await client.until("next");
  });

  it("sends bodies of both framings up as they come", async () => {
    const client = await bench.client();
    client.send(`POST /l HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\n01234`);
    const app = await origin.accept();
    expect(await app.head()).toContain("Content-Length: 10\r\n");
    await app.until("01234");
    client.send("56789");
    await app.until("56789");
    app.send(ok("a"));
    await client.until("\r\n\r\na");
    client.send(`POST /c HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    expect(await app.head()).toContain("Transfer-Encoding: chunked\r\n");
    client.send("5;ext=1\r\nhello\r\n00A\r\n0123456789\r\n");
    expect(await app.until("0123456789\r\n")).toBe("5\r\nhello\r\na\r\n0123456789\r\n");
    client.send("0\r\nX-Sum: 1\r\nContent-Length: 5\r\nHost: evil\r\n\r\n");
    expect(await app.until("\r\n\r\n")).toBe("0\r\nX-Sum: 1\r\n\r\n");
    app.send(ok("b"));
    await client.until("\r\n\r\nb");
    expect(origin.wires.length).toBe(1);
  });

  it("passes chunked responses on with their trailers, without extensions", async () => {
    const client = await bench.client();
    client.send(get("/", "TE: trailers, deflate\r\n"));
    const app = await origin.accept();
    expect(await app.head()).toContain("\r\nTE: trailers\r\nConnection: TE\r\n");
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
    expect(await client.head()).toMatch(/Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n/);
    app.send("3\r\none\r\n");
    await client.until("3\r\none\r\n");
    app.send("3;x=y\r\ntwo\r\n0\r\nX-Sum: 7\r\nSet-Cookie: no\r\n\r\n");
    expect(await client.until("0\r\nX-Sum: 7\r\n\r\n")).toBe("3\r\ntwo\r\n0\r\nX-Sum: 7\r\n\r\n");
    client.send(get("/again"));
    await app.head();
  });

  it("chunks a body that only the end of the connection ends", async () => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello");
    expect(await client.head()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Transfer-Encoding: chunked/s);
    await client.until("5\r\nhello\r\n");
    app.socket.end(" end");
    await client.until("4\r\n end\r\n0\r\n\r\n");
    client.send(get("/next"));
    await (await origin.accept()).head();
  });

  it("unchunks for HTTP/1.0, and closes", async () => {
    const client = await bench.client();
    client.send(`GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    const app = await origin.accept();
    expect(await app.head()).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
    app.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    await client.end();
    expect(client.received).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n\r\nabc$/s);
    expect(client.received).not.toContain("chunked");
  });

  it("keeps an HTTP/1.0 connection that asks for it", async () => {
    origin.serve(() => ok("x"));
    const client = await bench.client();
    for (let round = 0; round < 2; round++) {
      client.send(`GET / HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\n\r\n`);
      expect(await client.until("\r\n\r\nx")).toContain("Connection: keep-alive\r\n");
    }
  });

  it("passes 100-continue and early hints back, and the body only then", async () => {
    const client = await bench.client();
    client.send(
      `PUT / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
    );
    const app = await origin.accept();
    expect(await app.head()).toContain("Expect: 100-continue\r\n");
    app.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    expect(await client.until("100 Continue\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink/,
    );
    client.send("body");
    await app.until("body");
    app.send(ok("done"));
    await client.until("done");
  });

  it("closes after a final answer to an expectation, since a body may follow or not", async () => {
    const client = await bench.client();
    client.send(
      `PUT / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
    );
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    expect(await client.head()).toContain("Connection: close\r\n");
    await client.end();
  });

  it("passes an early answer to an upload, then closes so that it is seen", async () => {
    const client = await bench.client();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100000000\r\n\r\nxxxx`);
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno");
    await client.until("\r\n\r\nno");
    client.send("more".repeat(1000));
    await client.end();
    await app.end();
  });

  it("lets an app answer while it still reads", async () => {
    const client = await bench.client();
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 6\r\n\r\nabc`);
    const app = await origin.accept();
    await app.until("abc");
    app.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nABC");
    await client.until("ABC");
    client.send("def");
    await app.until("def");
    app.send("DEF");
    await client.until("DEF");
    client.send(get("/again"));
    await app.head();
  });

  it("passes each event on in the turn in which it came", async () => {
    const client = await bench.client();
    client.send(get("/events"));
    const app = await origin.accept();
    await app.head();
    app.send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    await client.head();
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      app.send(`${event.length.toString(16)}\r\n${event}\r\n`);
      await client.until(event);
    }
  });

  it("answers OPTIONS * itself, and 405 to what is not forwarded", async () => {
    const client = await bench.client();
    client.send(`OPTIONS * HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(await client.head()).toMatch(/^HTTP\/1\.1 204 No Content\r\nAllow: GET, /);
    client.send(`TRACE / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 405 .*Allow: GET/s);
    await client.end();
    expect(origin.wires.length).toBe(0);
  });

  it("does not let one repl's pool serve another that got its port", async () => {
    origin.serve(() => ok("x"));
    const client = await bench.client();
    client.send(get("/"));
    await client.until("\r\n\r\nx");
    bench.route({});
    bench.route({ replId: "other", name: "other", host: "127.0.0.1", port: origin.port });
    client.send(get("/").replace("app.", "other."));
    await client.until("\r\n\r\nx");
    expect(origin.wires.length).toBe(2);
    await origin.wires[0]?.end();
  });
});
