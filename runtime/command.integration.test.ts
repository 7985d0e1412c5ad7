import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it } from "vitest";

const HERE = join(process.cwd(), "runtime");

it("stele-runtime serves the application of its folder, and ends at Ctrl-C", async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "stele-command-")));
  cpSync(join(HERE, "__tests__", "notes"), root, { recursive: true });
  symlinkSync(join(process.cwd(), "node_modules"), join(root, "node_modules"));
  const options = ["--listen", "127.0.0.1:0", "--log", "error"];
  const child = spawn(process.execPath, [join(HERE, "stele-runtime.mjs"), ...options], {
    cwd: join(root, "notes"),
    // Under NODE_ENV=test the SDK expects a runtime that does not listen.
    env: { ...process.env, NODE_ENV: "development", DATABASE_URL: "" },
  });
  const ended = once(child, "close");
  let output = "";
  child.stderr.on("data", (data: Buffer) => (output += String(data)));
  const line = (await Promise.race([once(child.stdout, "data"), ended])).toString();
  const [, address] = /^Listening on (http:\S+); Ctrl-C stops\n$/.exec(line) ?? [];
  expect(address, line + output).toBeDefined();
  expect((await fetch(`${address}/__encore/healthz`)).status).toBe(200);
  child.kill("SIGINT");
  expect([await ended, output]).toEqual([[0, null], ""]);
  rmSync(root, { recursive: true, force: true });
});
