import { containers } from "~encore/clients";

import { outbound } from "../shared/outbound";

/** What every command to a cluster carries; the receiver fences by it. */
export interface Command {
  readonly clusterId: string;
  readonly replId: string;
  readonly migrationId: string;
  readonly generation: number;
  /** ISO 8601: what is not done by then need not be done. */
  readonly deadline: string;
  /** W3C trace context of the step. */
  readonly traceparent: string;
}

/** `refused` is final: the receiver has seen a newer generation, or cannot do it at all. */
export interface CommandResult {
  readonly outcome: "done" | "refused";
  readonly reason: string;
}

export interface Inspected {
  readonly running: boolean;
  /** It wrote into its folder since its release. */
  readonly filesChanged: boolean;
}

export interface Frozen {
  readonly outcome: "frozen" | "busy" | "refused";
  readonly wasRunning: boolean;
  readonly reason: string;
}

/**
 * The commands of one cluster. Each may be repeated, come late or come twice. A method rejects when
 * it is not known whether the command was carried out: it is then sent again.
 */
export interface ClusterClient {
  inspect(command: Command): Promise<Inspected>;
  stage(command: Command & { name: string; owner: string; peer: string }): Promise<CommandResult>;
  copyFiles(command: Command & { fromCluster: string; final: boolean }): Promise<CommandResult>;
  freeze(command: Command & { cut: boolean }): Promise<Frozen>;
  boot(command: Command): Promise<CommandResult>;
  /** `leaseUntil`, ISO 8601: the commit must not come later. */
  verify(command: Command): Promise<CommandResult & { leaseUntil: string }>;
  activate(command: Command): Promise<CommandResult>;
  tombstone(command: Command & { to: string }): Promise<CommandResult>;
  /** Done means that the destination is stopped and fenced, durably. */
  unstage(command: Command): Promise<CommandResult>;
  thaw(command: Command & { restart: boolean }): Promise<CommandResult>;
  /** False when something is still in flight at the old container after `waitMs`. */
  drainOld(command: Command & { oldGeneration: number; waitMs: number }): Promise<boolean>;
  cleanup(command: Command): Promise<CommandResult>;
}

type Guard = ReturnType<typeof outbound>;

/** One guard for each cluster and time limit, so that a cluster that is down costs no other anything. */
function guards(): (clusterId: string, timeoutMs: number) => Guard {
  const made = new Map<string, Guard>();
  return (clusterId, timeoutMs) => {
    const key = `${clusterId}/${timeoutMs}`;
    const guard = made.get(key) ?? outbound(`cluster "${clusterId}"`, { timeoutMs });
    made.set(key, guard);
    return guard;
  };
}

const guardOf = guards();

/** Commands to clusters whose `containers` service is one of this application's. */
export function localClient(clusterId: string, timeoutMs: number): ClusterClient {
  const guarded = guardOf(clusterId, timeoutMs);
  return {
    inspect: (command) => guarded(() => containers.inspect(command)),
    stage: async (command) => toResult(await guarded(() => containers.stage(command))),
    copyFiles: async (command) => toResult(await guarded(() => containers.copyFiles(command))),
    freeze: (command) => guarded(() => containers.freeze(command)),
    boot: async (command) => toResult(await guarded(() => containers.boot(command))),
    verify: async (command) => {
      const verified = await guarded(() => containers.verify(command));
      return { ...toResult(verified), leaseUntil: verified.leaseUntil };
    },
    activate: async (command) => toResult(await guarded(() => containers.activate(command))),
    tombstone: async (command) => toResult(await guarded(() => containers.tombstone(command))),
    unstage: async (command) => toResult(await guarded(() => containers.unstage(command))),
    thaw: async (command) => toResult(await guarded(() => containers.thaw(command))),
    drainOld: async (command) => (await guarded(() => containers.drainOld(command))).done,
    cleanup: async (command) => toResult(await guarded(() => containers.cleanup(command))),
  };
}

/** Whatever is not `done` is a refusal: each command has its own words for why. */
function toResult(answer: { outcome: string; reason?: string }): CommandResult {
  return {
    outcome: answer.outcome === "done" ? "done" : "refused",
    reason: answer.reason || answer.outcome,
  };
}
