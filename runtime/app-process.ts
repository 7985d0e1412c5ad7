import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, realpathSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { REPOSITORY } from "./place";

const FIXTURES = join(REPOSITORY, "runtime", "__tests__");

/** Bundling the runtime and an application, on a busy machine. */
export const START_MS = 60_000;

export interface AppOptions {
  readonly listen?: string;
  /** Encore's infra config; without it a process hosts everything. */
  readonly infra?: object;
  readonly env?: Readonly<Record<string, string>>;
}

/** For tests: a process that runs an application without a database. */
export class AppProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  output = "";

  constructor(root: string, { listen = "127.0.0.1:0", infra, env }: AppOptions = {}) {
    const args = [join(FIXTURES, "run-app.mjs"), root, listen, JSON.stringify(infra ?? {})];
    // Under NODE_ENV=test the SDK expects a runtime that does not listen.
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, ...env, NODE_ENV: "development" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (chunk) => {
        this.output += chunk;
      });
    }
  }

  /** Waits until it listens, and gives where. */
  ready(): Promise<string> {
    return this.says(/ready (\S+)/);
  }

  /** Waits for a line of the output and gives what the pattern captures. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match !== null) return match[1] ?? "";
      const next = new Promise((resolve) => {
        this.child.stdout?.once("data", resolve);
        this.child.stderr?.once("data", resolve);
      });
      const ended = await Promise.race([next.then(() => false), this.exited.then(() => true)]);
      if (ended) throw new Error(`The application ended: ${this.output}`);
    }
  }
}

/** A copy of a fixture in a folder of its own, so that tests do not meet in it. */
export function copyFixture(name: string): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), `stele-${basename(name)}-`)));
  cpSync(join(FIXTURES, name), root, { recursive: true });
  symlinkSync(join(REPOSITORY, "node_modules"), join(root, "node_modules"));
  return root;
}
