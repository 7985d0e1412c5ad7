import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Platform } from "./platform";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => existsSync(path),
);
const PAGE_DEADLINE_MS = 60_000;

/** The document as the browser has it after the page's own scripts ran. */
async function documentOf(url: string): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), "stele-chromium-"));
  try {
    const { stdout } = await promisify(execFile)(
      CHROMIUM ?? "",
      [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        `--user-data-dir=${profile}`,
        "--dump-dom",
        url,
      ],
      { timeout: PAGE_DEADLINE_MS },
    );
    return stdout;
  } finally {
    rmSync(profile, { recursive: true, force: true });
  }
}

describe.skipIf(!CHROMIUM)("the examples in a browser (needs Chromium)", () => {
  let platform: Platform;

  beforeAll(async () => {
    // Browsers send *.localhost to loopback without asking anybody: east's second address serves all.
    platform = await Platform.start({
      env: { STELE_ZONE: "repl.localhost" },
      alsoAt: "127.0.0.1",
    });
    await platform.deploy("examples/hello", "hello", "east");
    await platform.deploy("examples/notes", "notes", "west");
    await platform.deploy("examples/chat", "chat", "east");
    await platform.deploy("examples/python", "python", "west");
  });
  afterAll(() => platform.stop());

  it.each([
    ["hello", /east/],
    ["notes", /<form[\s>]/],
    ["chat", /<(input|form)[\s>]/],
    ["python", /west/],
  ])("%s", async (name, expected) => {
    const url = `http://${name}.demo.repl.localhost:${platform.httpPort}/`;
    expect(await documentOf(url)).toMatch(expected);
  });
});
