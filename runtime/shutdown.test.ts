import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { AppProcess, copyFixture, START_MS } from "./app-process";

let root: string;
let app: AppProcess;

beforeAll(() => {
  root = copyFixture("app");
});
afterEach(() => app.child.kill("SIGKILL"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Starts the application, whose shutdown may take 5 s. */
async function start(env: Record<string, string> = {}): Promise<string> {
  app = new AppProcess(root, { env });
  return `http://${await app.ready()}`;
}

describe("SIGTERM", () => {
  it("does not wait for connections on which nothing is asked", { timeout: START_MS }, async () => {
    const base = await start();
    const { hostname, port } = new URL(base);
    const silent = connect(Number(port), hostname);
    await once(silent, "connect");
    app.child.kill("SIGTERM");
    expect(await app.exited).toBe(0);
  });

  it("keeps the doors open for as long as the platform says", { timeout: START_MS }, async () => {
    const base = await start({ ENCORE_K8S_GRACE_TERMINATION_SECONDS: "7" });
    app.child.kill("SIGTERM");
    let health = await fetch(`${base}/__encore/healthz`);
    while (health.ok) health = await fetch(`${base}/__encore/healthz`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({
      code: "shutting_down",
      message: "Service is shutting down",
    });
    // Who has not looked at the health yet is still let in and answered.
    expect((await fetch(`${base}/v1/things/a?limit=1`, { headers: { "x-key": "k" } })).ok).toBe(
      true,
    );
    expect(await app.exited).toBe(0);
  });
});
