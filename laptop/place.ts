/** What can be known to be wrong before anything is started: the folder and the addresses. */
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

import { config as dnsConfig } from "../dns/settings";
import type { NewCluster } from "./clusters";
import type { Wanted } from "./ports";

/** Throws an error for the user, in one line. */
export function makeWritable(stateDir: string): void {
  try {
    makeFolder(stateDir);
    accessSync(stateDir, constants.W_OK);
  } catch (error) {
    throw new Error(`Cannot write to "${stateDir}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** With its parents. Node's own `recursive` never returns where the system denies a folder's existence. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (path !== dirname(path)) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Where the name server and the proxies are going to listen. */
export function wantedAddresses(clusters: readonly NewCluster[]): readonly Wanted[] {
  const names = dnsConfig().listen.map((at): Wanted => ({
    ...at,
    what: "the name server",
    transports: ["tcp", "udp"],
  }));
  const proxies = clusters.flatMap(({ id, listen }) =>
    listen.map((at): Wanted => {
      const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(at) ?? [];
      return { host, port: Number(port), what: `the proxy of ${id}`, transports: ["tcp"] };
    }),
  );
  return [...names, ...proxies];
}

/** The runtime's own deadline comes after that of the drains, which then end in order. */
export function shutdownSeconds(drainMs: number): number {
  return Math.ceil(drainMs / 1000) + 1;
}
