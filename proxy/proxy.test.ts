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
});
