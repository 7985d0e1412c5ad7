import type { IncomingMessage, ServerResponse } from "node:http";

import { APIError, api } from "encore.dev/api";
import { containers } from "~encore/clients";

import { answer, answerError, authenticate, fail } from "./authenticate";
import { CONTROL } from "./trust";

const PATH = /^\/v1\/cluster-commands\/([a-z0-9-]+)\/([A-Za-z]+)$/;

/** What a command takes is checked by its endpoint, when it is called: until then it is not known. */
type Command = (fields: never) => Promise<unknown>;

/**
 * The commands that the control plane may send from another process: the private endpoints of this
 * service, which decode and check the fields as they do for a typed call.
 */
const COMMANDS: Readonly<Record<string, Command>> = {
  inspect: (fields) => containers.inspect(fields),
  survey: (fields) => containers.survey(fields),
  stage: (fields) => containers.stage(fields),
  copyFiles: (fields) => containers.copyFiles(fields),
  freeze: (fields) => containers.freeze(fields),
  seal: (fields) => containers.seal(fields),
  boot: (fields) => containers.boot(fields),
  verify: (fields) => containers.verify(fields),
  activate: (fields) => containers.activate(fields),
  tombstone: (fields) => containers.tombstone(fields),
  unstage: (fields) => containers.unstage(fields),
  thaw: (fields) => containers.thaw(fields),
  drainOld: (fields) => containers.drainOld(fields),
  cleanup: (fields) => containers.cleanup(fields),
  deploy: (fields) => containers.deploy(fields),
  logs: (fields) => containers.logs(fields),
  restart: (fields) => containers.restart(fields),
  stop: (fields) => containers.stop(fields),
  listContainers: (fields) => containers.listContainers(fields),
  listProxies: (fields) => containers.listProxies(fields),
  countCommands: (fields) => containers.countCommands(fields),
  listDeadEvents: (fields) => containers.listDeadEvents(fields),
  replayDeadEvent: (fields) => containers.replayDeadEvent(fields),
  listTombstones: (fields) => containers.listTombstones(fields),
};

/** A command of the control plane to one cluster of this deployment, signed (docs/decisions/0011). */
export const receiveCommand = api.raw(
  { expose: true, method: "POST", path: "/v1/cluster-commands/:clusterId/:command" },
  (request, response) => {
    receive(request, response).catch((error: unknown) => fail(response, error));
  },
);

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, clusterId = "", name = ""] = PATH.exec(request.url ?? "") ?? [];
  const isControl = (sender: string): boolean => sender === CONTROL;
  const authentic = await authenticate(request, response, clusterId, isControl);
  if (!authentic) return;
  try {
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (!command) throw APIError.unimplemented(`Cluster "${clusterId}" has no command "${name}"`);
    answer(response, authentic, 200, (await command(readFields(clusterId, authentic.body))) ?? {});
  } catch (error) {
    answerError(response, authentic, error);
  }
}

function readFields(clusterId: string, body: Buffer): never {
  let fields: unknown;
  try {
    fields = JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw APIError.invalidArgument(`Cannot read the command: ${(error as Error).message}`);
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw APIError.invalidArgument("Cannot read the command: expected an object");
  }
  const named = (fields as { clusterId?: unknown }).clusterId;
  if (named !== clusterId) {
    throw APIError.invalidArgument(
      `Cannot command cluster "${String(named)}": "${clusterId}" was asked`,
    );
  }
  return fields as never;
}
