import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

import { APIError, type ErrCode } from "encore.dev/api";

import { type DeploymentKey, parsePublicKey } from "./key";
import { ANSWER_SIGNATURE, type Claims, hashBody, signRequest, verifyAnswer } from "./signature";

/** Who asks. */
export interface Sender {
  /** `control`, or `cluster/<id>`. */
  readonly id: string;
  readonly key: DeploymentKey;
}

/** A cluster of another deployment, as the registry knows it. */
export interface Receiver {
  readonly clusterId: string;
  /** `http(s)://host[:port]`. */
  readonly apiUrl: string;
  /** Pinned when the cluster was added. */
  readonly publicKey: string;
}

export interface Outgoing {
  readonly method: "GET" | "POST";
  /** With the query. */
  readonly path: string;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

/** An answer whose body is still to come. */
export interface OpenAnswer {
  readonly status: number;
  /** What was asked; parts of an answer are signed for it (`verifyAnswer`). */
  readonly claims: Claims;
  /** To be read to its end, or destroyed. */
  readonly body: IncomingMessage;
  /** Whether the receiver has signed this answer with that body. */
  readonly isSigned: (bodyHash: string) => boolean;
}

/** A command that runs for minutes is silent: NAT and load balancers forget such connections sooner. */
const KEEP_ALIVE_MS = 15_000;
/** To each deployment: more than the moves that one coordinator drives, each with one command at a time. */
const MAX_SOCKETS = 512;
/** The largest answer are the lines of a log. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const NONCE_BYTES = 16;
const NO_BODY = Buffer.alloc(0);
/** How much of an answer that is not the cluster's own is quoted. */
const QUOTE_CHARS = 200;

/**
 * A connection for each request: on one that was kept, Encore's API server holds the end of an answer
 * back until the client's delayed acknowledgement (Nagle, 40 ms), and a hold of requests waits behind it.
 */
const agentOptions = { keepAlive: false, maxSockets: MAX_SOCKETS };
const agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) };

/**
 * Sends a signed request to another deployment; resolves with the head of its answer. Rejects with
 * `unavailable` when there is none: then it is not known whether the request was carried out.
 */
export async function open(
  sender: Sender,
  receiver: Receiver,
  outgoing: Outgoing,
): Promise<OpenAnswer> {
  const { clusterId, apiUrl } = receiver;
  const pinned = parsePublicKey(receiver.publicKey);
  if (!pinned) throw noKey(clusterId);
  const { claims, response } = await exchange(sender, receiver, outgoing).catch(
    (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message;
      throw APIError.unavailable(`Cannot reach cluster "${clusterId}" at ${apiUrl}: ${reason}`);
    },
  );
  const status = response.statusCode ?? 0;
  const signature = String(response.headers[ANSWER_SIGNATURE] ?? "");
  return {
    status,
    claims,
    body: response,
    isSigned: (bodyHash) => verifyAnswer({ request: claims, status, bodyHash }, signature, pinned),
  };
}

/** The registry knows where the cluster is, and not who it is. */
export function noKey(clusterId: string): APIError {
  return APIError.failedPrecondition(
    `Cannot command cluster "${clusterId}": no public key of it is pinned; set it with the cluster`,
  );
}

interface Exchanged {
  readonly claims: Claims;
  readonly response: IncomingMessage;
}

async function exchange(
  sender: Sender,
  { clusterId, apiUrl }: Receiver,
  { method, path, body = NO_BODY, signal }: Outgoing,
): Promise<Exchanged> {
  const claims: Claims = {
    from: sender.id,
    to: clusterId,
    method,
    path,
    bodyHash: hashBody(body),
    at: Date.now(),
    nonce: randomBytes(NONCE_BYTES).toString("base64url"),
  };
  const headers = {
    ...signRequest(claims, sender.key.privateKey),
    "content-length": String(body.length),
    ...(body.length > 0 && { "content-type": "application/json" }),
  };
  const url = new URL(path, apiUrl);
  const isTls = url.protocol === "https:";
  const agent = isTls ? agents.https : agents.http;
  const request = (isTls ? httpsRequest : httpRequest)(url, { method, headers, signal, agent });
  request.on("error", () => undefined); // `once` hears the first one; a later one is the body's.
  request.setSocketKeepAlive(true, KEEP_ALIVE_MS);
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.on("error", () => undefined); // Whoever reads the body hears of it.
  return { claims, response };
}

/** An answer that its receiver has signed. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Sends a signed request; rejects with `unavailable` when its answer is not the receiver's own. */
export async function ask(sender: Sender, receiver: Receiver, outgoing: Outgoing): Promise<Answer> {
  return await readAnswer(receiver, await open(sender, receiver, outgoing));
}

/** Asks for an answer whose parts are signed; rejects with the receiver's own error when it gives none. */
export async function openStream(
  sender: Sender,
  receiver: Receiver,
  outgoing: Outgoing,
): Promise<OpenAnswer> {
  const answer = await open(sender, receiver, outgoing);
  if (answer.status === 200) return answer;
  throw errorOf((await readAnswer(receiver, answer)).body);
}

async function readAnswer(receiver: Receiver, answer: OpenAnswer): Promise<Answer> {
  const { clusterId, apiUrl } = receiver;
  const body = await readBody(clusterId, answer.body);
  if (answer.isSigned(hashBody(body))) return { status: answer.status, body };
  const said = body.toString("utf8").slice(0, QUOTE_CHARS);
  throw APIError.unavailable(
    `Cannot command cluster "${clusterId}": what answers at ${apiUrl} does not sign with its key, ` +
      `or refuses ours: status ${answer.status}: ${said}`,
  );
}

async function readBody(clusterId: string, body: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw new Error(`it has more than ${MAX_ANSWER_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    const reason = (error as Error).message;
    throw APIError.unavailable(`Cannot read the answer of cluster "${clusterId}": ${reason}`);
  }
  return Buffer.concat(chunks);
}

interface ErrorAnswer {
  readonly code: ErrCode;
  readonly message: string;
  readonly details?: Record<string, unknown> | null;
}

export interface OutgoingCommand {
  readonly name: string;
  readonly fields: object;
  readonly signal: AbortSignal;
}

/** Sends a command and reads its result; an error of the command itself comes back as it was thrown. */
export async function sendCommand<Result>(
  sender: Sender,
  receiver: Receiver,
  { name, fields, signal }: OutgoingCommand,
): Promise<Result> {
  const { status, body } = await ask(sender, receiver, {
    method: "POST",
    path: `/v1/cluster-commands/${receiver.clusterId}/${name}`,
    body: Buffer.from(JSON.stringify(fields)),
    signal,
  });
  if (status === 200) return JSON.parse(body.toString("utf8")) as Result;
  throw errorOf(body);
}

function errorOf(body: Buffer): APIError {
  const { code, message, details } = JSON.parse(body.toString("utf8")) as ErrorAnswer;
  return new APIError(code, message, undefined, details ?? undefined);
}
