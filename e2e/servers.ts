/** The PostgreSQL servers of a platform that has one for each that its configs name, stopped and started. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type PostgresServer, startPostgres } from "../runtime/postgres/postgres";
import { isAlive, type Platform, until } from "./platform";

export class Servers {
  readonly #platform: Platform;
  readonly #started: PostgresServer[] = [];

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Ends it with all its connections, as a machine that is shut down does. */
  async stop(name: string): Promise<void> {
    const pidFile = join(this.#dirOf(name), "data", "postmaster.pid");
    const pid = Number(readFileSync(pidFile, "utf8").split("\n", 1)[0]);
    process.kill(pid, "SIGINT");
    await until(`${name} ends`, () => !isAlive(pid));
  }

  async start(name: string): Promise<void> {
    const dir = this.#dirOf(name);
    const passwordFile = join(this.#platform.stateDir, "servers", "password");
    const password = readFileSync(passwordFile, "utf8").trim();
    const options = { dataDir: join(dir, "data"), socketDir: join(dir, "s"), password };
    this.#started.push(await startPostgres(options));
  }

  /** Ends those that were started here. */
  async end(): Promise<void> {
    for (const server of this.#started) await server.stop();
  }

  #dirOf(name: string): string {
    return join(this.#platform.stateDir, "servers", name, "pg");
  }
}
