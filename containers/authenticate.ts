import type { IncomingMessage, ServerResponse } from "node:http";

import { APIError, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";

import { createNonces, type Nonces } from "../shared/channel/nonces";
import { deploymentKey } from "../shared/channel/settings";
import {
  ANSWER_SIGNATURE,
  type Claims,
  CLOCK_SKEW_MS,
  hashBody,
  reasonOf,
  type Refusal,
  signAnswer,
  verifyRequest,
} from "../shared/channel/signature";
import { untilOpen } from "./local";
import { trustedKeys } from "./trust";

/** Each is some 100 bytes; a control plane that sends more in a minute than this is out of order. */
const MAX_NONCES = 100_000;
/** A command is a few fields. */
const MAX_BODY_BYTES = 256 * 1024;
/** The request was taken and ended with an error, which the body tells. */
const FAILED = 422;
/** A flood of bad requests does not become a flood of log lines. */
const LOG_EVERY_MS = 1_000;

/** What came in since the process started. */
export interface Counts {
  readonly accepted: number;
  readonly refused: Readonly<Partial<Record<Refusal, number>>>;
}

const refused: Partial<Record<Refusal, number>> = {};
const loggedAt = new Map<Refusal, number>();
let accepted = 0;

export function counts(): Counts {
  return { accepted, refused: { ...refused } };
}

let nonces: Nonces | undefined;

function memory(): Nonces {
  return (nonces ??= createNonces({
    lifetimeMs: 2 * CLOCK_SKEW_MS,
    limit: MAX_NONCES,
    since: Date.now(),
  }));
}

/** From the start on: what was sent before it may have been taken by the process before this one. */
export function beginToAccept(): void {
  memory();
}

/** A request whose sender is known and whose body is the one that was signed. */
export interface Authentic {
  readonly claims: Claims;
  readonly body: Buffer;
}

/**
 * Who sends this request to this cluster, and its body. Refuses it, counts it and answers by itself
 * when it is not from one of `senders`: null then.
 */
export async function authenticate(
  request: IncomingMessage,
  response: ServerResponse,
  clusterId: string,
  isPermitted: (sender: string) => boolean,
): Promise<Authentic | null> {
  // Encore destroys a request whose client is gone; unheard, that would end the process.
  request.on("error", () => undefined);
  const checked = await check(request, clusterId, isPermitted);
  if (!("refusal" in checked)) {
    accepted++;
    return checked;
  }
  refuse(response, clusterId, checked.refusal);
  return null;
}

async function check(
  request: IncomingMessage,
  clusterId: string,
  isPermitted: (sender: string) => boolean,
): Promise<Authentic | { readonly refusal: Refusal }> {
  const keys = await trustedKeys();
  const { method = "", url: path = "", headers } = request;
  const verified = verifyRequest(
    { method, path, headers },
    {
      receiver: clusterId,
      now: Date.now(),
      keysOf: (sender) => {
        const key = keys.get(sender);
        return key ? [key] : [];
      },
      nonces: memory(),
    },
  );
  if ("refusal" in verified) return verified;
  const { claims } = verified;
  if (!isPermitted(claims.from)) return { refusal: "not_permitted" };
  // A cluster that was registered a moment ago is one of ours as soon as the log was read.
  if (!(await isOurs(clusterId))) return { refusal: "other_receiver" };
  const body = await readBody(request);
  if (body === "too_large") return { refusal: "body_too_large" };
  return hashBody(body) === claims.bodyHash ? { claims, body } : { refusal: "other_body" };
}

async function isOurs(clusterId: string): Promise<boolean> {
  return await untilOpen(clusterId).then(
    () => true,
    () => false,
  );
}

async function readBody(request: IncomingMessage): Promise<Buffer | "too_large"> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return "too_large";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const STATUS: Readonly<Partial<Record<Refusal, readonly [number, ErrCode]>>> = {
  not_permitted: [403, ErrCode.PermissionDenied],
  too_many: [429, ErrCode.ResourceExhausted],
  body_too_large: [413, ErrCode.InvalidArgument],
};

/** A sender that is known asked for what is none of its business. */
export function forbid(response: ServerResponse, authentic: Authentic, message: string): void {
  count(authentic.claims.to, "not_permitted");
  answerError(response, authentic, APIError.permissionDenied(message));
}

function count(clusterId: string, refusal: Refusal): void {
  refused[refusal] = (refused[refusal] ?? 0) + 1;
  const now = Date.now();
  if (now - (loggedAt.get(refusal) ?? 0) < LOG_EVERY_MS) return;
  loggedAt.set(refusal, now);
  log.warn("refused a signed request", { clusterId, reason: refusal, count: refused[refusal] });
}

/** Not signed: whoever is refused has proved nothing, and must not make us work. */
function refuse(response: ServerResponse, clusterId: string, refusal: Refusal): void {
  count(clusterId, refusal);
  const [status, code] = STATUS[refusal] ?? [401, ErrCode.Unauthenticated];
  const message = `Cannot accept this request to cluster "${clusterId}": ${reasonOf(refusal)}`;
  write(response, status, JSON.stringify({ code, message, details: { reason: refusal } }), {});
}

/** Not even its sender could be found out: the keys are in a database that does not answer. */
export function fail(response: ServerResponse, error: unknown): void {
  log.error(error, "cannot take a signed request");
  if (response.headersSent) response.destroy();
  else
    write(response, 503, JSON.stringify({ code: ErrCode.Unavailable, message: "try again" }), {});
}

/** Answers with JSON that the sender can check to be ours. */
export function answer(
  response: ServerResponse,
  { claims }: Pick<Authentic, "claims">,
  status: number,
  value: unknown,
): void {
  const body = JSON.stringify(value);
  const signed = { request: claims, status, bodyHash: hashBody(Buffer.from(body)) };
  const signature = signAnswer(signed, deploymentKey().privateKey);
  write(response, status, body, { [ANSWER_SIGNATURE]: signature });
}

/** Always with its length: without it each answer would wait for an acknowledgement (Nagle). */
function write(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  });
  response.end(body);
}

/** Answers with the error that a typed call would have rejected with. */
export function answerError(response: ServerResponse, authentic: Authentic, error: unknown): void {
  const isOurs = error instanceof APIError;
  if (!isOurs) log.error(error, "a command failed");
  const told = isOurs ? error : APIError.internal("an internal error occurred");
  const { code, message, details } = told;
  answer(response, authentic, FAILED, { code, message, details: details ?? null });
}
