import { randomUUID } from "node:crypto";

import { APIError, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";

import { outbound } from "../shared/outbound";
import { authority, registry } from "./authority";
import { announce } from "./changes";
import { clusterClient } from "./cluster-client";
import { createCoordinator } from "./coordinator";
import { TIMEOUT_MS } from "./core/limits";
import { MOVED_VERSION } from "./core/moved-event";
import { createEvacuator } from "./evacuator";
import { createGate } from "./gate";
import { setEvacuator, setWorker } from "./kick";
import { config } from "./settings";
import * as store from "./store";
import { begin, claim, note, progress, release } from "./store-evacuations";
import { createSurveyor } from "./survey";
import { replMoved } from "./topics";

/** A quarter of the lease: three renewals may fail before another process takes over. */
const TICK_MS = 500;

/** Before the commit these end a migration; afterwards everything is tried until it works. */
const REFUSALS: readonly ErrCode[] = [
  ErrCode.FailedPrecondition,
  ErrCode.NotFound,
  ErrCode.InvalidArgument,
  ErrCode.PermissionDenied,
  ErrCode.AlreadyExists,
];

/** A page is answered within 3 s where the cluster is well. */
const SURVEY_TIMEOUT_MS = 10_000;

/** Proxies hold no request for longer (design section 4), so nothing is gained by waiting on. */
const MAX_HOLD_MS = 10_000;

const broker = outbound("the topic repl.moved", { timeoutMs: TIMEOUT_MS.publish_moved });

/** Carries out the migrations that this process has claimed. */
const coordinator = createCoordinator({
  journal: store,
  outside: {
    authority,
    client: clusterClient,
    publish: async (moved) => {
      await broker(() => replMoved.publish({ v: MOVED_VERSION, moved }));
    },
    isRefusal: (error) => error instanceof APIError && REFUSALS.includes(error.code),
    now: () => Date.now(),
    elapsed: () => performance.now(),
  },
  leaseOwner: randomUUID(),
  freezeGate: createGate(config().maxFrozen),
  log,
  random: Math.random,
  announce: (migrationId) => {
    announce(migrationId);
    evacuator.moved();
  },
});

/** What runs in each cluster, as its evacuation and the plan of one see it. */
export const survey = createSurveyor({
  ask: (page) => clusterClient(page.clusterId, SURVEY_TIMEOUT_MS).survey(page),
  now: () => performance.now(),
  warn: (clusterId, error) =>
    log.warn("cannot ask a cluster what runs there", { clusterId, reason: String(error) }),
});

/** Carries on the evacuations that this process has claimed. */
const evacuator = createEvacuator({
  journal: { begin, claim, note, progress, release },
  registry,
  survey,
  leaseOwner: randomUUID(),
  log,
  newId: randomUUID,
  now: () => performance.now(),
  begun: () => coordinator.kick(),
});

let timer: NodeJS.Timeout | undefined;
let ticking = false;

/** Takes over at once what a process that died has left, and looks for more from then on. */
export function startSweep(): void {
  const tick = async (): Promise<void> => {
    if (ticking) return;
    ticking = true;
    await coordinator.tick().finally(() => {
      ticking = false;
    });
  };
  const evacuate = (): void => void evacuator.tick();
  setWorker(coordinator);
  setEvacuator(evacuator);
  timer = setInterval(() => {
    void tick();
    evacuate();
  }, TICK_MS);
  void tick();
  evacuate();
}

export async function stopSweep(deadlineMs: number): Promise<void> {
  await evacuator.stop();
  await coordinator.stop(Math.min(deadlineMs, MAX_HOLD_MS));
  clearInterval(timer);
}
