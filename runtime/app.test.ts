import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { AppProcess, copyFixture, START_MS } from "./app-process";

let app: AppProcess;
let root: string;
let base: string;

beforeAll(async () => {
  root = copyFixture("app");
  app = new AppProcess(root);
  base = `http://${await app.ready()}`;
}, START_MS);

afterAll(() => {
  app.child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

async function ask(target: string, init: RequestInit = {}) {
  const response = await fetch(base + target, init);
  const text = await response.text();
  const body = text.startsWith("{") ? (JSON.parse(text) as unknown) : text;
  return { status: response.status, headers: response.headers, body };
}

const post = (body: unknown): RequestInit => ({ method: "POST", body: JSON.stringify(body) });

describe("a typed endpoint", () => {
  test("reads path, query and headers", async () => {
    const { status, body } = await ask("/v1/things/a%20b?limit=3&tags=x", {
      headers: { "x-key": "k" },
    });
    expect(status).toBe(200);
    expect(body).toEqual({ seen: { id: "a b", limit: 3, tags: ["x"], key: "k" } });
  });

  test("writes status and headers", async () => {
    const { status, headers, body } = await ask("/v1/orders", post({ item: "ab", count: 1 }));
    expect([status, headers.get("location"), body]).toEqual([201, "/v1/x", { item: "ab" }]);
    expect(headers.get("x-encore-trace-id")).toMatch(/^[0-9a-v]{26}$/);
  });

  test.each([
    [{ item: "a", count: 1 }, /item: length too short/],
    [{ item: "ab", count: 11 }, /count: value must be at most 10 \(got 11\)/],
    [{ item: "ab" }, /missing field count/],
  ])("refuses %j", async (order, message) => {
    const { status, body } = await ask("/v1/orders", post(order));
    expect(status).toBe(400);
    expect(body).toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(message),
    });
  });

  test("refuses a body beyond its limit", async () => {
    const { status, body } = await ask("/v1/orders", post({ item: "x".repeat(3_000_000) }));
    expect(status).toBe(400);
    expect(body).toMatchObject({ message: expect.stringMatching(/length limit exceeded/) });
  });

  test("that is private is not there", async () => {
    expect((await ask("/v1/stock/a")).status).toBe(404);
    expect((await ask("/v1/nowhere")).body).toEqual({
      code: "not_found",
      message: "endpoint not found",
      details: null,
    });
  });
});

describe("a call to another service", () => {
  test("keeps types, and each side's own request", async () => {
    expect((await ask("/v1/check/a")).body).toEqual({
      item: "stock:a",
      isDate: true,
      self: "check",
    });
  });

  test("hands an APIError over whole", async () => {
    const caught = { code: "not_found", message: "no such item", isAPIError: true };
    expect((await ask("/v1/caught/none")).body).toEqual({ ...caught, details: '{"item":"none"}' });
    expect((await ask("/v1/check/none")).status).toBe(404);
  });

  test("hides what an unexpected error says", async () => {
    const { body } = await ask("/v1/caught/broken");
    expect(body).toMatchObject({ code: "internal", message: "an internal error occurred" });
    await app.says(/the shelf fell down/);
  });
});

test("a raw endpoint streams both ways", async () => {
  const { body, headers } = await ask("/raw/a?b=1", {
    method: "POST",
    body: "x".repeat(3_000_000),
  });
  expect(body).toBe("POST /raw/a?b=1 3000000");
  expect(headers.get("content-type")).toBe("text/plain");
});

describe("authentication", () => {
  test("lets in who the handler knows", async () => {
    const { body } = await ask("/v1/me", { headers: { authorization: "Bearer good" } });
    expect(body).toEqual({ user: "ada" });
  });

  test("refuses everybody else", async () => {
    expect((await ask("/v1/me")).status).toBe(401);
    const { status, body } = await ask("/v1/me", { headers: { authorization: "Bearer bad" } });
    expect([status, body]).toEqual([
      401,
      { code: "unauthenticated", message: "bad token", details: null },
    ]);
  });
});

test("CORS is answered by the gateway", async () => {
  const { status, headers } = await ask("/v1/orders", {
    method: "OPTIONS",
    headers: { origin: "https://a.example", "access-control-request-method": "POST" },
  });
  expect(status).toBe(200);
  expect(headers.get("access-control-allow-origin")).toBe("https://a.example");
  expect(headers.get("access-control-allow-headers")).toContain("x-key");
});

test("health is told", async () => {
  expect((await ask("/__encore/healthz")).body).toMatchObject({ code: "ok" });
});

test("a taken port is one clear line", { timeout: START_MS }, async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as { port: number };
  const second = new AppProcess(root, { listen: `127.0.0.1:${port}` });
  expect(await second.exited).toBe(1);
  expect(second.output).toContain(
    `failed Cannot listen on 127.0.0.1:${port}: the port is taken by another process`,
  );
  other.close();
});

test(
  "SIGTERM waits for what is in flight, and for the lifeline",
  { timeout: START_MS },
  async () => {
    const slow = ask("/v1/slow");
    await new Promise((resolve) => setTimeout(resolve, 50));
    app.child.kill("SIGTERM");
    expect((await slow).body).toEqual({ done: true });
    expect(await app.exited).toBe(0);
    expect(app.output).toContain("drained");
  },
);
