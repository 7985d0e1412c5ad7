import type { IncomingMessage, ServerResponse } from "node:http";

import { APIError, api } from "encore.dev/api";
import log from "encore.dev/log";

import { deploymentKey } from "../shared/channel/settings";
import { signAnswer } from "../shared/channel/signature";
import { untilShutdown } from "../shared/hosting";
import { answerError, authenticate, type Authentic, fail, forbid } from "./authenticate";
import { migrationOf } from "./authority";
import { type FilesOrder, orderFault } from "./core/files-order";
import { pour } from "./file-pour";
import { giveFolder } from "./files";
import { sourceOf } from "./copies";
import { clusterSender } from "./trust";

const PATH = /^\/v1\/cluster-files\/([a-z0-9-]+)$/;
/** Two for each move that draws from here; more share the disk and the thread, and none gets faster. */
const MAX_STREAMS = 64;
/** So long a destination may go on without the authority's word, such as when that is away. */
const PERMIT_MS = 30_000;

let streams = 0;
const ending = new AbortController();
void untilShutdown().then(() => ending.abort());
/** Requests are held for the last round: it goes on while the process ends. */
const never = new AbortController();

/** Files of a repl that moves, for the cluster that it moves to, signed (docs/decisions/0011). */
export const giveFiles = api.raw(
  { expose: true, method: "POST", path: "/v1/cluster-files/:clusterId", bodyLimit: null },
  (request, response) => {
    serve(request, response).catch((error: unknown) => fail(response, error));
  },
);

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, clusterId = ""] = PATH.exec(request.url ?? "") ?? [];
  const isCluster = (sender: string): boolean => sender.startsWith(clusterSender(""));
  const authentic = await authenticate(request, response, clusterId, isCluster);
  if (!authentic) return;
  try {
    const order = readOrder(authentic.body);
    const fault = await refusalOf(clusterId, order, authentic.claims.from);
    if (fault !== null) return forbid(response, authentic, fault);
    await give(clusterId, order, { response, authentic });
  } catch (error) {
    if (!response.headersSent) return answerError(response, authentic, error);
    // Without its end the destination knows that there is more, and asks again.
    log.warn("a stream of files broke", { clusterId, error: String(error) });
    response.end();
  }
}

function readOrder(body: Buffer): FilesOrder {
  let order: unknown;
  try {
    order = JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw APIError.invalidArgument(`Cannot read the request: ${(error as Error).message}`);
  }
  const fault = orderFault(order);
  if (fault !== null) throw APIError.invalidArgument(`Cannot give files: ${fault}`);
  return order as FilesOrder;
}

const permits = new Map<string, number>();

/** Why that cluster may not have these files; null when the authority moves the repl there from here. */
async function refusalOf(
  clusterId: string,
  { migrationId, replId, generation }: FilesOrder,
  sender: string,
): Promise<string | null> {
  const permit = JSON.stringify([clusterId, migrationId, replId, generation, sender]);
  const now = performance.now();
  if ((permits.get(permit) ?? 0) > now) return null;
  const { status, ...moved } = await migrationOf(migrationId);
  const isIt =
    moved.replId === replId && moved.generation === generation && moved.fromCluster === clusterId;
  if (!isIt || sender !== clusterSender(moved.toCluster)) {
    return `Cannot give files of repl "${replId}": migration "${migrationId}" does not move it from "${clusterId}" to the sender`;
  }
  if (status !== "open") {
    return `Cannot give files of repl "${replId}": migration "${migrationId}" is ${status}`;
  }
  for (const [key, until] of permits) if (until <= now) permits.delete(key);
  permits.set(permit, now + PERMIT_MS);
  return null;
}

interface To {
  readonly response: ServerResponse;
  readonly authentic: Authentic;
}

async function give(
  clusterId: string,
  order: FilesOrder,
  { response, authentic: { claims } }: To,
): Promise<void> {
  if (streams >= MAX_STREAMS) {
    throw APIError.resourceExhausted(`Cannot give files: ${MAX_STREAMS} streams are under way`);
  }
  streams++;
  try {
    const { directory, release } = await sourceOf(clusterId, order);
    const { pieces, final } = order;
    const given = await giveFolder({ fromDir: directory, pieces, final, release });
    try {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      await pour(response, {
        next: given.next,
        sign: (digest) =>
          signAnswer(
            { request: claims, status: 200, bodyHash: digest },
            deploymentKey().privateKey,
          ),
        signal: (order.final ? never : ending).signal,
      });
    } finally {
      await given.stop();
    }
    response.end();
  } finally {
    streams--;
  }
}
