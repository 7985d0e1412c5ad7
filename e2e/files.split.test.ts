import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Migration, Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

const LARGE_BYTES = 256 * 1024 * 1024;
const SMALL_FILES = 500;
/** Answers with the hash of the large file, and how many small ones there are. */
const APP = `
import { createHash } from "node:crypto";
import { createReadStream, readdirSync } from "node:fs";
import { createServer } from "node:http";
createServer(async (request, response) => {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream("large")) hash.update(chunk);
  response.end(hash.digest("hex") + " " + readdirSync("small").length);
}).listen(process.env.PORT, process.env.HOST);
`;

/** How much of a file is on its way to the newest generation that a cluster has; each has a folder of its own. */
function arriving(platform: Platform, clusterId: string, replId: string): number {
  const folder = join(platform.appsDirectory, clusterId, clusterId, replId);
  const generations = readdirSync(folder).map(Number).filter(Number.isInteger);
  const drafts = join(folder, String(Math.max(...generations)), "partial");
  return Math.max(0, ...readdirSync(drafts).map((name) => statSync(join(drafts, name)).size));
}

// Of several processes only: one copies from folder to folder, and there is no stream to break.
describe("a handoff's files, between processes that are killed", () => {
  let platform: Platform;
  let repl: Repl;
  let directory: string;
  let content: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "stele-e2e-files-"));
    writeFileSync(join(directory, "index.mjs"), APP);
    const large = Buffer.alloc(LARGE_BYTES);
    for (let at = 0; at < LARGE_BYTES; at += 512) large.writeUInt32LE(at, at);
    writeFileSync(join(directory, "large"), large);
    content = `${createHash("sha256").update(large).digest("hex")} ${SMALL_FILES}`;
    mkdirSync(join(directory, "small"));
    for (let index = 0; index < SMALL_FILES; index++) {
      writeFileSync(join(directory, "small", String(index)), String(index));
    }
    // With what an earlier move left there, hardly anything would have to come.
    platform = await Platform.start({ env: { STELE_UNDO_KEEP: "0" } });
    const created = { name: "files", owner: "demo", cluster: "east", policy: "handoff" };
    repl = await platform.api<Repl>("POST", "/v1/repls", created);
    await platform.api("PUT", `/v1/repls/${repl.id}/release`, { directory });
  });
  afterAll(async () => {
    await platform.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const homeOf = async (): Promise<string> =>
    (await platform.api<{ clusterId: string }>("GET", `/v1/repls/${repl.id}`)).clusterId;

  it.each(["nobody", "source", "destination"])("%s: all arrive", async (killed) => {
    const from = await homeOf();
    const to = from === "east" ? "west" : "east";
    const body = { replId: repl.id, to, mode: "handoff" };
    const { id } = await platform.api<Migration>("POST", "/v1/migrations", body);
    if (killed !== "nobody") {
      const pid = platform.pidOf(killed === "source" ? from : to);
      const half = async () => arriving(platform, to, repl.id) > LARGE_BYTES / 4;
      await until("a quarter has come", half, 60_000, 0);
      process.kill(pid, "SIGKILL");
    }
    const ended = await platform.finished(id);
    console.info(`figure: ${killed} killed: ${ended.outcome}, held ${ended.holdMs} ms`);
    const home = await homeOf();
    expect(home).toBe(ended.outcome === "completed" ? to : from);
    if (killed !== "destination") expect(ended.outcome).toBe("completed");
    const answer = await until("the app answers", async () => {
      const response = await get(platform.ingressOf(home), platform.httpPort, repl.host, "/");
      return response.status === 200 && response;
    });
    expect(answer.body.toString()).toBe(content);
  });
});
