import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, beforeAll, expect, it } from "vitest";

import { Platform, until } from "./platform";

interface SpanRecord {
  readonly traceId: string;
  readonly name: string;
}

/** As much of OTLP/HTTP's JSON as is read here. */
interface Export {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly SpanRecord[] }[];
  }[];
}

let collector: Server;
let platform: Platform;
const spans: SpanRecord[] = [];

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export;
      for (const { scopeSpans } of resourceSpans) spans.push(...scopeSpans.flatMap((s) => s.spans));
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const { port } = collector.address() as AddressInfo;
  platform = await Platform.start({ args: ["--trace-to", `http://127.0.0.1:${port}`] });
});

afterAll(async () => {
  await platform.stop();
  collector.close();
});

it("shows a move as one trace, from its phases to the name server's change", async () => {
  const repl = await platform.deploy("examples/hello", "hello", "east");
  expect((await platform.move(repl.id, "west", "overlap")).outcome).toBe("completed");

  const trace = await until("the spans of the move arrive", () => {
    const root = spans.find(({ name }) => name === "migration.move");
    const ofMove = spans.filter(({ traceId }) => traceId === root?.traceId);
    return ofMove.some(({ name }) => name.startsWith("dns")) && ofMove;
  });
  const names = trace.map(({ name }) => name);
  for (const step of ["stage_destination", "boot_destination", "commit_placement"]) {
    expect(names).toContain(`migration.${step}`);
  }
});
