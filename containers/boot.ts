import { failpoint } from "../shared/failpoint";
import { migrationOf } from "./authority";
import { keepBootLease } from "./boot-lease";
import { callOffCopy } from "./copies";
import { type ContainerRef, markerOf } from "./drivers/driver";
import { forgetArrived } from "./file-arrived";
import { generationDir } from "./host";
import type { CommandOutcome, MoveCommand } from "./moves";
import { containerDriver, lock, startLocked } from "./runner";
import { type ClusterStore, clusterStore } from "./store";

const DONE: CommandOutcome = { outcome: "done", reason: "" };
const refused = (reason: string): CommandOutcome => ({ outcome: "refused", reason });

const refOf = ({ clusterId, replId, generation }: MoveCommand): ContainerRef => ({
  clusterId,
  replId,
  generation,
});

export interface BootOutcome extends CommandOutcome {
  readonly host: string;
  readonly port: number;
}

/** A command that runs a container before the commit. */
export type LeasedCommand = MoveCommand & {
  /** How long the container may run, unless it becomes the home. */
  readonly leaseMs: number;
};

/**
 * Begins a boot lease, or a new one. It counts from before the authority was asked: whoever aborts
 * has been told so later, and knows when the last lease has ended without having heard from here.
 */
async function leaseBoot(store: ClusterStore, command: LeasedCommand): Promise<boolean> {
  const { replId, generation, migrationId, leaseMs } = command;
  const askedAt = performance.now();
  if ((await migrationOf(migrationId)).status !== "open") return false;
  const leftMs = Math.floor(leaseMs - (performance.now() - askedAt));
  if (leftMs <= 0 || !(await store.renewLease(replId, generation, leftMs))) return false;
  keepBootLease(refOf(command), askedAt + leaseMs);
  return true;
}

/** Starts the staged container, without traffic, until its lease ends. */
export async function boot(command: LeasedCommand): Promise<BootOutcome> {
  const { clusterId, replId, generation } = command;
  const store = clusterStore(clusterId);
  const ref = refOf(command);
  return await lock.run(markerOf(ref), async () => {
    await callOffCopy(ref);
    forgetArrived(generationDir(ref));
    if (!(await leaseBoot(store, command))) return await bootRefused(store, ref);
    await failpoint("containers.boot.leased", replId);
    const container = await store.container(replId, generation);
    if (container?.state === "running" && containerDriver().isRunning(ref)) {
      const { upstreamHost, upstreamPort } = container;
      return { ...DONE, host: upstreamHost ?? "", port: upstreamPort ?? 0 };
    }
    const started = await startLocked(store, ref, container);
    const { outcome, reason, host, port } = started;
    if (outcome !== "running") return { ...refused(reason || outcome), host: "", port: 0 };
    return { ...DONE, host, port };
  });
}

/** One that is home already was booted, verified and committed: the command was repeated late. */
async function bootRefused(store: ClusterStore, ref: ContainerRef): Promise<BootOutcome> {
  const route = await store.route(ref.replId);
  const isOver = route?.state === "active" && route.generation === ref.generation;
  const result = isOver ? DONE : refused(`generation ${ref.generation} is not staged here`);
  return { ...result, host: route?.upstreamHost ?? "", port: route?.upstreamPort ?? 0 };
}

export interface VerifyOutcome extends CommandOutcome {
  /** So much of its lease is left; 0 when refused. */
  readonly leaseLeftMs: number;
  /** What it was copied from counts its deploys; 0: nothing was deployed yet. */
  readonly release: number;
}

const notVerified = (reason: string): VerifyOutcome => ({
  ...refused(reason),
  leaseLeftMs: 0,
  release: 0,
});

/** Whether the staged container accepts connections; if so, it is kept while that is decided. */
export async function verify(command: LeasedCommand): Promise<VerifyOutcome> {
  const { clusterId, replId, generation, leaseMs } = command;
  const store = clusterStore(clusterId);
  if (!(await containerDriver().probe(refOf(command)))) {
    return notVerified("the new container does not accept connections");
  }
  await failpoint("containers.verify.probed", replId);
  let leaseLeftMs = await store.leaseLeftMs(replId, generation);
  // To ask the authority takes time, and requests may be held.
  if (leaseLeftMs !== null && leaseLeftMs < leaseMs / 2 && (await leaseBoot(store, command))) {
    leaseLeftMs = await store.leaseLeftMs(replId, generation);
  }
  if (leaseLeftMs === null) return notVerified(`generation ${generation} has no boot lease here`);
  const release = (await store.release(replId, generation))?.release ?? 0;
  return { ...DONE, leaseLeftMs, release };
}
