import { createServer } from "node:net";

/** Below those that connections going out are given, and below those of apps. */
const PORTS = { first: 10_240, count: 9_000 };

/** Spreads the processes of a test run, so that two rarely ask for the same port at once. */
const SPREAD = 31;

let next = process.pid * SPREAD;

/** A port that nothing else takes until its asker does: each is given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + (next++ % PORTS.count);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "0.0.0.0", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
