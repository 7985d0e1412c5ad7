import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { parseRequestHead } from "./core/head";
import { Bench, get, HOST, ok, Origin } from "./scripted";

const RUNS = 400;
const BASES = [
  get("/a", "Accept: */*\r\nConnection: keep-alive\r\n"),
  `POST /b HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`,
  `POST /c HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n`,
  get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
  `GET http://${HOST}/d HTTP/1.0\r\nHost: ${HOST}\r\nConnection: close, x\r\n\r\n`,
];
const ODD = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  "0",
  "chunked",
  "\xff",
  "Content-Length: 3\r\n",
];

let bench: Bench;
let origin: Origin;
const seen: string[] = [];

beforeAll(async () => {
  bench = await Bench.open();
  origin = await Origin.open();
  bench.serve(origin);
  origin.serve((head) => {
    seen.push(head);
    return ok("x");
  });
});

afterAll(() => {
  bench.close();
  origin.close();
});

const mutation = fc.record({
  at: fc.nat(300),
  drop: fc.nat(6),
  insert: fc.constantFrom("", ...ODD),
});

describe("mutated requests", () => {
  it("never crash the proxy, and what reaches the app has one reading", async () => {
    const requests = fc.array(fc.constantFrom(...BASES), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(requests, fc.array(mutation, { maxLength: 4 }), async (bases, changes) => {
        let text = bases.join("");
        for (const { at, drop, insert } of changes) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + insert + text.slice(place + drop);
        }
        const client = await bench.client();
        client.send(text);
        client.socket.end();
        await client.end();
        client.destroy();
      }),
      { numRuns: RUNS, seed: 7 },
    );
    await bench.when("no request in flight", () => bench.proxy.stats().inFlight === 0);
    expect(seen.length).toBeGreaterThan(0);
    for (const head of seen) expect(typeof parseRequestHead(head.slice(0, -2))).toBe("object");
    const client = await bench.client();
    client.send(get("/alive"));
    await client.until("\r\n\r\nx");
    client.destroy();
    await bench.when("no connection", () => bench.proxy.stats().connections === 0);
  });
});
