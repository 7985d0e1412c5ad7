import { afterEach, expect, it } from "vitest";

import { listenMetrics, type MetricsListener } from "./listen-metrics";

let listener: MetricsListener | undefined;
afterEach(async () => {
  await listener?.close();
  listener = undefined;
});

async function urlOf(render: () => Promise<string>): Promise<string> {
  listener = await listenMetrics({ host: "127.0.0.1", port: 0 }, render);
  return `http://127.0.0.1:${listener.address.port}`;
}

it("answers GET /metrics and nothing else", async () => {
  const url = await urlOf(async () => "up 1\n");
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await answer.text()).toBe("up 1\n");
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metrics/more`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
});

it("says so when there are no metrics", async () => {
  const url = await urlOf(() => Promise.reject(new Error("none")));
  expect((await fetch(`${url}/metrics`)).status).toBe(500);
});

it("says that its port is taken", async () => {
  await urlOf(async () => "");
  const again = listenMetrics(listener!.address, async () => "");
  await expect(again).rejects.toThrow(/EADDRINUSE/);
});
