import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { holder, mark } from "../runtime/lock";
import { type Backoff, backoffMs } from "../shared/backoff";

/** A process that is kept running. */
export interface Program {
  readonly name: string;
  /** The executable and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where its pid is written: what outlives its launcher is found by it. */
  readonly pidFile: string;
  /** While this file exists, it is not started again; a first start removes it. */
  readonly downFile: string;
  /** Whether it does its work; may reject while it does not. */
  readonly isReady: () => Promise<boolean>;
  /** From SIGTERM to SIGKILL. */
  readonly stopMs: number;
}

/** The first restart comes at once; one that dies again and again must not burn a core. */
const RESTART: Backoff = { minMs: 100, maxMs: 5_000 };
/** A process that lived so long died of something new. */
const STABLE_MS = 10_000;
const START_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 10;
const DOWN_EVERY_MS = 50;

export class Supervised {
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve("");
  #stopping = false;
  #deaths = 0;
  #startedAt = 0;

  constructor(
    readonly program: Program,
    /** Told what became of it, a line each. */
    private readonly report: (line: string) => void,
  ) {}

  /**
   * Starts it, and again whenever it ends, until `stop`.
   *
   * @throws Error when it ends before it was ready for the first time
   */
  async start(): Promise<void> {
    const { name, downFile } = this.program;
    rmSync(downFile, { force: true });
    this.#spawn();
    const ready = new AbortController();
    const isReady = this.#untilReady(ready.signal);
    const ended = this.#ended.then((how) => {
      throw new Error(`Cannot start ${name}: ${how}`);
    });
    try {
      await Promise.race([isReady, ended]);
    } finally {
      ready.abort();
    }
    ended.catch(() => {}); // From here on its end is no failed start.
    void this.#watch();
  }

  /** Ends it in order, or by force when that takes too long; says whether it was in order. */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    const child = this.#child;
    if (!child || isOver(child)) return true;
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), this.program.stopMs);
    await this.#ended;
    clearTimeout(late);
    return child.exitCode === 0;
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    this.#child?.kill("SIGKILL");
  }

  #spawn(): void {
    const { command, cwd, env, pidFile } = this.program;
    const [file, ...args] = command;
    // In a session of its own, so that Ctrl-C in the terminal reaches it by its launcher, in order.
    const child = spawn(file, args, {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    this.#startedAt = performance.now();
    if (child.pid !== undefined) writeFileSync(pidFile, mark(child.pid), { mode: 0o600 });
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) =>
        resolve(signal === null ? `it ended with ${code}` : `it was ended by ${signal}`),
      );
    });
  }

  async #watch(): Promise<void> {
    while (!this.#stopping) {
      const how = await this.#ended;
      if (this.#stopping) return;
      const isNew = performance.now() - this.#startedAt > STABLE_MS;
      this.#deaths = isNew ? 1 : this.#deaths + 1;
      const waitMs = backoffMs(this.#deaths, RESTART, Math.random());
      this.report(`${this.program.name}: ${how}; ${this.#next(waitMs)}`);
      await sleep(waitMs);
      while (this.#isDown() && !this.#stopping) await sleep(DOWN_EVERY_MS);
      if (!this.#stopping) this.#spawn();
    }
  }

  #isDown(): boolean {
    return existsSync(this.program.downFile);
  }

  #next(waitMs: number): string {
    if (this.#isDown()) return `it stays down while there is ${this.program.downFile}`;
    return `starting it again in ${waitMs} ms`;
  }

  async #untilReady(signal: AbortSignal): Promise<void> {
    const { name, isReady } = this.program;
    const giveUpAt = performance.now() + START_TIMEOUT_MS;
    while (!signal.aborted && !(await isReady().catch(() => false))) {
      if (performance.now() > giveUpAt)
        throw new Error(`Cannot start ${name}: it is not ready yet`);
      await sleep(LOOK_EVERY_MS);
    }
  }
}

/** A process whose launcher was killed drains: resolves when it has ended, which is forced at last. */
export async function endLeftover(pidFile: string, stopMs: number): Promise<void> {
  const giveUpAt = performance.now() + stopMs;
  for (let pid = holder(pidFile); pid !== null; pid = holder(pidFile)) {
    if (performance.now() > giveUpAt) process.kill(pid, "SIGKILL");
    await sleep(LOOK_EVERY_MS);
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
