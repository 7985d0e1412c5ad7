import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { type Api, openApi } from "../api-client";
import type { Context } from "../context";
import { Failure } from "../failure";

const START_MS = 60_000;
const STOP_MS = 15_000;

/** The platform that the demo uses: the one that runs, or one of its own in a temporary folder. */
export interface Platform {
  readonly api: Api;
  /** Ends it, if it was started here, and removes its folder. */
  readonly stop: () => Promise<void>;
}

export async function findOrStart(context: Context): Promise<Platform> {
  try {
    await context.api.get("/v1/live");
    return { api: context.api, stop: () => Promise.resolve() };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "not_running") throw error;
  }
  context.say("The platform is not running: starting one for the demo");
  return start(context);
}

async function start(context: Context): Promise<Platform> {
  const directory = mkdtempSync(join(tmpdir(), "stele-demo-"));
  const child = spawn(process.execPath, [join(context.root, "laptop", "start.mjs")], {
    cwd: context.root,
    env: { ...context.env, STELE_DIR: directory, STELE_TOKEN_FILE: join(directory, "token") },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: Ctrl-C ends the demo first, which then ends the platform in order.
    detached: true,
  });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    context.say(await ready(child, context.signal));
  } catch (error) {
    await stop();
    throw error;
  }
  const { address } = context.api;
  const { signal } = context;
  return { api: openApi({ address, tokenFile: join(directory, "token"), signal }), stop };
}

/** The line that says how long it took. */
function ready(child: ChildProcess, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const timeout = setTimeout(() => {
      reject(new Failure(`the platform was not ready within ${START_MS} ms`));
    }, START_MS);
    child.stdout?.on("data", (chunk) => {
      output += String(chunk);
      const line = /^.*ready in .*$/m.exec(output)?.[0];
      if (line === undefined) return;
      clearTimeout(timeout);
      resolve(line.trim());
    });
    let complaint = "";
    child.stderr?.on("data", (chunk) => (complaint += String(chunk)));
    child.on("exit", () => {
      clearTimeout(timeout);
      reject(new Failure(`the platform did not start: ${complaint.trim() || "no reason given"}`));
    });
    signal.addEventListener("abort", () => reject(new Failure("interrupted")));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  await Promise.race([gone, sleep(STOP_MS, undefined, { ref: false })]);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
}
