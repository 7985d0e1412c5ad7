import { api } from "encore.dev/api";
import log from "encore.dev/log";
import type { Max, Min } from "encore.dev/validate";

import { failpoint, type Failpoint } from "../shared/failpoint";
import { untilDrained } from "../shared/hosting";
import { withSpan } from "../shared/trace";
import { boot as bootStaged, verify as verifyStaged } from "./boot";
import { untilOpen } from "./local";
import * as moves from "./moves";
import { wake as wakeRepl, wakeKey } from "./runner";
import { survey as surveyCluster } from "./survey";

/** What every command of a move carries. The receiver fences by the generation. */
interface Command {
  clusterId: string;
  replId: string;
  migrationId: string;
  generation: number;
  /** ISO 8601: what is not done by then need not be done. */
  deadline: string;
  /** W3C trace context of the step, or "". */
  traceparent: string;
}

/** `refused` is final: a newer generation was here, or it cannot be done. */
interface CommandResult {
  outcome: "done" | "refused";
  /** Why it was refused; "" otherwise. */
  reason: string;
}

interface InspectRequest {
  clusterId: string;
  replId: string;
}

interface InspectResponse {
  state: string;
  generation: number;
  running: boolean;
  /** The app wrote into its folder since its release. */
  filesChanged: boolean;
  fileBytes: number;
}

interface SurveyRequest {
  clusterId: string;
  /** The last `replId` that the caller has; "" for the first page. */
  after: string;
  limit: number;
}

interface SurveyResponse {
  /** By id; empty when there are no more. */
  items: {
    replId: string;
    running: boolean;
    filesChanged: boolean;
    fileBytes: number;
  }[];
}

/** One page of a survey takes no longer, so that its answer comes before its sender gives up. */
const SURVEY_MS = 3_000;

interface StageRequest extends Command {
  name: string;
  owner: string;
  /** The source. */
  peer: string;
}

interface CopyFilesRequest extends Command {
  fromCluster: string;
  /** The source writes no more: the copy is compared with it. */
  final: boolean;
}

interface CopyFilesResponse {
  outcome: "done" | "refused";
  reason: string;
  files: number;
  bytes: number;
  changedFiles: number;
  changedBytes: number;
  /** Read, and to be read again by the next round. */
  unsettledBytes: number;
  ms: number;
  /** Sockets, pipes and devices, which cannot be copied. */
  special: string[];
}

interface FreezeRequest extends Command {
  /** End what is in flight after its grace, rather than answer `busy`. */
  cut: boolean;
  /** So long it stays frozen before it asks for the abort by itself, in milliseconds; a setting when absent. */
  deadlineMs?: number;
}

interface FreezeResponse {
  outcome: "frozen" | "busy" | "refused";
  wasRunning: boolean;
  reason: string;
}

interface SealRequest extends Command {
  /** Counts the deploys of what the destination has copied. */
  release: number;
}

interface LeasedRequest extends Command {
  /** How long the container may run before it is decided that the repl lives here. */
  leaseMs: number & (Min<1> & Max<600000>);
}

interface BootResponse {
  outcome: "done" | "refused";
  reason: string;
  host: string;
  port: number;
}

interface VerifyResponse {
  outcome: "done" | "refused";
  reason: string;
  /** The commit must not come later. */
  leaseLeftMs: number;
  /** Counts the deploys of what was copied. */
  release: number;
}

interface TombstoneRequest extends Command {
  /** The repl's new home. */
  to: string;
}

interface ThawRequest extends Command {
  /** Start the container at once, rather than at the next request. */
  restart: boolean;
}

interface DrainOldRequest extends Command {
  oldGeneration: number;
  waitMs: number;
}

interface DrainOldResponse {
  /** Nothing of the old container runs any more. */
  done: boolean;
}

interface WakeRequest {
  clusterId: string;
  replId: string;
  /** Of the visitor's request that found the repl asleep. */
  requestId: string;
  traceparent: string;
}

interface WakeResponse {
  outcome: "running" | "frozen" | "moved" | "failed" | "none";
  generation: number;
  host: string;
  port: number;
  reason: string;
}

type AnswerPoint<Name> = Name extends `containers.${infer Step}.answer` ? Step : never;

/** One span for each command, in the trace of its move. */
async function traced<T>(
  step: AnswerPoint<Failpoint>,
  { clusterId, replId, generation, traceparent }: Command,
  work: () => Promise<T>,
): Promise<T> {
  await untilOpen(clusterId);
  const attributes = {
    "stele.cluster": clusterId,
    "stele.repl": replId,
    "stele.generation": generation,
  };
  return await withSpan(`containers.${step}`, { parent: traceparent, attributes }, async () => {
    const result = await work();
    await failpoint(`containers.${step}.answer`, replId);
    return result;
  });
}

/** What the choice of a mode needs to know of a repl. */
export const inspect = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/inspect" },
  async ({ clusterId, replId }: InspectRequest): Promise<InspectResponse> => {
    await untilOpen(clusterId);
    return await moves.inspect(clusterId, replId);
  },
);

/** What runs in a cluster and how large it is, page by page. */
export const survey = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/survey" },
  async ({ clusterId, after, limit }: SurveyRequest): Promise<SurveyResponse> => {
    await untilOpen(clusterId);
    return { items: await surveyCluster(clusterId, after, limit, SURVEY_MS) };
  },
);

/** Destination: expect the repl. */
export const stage = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/stage" },
  async (command: StageRequest): Promise<CommandResult> => {
    return await traced("stage", command, () => moves.stage(command));
  },
);

/** Destination: draw one round of the files from the source. */
export const copyFiles = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/copy-files" },
  async (command: CopyFilesRequest): Promise<CopyFilesResponse> => {
    const step = command.final ? "copy_delta" : "copy_files";
    return await traced(step, command, () => moves.copyFiles(command));
  },
);

/** Source: hold requests, let those in flight end, stop the container. */
export const freeze = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/freeze" },
  async (command: FreezeRequest): Promise<FreezeResponse> => {
    return await traced("freeze", command, () => moves.freeze(command));
  },
);

/** Source: serve on, and take no other release than the one that was copied. */
export const seal = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/seal" },
  async (command: SealRequest): Promise<CommandResult> => {
    return await traced("seal", command, () => moves.seal(command));
  },
);

/** Destination: start the container, without traffic. */
export const boot = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/boot" },
  async (command: LeasedRequest): Promise<BootResponse> => {
    return await traced("boot", command, () => bootStaged(command));
  },
);

/** Destination: whether the container accepts connections; keeps it until that is decided. */
export const verify = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/verify" },
  async (command: LeasedRequest): Promise<VerifyResponse> => {
    return await traced("verify", command, () => verifyStaged(command));
  },
);

/** Destination: the move is committed; serve. */
export const activate = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/activate" },
  async (command: Command): Promise<CommandResult> => {
    return await traced("activate", command, () => moves.activate(command));
  },
);

/** Source: the move is committed; forward. */
export const tombstone = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/tombstone" },
  async (command: TombstoneRequest): Promise<CommandResult> => {
    return await traced("tombstone", command, () => moves.tombstone(command));
  },
);

/** Destination: the move is aborted; done says that nothing of it runs, or ever will. */
export const unstage = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/unstage" },
  async (command: Command): Promise<CommandResult> => {
    return await traced("unstage", command, () => moves.unstage(command));
  },
);

/** Source: the move is aborted and its destination fenced; serve again. */
export const thaw = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/thaw" },
  async (command: ThawRequest): Promise<CommandResult> => {
    return await traced("thaw", command, () => moves.thaw(command));
  },
);

/** Source: wait until the old container has ended. */
export const drainOld = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/drain-old" },
  async (command: DrainOldRequest): Promise<DrainOldResponse> => {
    return { done: await traced("drain_old", command, () => moves.drainOld(command)) };
  },
);

/** Remove the files that no container needs any more. */
export const cleanup = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/cleanup" },
  async (command: Command): Promise<CommandResult> => {
    return await traced("cleanup", command, () => moves.cleanup(command));
  },
);

/** Start what is asleep; answers when it listens and its route says so. */
export const wake = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/wake" },
  async ({ clusterId, replId, requestId, traceparent }: WakeRequest): Promise<WakeResponse> => {
    log.info("a request wakes a repl", { clusterId, replId, requestId });
    await untilOpen(clusterId);
    const attributes = { "stele.cluster": clusterId, "stele.repl": replId };
    return await withSpan("containers.wake", { parent: traceparent, attributes }, () =>
      wakeRepl(wakeKey(clusterId, replId)),
    );
  },
);

/** Stays pending until the service has drained, so that the process waits for it. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/containers/lifeline" },
  async (): Promise<void> => {
    await untilDrained("containers");
  },
);
