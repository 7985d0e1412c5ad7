import { connect, createServer } from "node:net";

import { describe, expect, it } from "vitest";

import { letIn } from "./arrivals";

describe("letIn", () => {
  it("takes a turn where nothing arrives, and ends", async () => {
    let looked = 0;
    await letIn(() => (looked++, 0), 1_000);
    expect(looked).toBeGreaterThan(1);
  });

  it("ends at its time where something always arrives", async () => {
    let count = 0;
    const startedAt = performance.now();
    await letIn(() => count++, 20);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(20);
  });

  it("lets in all who have connected", async () => {
    let accepted = 0;
    const server = createServer((socket) => {
      accepted += 1;
      socket.on("error", () => undefined).end("hello");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const clients = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
    const answers = clients.map(
      (client) =>
        new Promise<string>((resolve) => {
          let text = "";
          client.on("data", (chunk) => (text += String(chunk)));
          client.on("close", () => resolve(text)).on("error", () => undefined);
        }),
    );
    await new Promise((resolve) => clients.at(-1)?.once("connect", resolve));
    await letIn(() => accepted, 1_000);
    server.close();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["hello"]));
  });
});
