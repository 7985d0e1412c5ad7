import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";

import { NO_AUTH } from "./service-auth";
import type { ServiceLocation } from "./service-directory";
import { Upstreams } from "./upstream";

const upstreams = new Upstreams();
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

interface Service {
  readonly location: ServiceLocation;
  readonly sockets: Socket[];
  /** Methods and paths, as they came. */
  readonly asked: string[];
}

/** @param cuts how many requests on a connection that has been used are answered by its end */
async function serve(basePath = "", cuts = 0): Promise<Service> {
  const sockets: Socket[] = [];
  const asked: string[] = [];
  const used = new WeakSet<Socket>();
  let left = cuts;
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (used.has(request.socket) && left > 0) {
      left -= 1;
      request.socket.resetAndDestroy();
      return;
    }
    used.add(request.socket);
    request.resume();
    response.end("ok");
  });
  server.on("connection", (socket) => sockets.push(socket));
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const baseUrl = new URL(`http://127.0.0.1:${port}${basePath}`);
  return { location: { service: "back", baseUrl, auth: NO_AUTH }, sockets, asked };
}

async function ask(location: ServiceLocation, method: string, body = ""): Promise<number> {
  const answer = await upstreams.request(location, {
    method,
    pathAndQuery: "/a?b=c",
    headers: {},
    isEmpty: body === "",
    send: (request) => request.end(body),
  });
  await answer.toArray();
  return answer.statusCode ?? 0;
}

test("keeps its connections", async () => {
  const { location, sockets } = await serve();
  for (let count = 0; count < 10; count += 1) await ask(location, "POST", "x");
  expect(sockets).toHaveLength(1);
});

test("knows a base URL with a path", async () => {
  const { location, asked } = await serve("/base/");
  await ask(location, "GET");
  expect(asked).toEqual(["GET /base/a?b=c"]);
});

test("asks again, once, when a kept connection was closed, and only what may be asked twice", async () => {
  const once = await serve("", 1);
  expect(await ask(once.location, "GET")).toBe(200);
  expect(await ask(once.location, "GET")).toBe(200);
  expect(once.asked).toHaveLength(3);

  const posted = await serve("", 1);
  await ask(posted.location, "GET");
  await expect(ask(posted.location, "POST")).rejects.toMatchObject({ code: "unavailable" });
  expect(posted.asked).toHaveLength(2);
});

test("says what could not be reached, to the log alone", async () => {
  const { location } = await serve();
  servers.splice(0).forEach((server) => server.close());
  await expect(ask(location, "GET")).rejects.toMatchObject({
    code: "unavailable",
    message: "the service is currently unavailable",
    internalMessage: expect.stringMatching(
      /^Cannot reach service "back" at http:\/\/127.0.0.1:\d+: connect ECONNREFUSED/,
    ),
  });
});
