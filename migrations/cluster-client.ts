import { APIError, ErrCode } from "encore.dev/api";
import { clusters, containers } from "~encore/clients";

import { createCommands } from "../shared/channel/cluster";
import { createAddressBook } from "./address-book";

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

/** Which page of a survey. */
export interface SurveyPage {
  readonly clusterId: string;
  /** The last `replId` of the page before, or "". */
  readonly after: string;
  readonly limit: number;
}

export interface Surveyed extends Inspected {
  readonly replId: string;
  readonly fileBytes: number;
}

export interface Frozen {
  readonly outcome: "frozen" | "busy" | "refused";
  readonly wasRunning: boolean;
  readonly reason: string;
}

export interface Verified extends CommandResult {
  /** So much of the boot lease is left; the commit must not come later. */
  readonly leaseLeftMs: number;
  /** Counts the deploys of what was copied. */
  readonly release: number;
}

type Stage = Command & { readonly name: string; readonly owner: string; readonly peer: string };
/** One round of a copy, as its destination has seen it. */
export interface Copied extends CommandResult {
  readonly bytes: number;
  readonly changedFiles: number;
  readonly changedBytes: number;
  readonly unsettledBytes: number;
  readonly ms: number;
  /** What cannot be moved. */
  readonly special: readonly string[];
}

type CopyFiles = Command & { readonly fromCluster: string; readonly final: boolean };
type Freeze = Command & {
  readonly cut: boolean;
  /** So long the source stays frozen before it asks for the abort by itself. */
  readonly deadlineMs: number;
};
type Seal = Command & { readonly release: number };
type Leased = Command & { readonly leaseMs: number };
type Tombstone = Command & { readonly to: string };
type Thaw = Command & { readonly restart: boolean };
type DrainOld = Command & { readonly oldGeneration: number; readonly waitMs: number };

/**
 * The commands of one cluster. Each may be repeated, come late or come twice. A method rejects when
 * it is not known whether the command was carried out: it is then sent again.
 */
export interface ClusterClient {
  inspect(command: Command): Promise<Inspected>;
  /** What lives there, by id; an empty page is the last. */
  survey(page: SurveyPage): Promise<{ readonly items: readonly Surveyed[] }>;
  stage(command: Stage): Promise<CommandResult>;
  copyFiles(command: CopyFiles): Promise<Copied>;
  freeze(command: Freeze): Promise<Frozen>;
  /** Done means that the source has the release that was copied, and takes no other. */
  seal(command: Seal): Promise<CommandResult>;
  boot(command: Leased): Promise<CommandResult>;
  verify(command: Leased): Promise<Verified>;
  activate(command: Command): Promise<CommandResult>;
  tombstone(command: Tombstone): Promise<CommandResult>;
  /** Done means that the destination is stopped and fenced, durably. */
  unstage(command: Command): Promise<CommandResult>;
  thaw(command: Thaw): Promise<CommandResult>;
  /** False when something is still in flight at the old container after `waitMs`. */
  drainOld(command: DrainOld): Promise<boolean>;
  cleanup(command: Command): Promise<CommandResult>;
}

/** Where a cluster is, kept for a while: the registry rarely changes, and may be away. */
const addresses = createAddressBook({
  find: (clusterId) => clusters.clusterAddress({ clusterId }),
  isGone: (error) => error instanceof APIError && error.code === ErrCode.NotFound,
  now: () => performance.now(),
});

const commandsOf = createCommands(addresses);

/** The commands of a cluster, wherever its `containers` service is. */
export function clusterClient(clusterId: string, timeoutMs: number): ClusterClient {
  const send = commandsOf(clusterId, timeoutMs);
  const result =
    <C extends Command>(call: (order: C) => Promise<{ outcome: string; reason?: string }>) =>
    async (order: C): Promise<CommandResult> =>
      toResult(await call(order));
  const verify = send("verify", (order: Leased) => containers.verify(order));
  const copyFiles = send("copyFiles", (order: CopyFiles) => containers.copyFiles(order));
  const drainOld = send("drainOld", (order: DrainOld) => containers.drainOld(order));
  return {
    inspect: send("inspect", (order: Command) => containers.inspect(order)),
    survey: send("survey", (page: SurveyPage) => containers.survey(page)),
    stage: result(send("stage", (order: Stage) => containers.stage(order))),
    copyFiles: async (order) => {
      const copied = await copyFiles(order);
      return { ...copied, ...toResult(copied) };
    },
    freeze: send("freeze", (order: Freeze) => containers.freeze(order)),
    seal: result(send("seal", (order: Seal) => containers.seal(order))),
    boot: result(send("boot", (order: Leased) => containers.boot(order))),
    verify: async (order) => {
      const verified = await verify(order);
      const { leaseLeftMs, release } = verified;
      return { ...toResult(verified), leaseLeftMs, release };
    },
    activate: result(send("activate", (order: Command) => containers.activate(order))),
    tombstone: result(send("tombstone", (order: Tombstone) => containers.tombstone(order))),
    unstage: result(send("unstage", (order: Command) => containers.unstage(order))),
    thaw: result(send("thaw", (order: Thaw) => containers.thaw(order))),
    drainOld: async (order) => (await drainOld(order)).done,
    cleanup: result(send("cleanup", (order: Command) => containers.cleanup(order))),
  };
}

/** Whatever is not `done` is a refusal: each command has its own words for why. */
function toResult(answer: { outcome: string; reason?: string }): CommandResult {
  return {
    outcome: answer.outcome === "done" ? "done" : "refused",
    reason: answer.reason || answer.outcome,
  };
}
