import { isMainThread } from "node:worker_threads";

import { appMeta } from "encore.dev";
import log from "encore.dev/log";

import { backoffMs } from "./backoff";
import { milliseconds } from "./settings";

/** A service with listeners or sweeps of its own: what to start, and how to end it well. */
export interface Hosted {
  readonly service: string;
  readonly start: () => Promise<void>;
  /** Accept nothing new, finish what runs, until `deadlineMs` from now. Makes no typed call. */
  readonly drain: (deadlineMs: number) => Promise<void>;
  /** Services of this process that must have drained before this one begins to. */
  readonly drainAfter?: readonly string[];
  /** Calls the service's own private `lifeline` endpoint, which answers when `untilDrained` resolves. */
  readonly lifeline: () => Promise<void>;
}

const LIFELINE_RETRY = { minMs: 20, maxMs: 1_000 };
const DEFAULT_DRAIN = "3s";
const MAX_DRAIN_MS = 600_000;

const draining = deferred();
const drained = new Map<string, ReturnType<typeof deferred>>();
const readiness = new Map<string, () => Promise<string | null>>();
let shuttingDown = false;

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Whether this process runs that service: modules of every service load in every process. */
export function isHosted(service: string): boolean {
  if (!isMainThread || process.env.NODE_ENV === "test") return false;
  return service in appMeta().deploy.hostedServices;
}

/** How long a drain may take; one setting for every service (design section 3). */
export function drainMs(): number {
  return milliseconds(0, MAX_DRAIN_MS)(process.env.STELE_SHUTDOWN_DRAIN_MS ?? DEFAULT_DRAIN);
}

/** Starts a service's own listeners and sweeps, if it is hosted here, and drains them on SIGTERM or SIGINT. */
export function host(hosted: Hosted): void {
  const { service } = hosted;
  if (!isHosted(service)) return;
  drained.set(service, deferred());
  process.once("SIGTERM", beginShutdown);
  process.once("SIGINT", beginShutdown);
  void draining.promise.then(() => drainOne(hosted));
  hosted.start().catch((error: unknown) => {
    log.error(error, "cannot start a service", { service });
  });
  void keepLifeline(hosted);
}

/** Resolves when the process was told to end: long polls answer then. */
export function untilShutdown(): Promise<void> {
  return draining.promise;
}

/** From SIGTERM on typed calls may fail, and that is no news. */
export function isShuttingDown(): boolean {
  return shuttingDown;
}

/** Resolves when the service's drain is over; at once where it is not hosted. For `lifeline` endpoints. */
export function untilDrained(service: string): Promise<void> {
  return drained.get(service)?.promise ?? Promise.resolve();
}

function beginShutdown(): void {
  shuttingDown = true;
  draining.resolve();
}

async function drainOne({ service, drain, drainAfter = [] }: Hosted): Promise<void> {
  await Promise.all(drainAfter.map(untilDrained));
  try {
    await drain(drainMs());
  } catch (error) {
    log.error(error, "cannot drain a service", { service });
  } finally {
    drained.get(service)?.resolve();
  }
}

/**
 * Encore ends a process as soon as its own requests are answered (encore-contract I.l 1). A request to
 * ourselves that stays pending keeps it until our listeners are drained too.
 */
async function keepLifeline({ service, lifeline }: Hosted): Promise<void> {
  for (let attempt = 1; !shuttingDown; attempt++) {
    try {
      await lifeline();
      return;
    } catch (error) {
      // The API server may not listen yet while modules load.
      if (attempt === 10) log.warn("cannot hold the lifeline", { service, reason: String(error) });
      await new Promise((resolve) => {
        setTimeout(resolve, backoffMs(attempt, LIFELINE_RETRY, Math.random()));
      });
    }
  }
}

/** `check` answers null when ready, or the reason why not. */
export function registerReadiness(name: string, check: () => Promise<string | null>): void {
  readiness.set(name, check);
}

/** The reasons why this process is not ready, one for each part; none when it is. */
export async function unreadyReasons(): Promise<string[]> {
  if (shuttingDown) return ["shutting down"];
  const checks = [...readiness].map(async ([name, check]) => {
    const reason = await check().catch((error: unknown) => String(error));
    return reason === null ? [] : [`${name}: ${reason}`];
  });
  return (await Promise.all(checks)).flat();
}
