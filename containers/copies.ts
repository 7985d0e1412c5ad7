import { APIError } from "encore.dev/api";

import { openStream, type Receiver } from "../shared/channel/send";
import { deploymentKey } from "../shared/channel/settings";
import { type FilesOrder, givingFault } from "./core/files-order";
import { isLive } from "./core/lifecycle";
import { NO_ROUTE } from "./core/route";
import { type ContainerRef, markerOf } from "./drivers/driver";
import type { Copied, Place } from "./file-round";
import type { OpenStream } from "./file-streams";
import { copyFolder, drawFolder } from "./files";
import { generationDir } from "./host";
import { isLocal } from "./local";
import { clusterStore } from "./store";
import type { Release } from "./store-rows";
import { clusterSender, peerOf } from "./trust";

/** A source looks at all of its files before it answers. */
const ANSWER_MS = 120_000;
/** A command line that is longer comes from no deploy. */
const MAX_COMMAND = 64 * 1024;

/** Which files to draw, for which move. */
export interface CopyOrder extends Omit<FilesOrder, "pieces"> {
  readonly fromCluster: string;
}

/** What a source has of a repl. */
interface Home {
  /** The folder of its generation. */
  readonly directory: string;
  /** Null: nothing was deployed yet. */
  readonly release: Release | null;
}

/** Of a cluster that is served here. Throws when it may not be copied for that move. */
export async function sourceOf(
  clusterId: string,
  order: Pick<FilesOrder, "replId" | "generation" | "final">,
): Promise<Home> {
  const { replId } = order;
  const store = clusterStore(clusterId);
  const route = (await store.route(replId)) ?? NO_ROUTE;
  const container = await store.container(replId, route.generation);
  const fault = givingFault(route, order, container !== null && isLive(container.state));
  if (fault !== null) {
    throw APIError.failedPrecondition(`Cannot give files of repl "${replId}": ${fault}`);
  }
  const release = await store.release(replId, route.generation);
  const directory = generationDir({ clusterId, replId, generation: route.generation });
  return { directory, release };
}

interface CopiedRelease extends Copied {
  readonly release: Release | null;
}

const NOTHING = {
  files: 0,
  bytes: 0,
  changedFiles: 0,
  changedBytes: 0,
  unsettledBytes: 0,
  special: [],
  release: null,
};

interface Running {
  readonly calledOff: AbortController;
  readonly ended: Promise<unknown>;
}

const running = new Map<string, Running>();

/** Ends a copy into that generation, if one is under way. Resolves when it writes no more. */
export async function callOffCopy(ref: ContainerRef): Promise<void> {
  const copy = running.get(markerOf(ref));
  copy?.calledOff.abort();
  await copy?.ended;
}

/**
 * One round into a generation's folder. A later round takes the place of one that is under way: its
 * coordinator has been replaced, or waits no more; what has come stays.
 */
export async function copyRound(
  ref: ContainerRef,
  order: CopyOrder,
  prepare: () => Promise<Place | null>,
): Promise<CopiedRelease> {
  const calledOff = new AbortController();
  const before = callOffCopy(ref);
  const copying = before.then(async () => {
    const place = await prepare();
    calledOff.signal.throwIfAborted();
    return place ? await copyFrom(ref.clusterId, order, place, calledOff.signal) : NOTHING;
  });
  const entry = { calledOff, ended: copying.catch(() => undefined) };
  running.set(markerOf(ref), entry);
  try {
    return await copying;
  } finally {
    if (running.get(markerOf(ref)) === entry) running.delete(markerOf(ref));
  }
}

async function copyFrom(
  clusterId: string,
  order: CopyOrder,
  place: Place,
  signal: AbortSignal,
): Promise<CopiedRelease> {
  const { fromCluster, final } = order;
  if (isLocal(fromCluster)) {
    const { directory, release } = await sourceOf(fromCluster, order);
    if (!release) return NOTHING;
    return { ...(await copyFolder({ fromDir: directory, ...place, final })), release };
  }
  const peer = await peerOf(fromCluster);
  if (!peer) throw APIError.failedPrecondition(`Cannot reach cluster "${fromCluster}"`);
  const drawn = await drawFolder({ ...place, final }, opener(clusterId, peer, order, signal));
  return { ...drawn, release: checkedRelease(drawn.release) };
}

function checkedRelease(value: unknown): Release | null {
  if (value === null) return null;
  const { release, command, framework } = (value ?? {}) as Release;
  const isText = (text: unknown): boolean => typeof text === "string" && text.length <= MAX_COMMAND;
  if (!Number.isSafeInteger(release) || release < 1 || !isText(command) || !isText(framework)) {
    throw new Error("the source sent a broken release");
  }
  return { release, command, framework };
}

/** How the files of a move are asked for, at a cluster of another deployment. */
function opener(
  clusterId: string,
  receiver: Receiver,
  { replId, migrationId, generation, final }: CopyOrder,
  calledOff: AbortSignal,
): OpenStream {
  return async (pieces) => {
    calledOff.throwIfAborted();
    const order: FilesOrder = { replId, migrationId, generation, final, pieces };
    const ended = new AbortController();
    const end = (): void => ended.abort();
    calledOff.addEventListener("abort", end);
    const timer = setTimeout(end, ANSWER_MS);
    try {
      const { body, claims } = await openStream(
        { id: clusterSender(clusterId), key: deploymentKey() },
        receiver,
        {
          method: "POST",
          path: `/v1/cluster-files/${receiver.clusterId}`,
          body: Buffer.from(JSON.stringify(order)),
          signal: ended.signal,
        },
      );
      body.once("close", () => calledOff.removeEventListener("abort", end));
      return { body, proof: { claims, publicKey: receiver.publicKey } };
    } finally {
      clearTimeout(timer);
    }
  };
}
