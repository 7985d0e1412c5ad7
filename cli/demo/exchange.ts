import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** One request to an address, for a host: what a visitor does once it has resolved the name. */
export interface Ask {
  readonly address: string;
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Parts of the body; each after the first waits `pauseMs`. */
  readonly parts?: ReadonlyArray<string | Uint8Array>;
  readonly pauseMs?: number;
  /** Keeps connections; without one each request has its own. */
  readonly agent?: Agent;
  /** Is given the answer's body piece by piece; then it is not kept. */
  readonly sink?: (piece: Buffer) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** When it was asked: once its connection stood. */
  readonly askedAt: number;
  /** From the request's start to the response's head, in milliseconds. */
  readonly headMs: number;
}

/** There is no whole answer. */
export class Unserved extends Error {
  constructor(
    why: string,
    /** When it was asked; when the connection failed, if there was none. */
    readonly askedAt: number,
    /** Not a byte of an answer came, and the connection says so: it may be asked elsewhere. */
    readonly isUnanswered: boolean,
  ) {
    super(why);
  }
}

/** Longer than any hold may take, so that what ends a request is the platform and not we. */
const TIMEOUT_MS = 30_000;

/** Resolves with the whole answer; rejects with `Unserved` when it did not come, or came in part. */
export async function exchange(ask: Ask, now: () => number): Promise<Answer> {
  const startedAt = now();
  const { response, askedAt } = await begin(ask, now);
  const headMs = now() - startedAt;
  const body = await readAll(response, ask.sink).catch((error: Error) => {
    throw new Unserved(error.message, askedAt, false);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body, askedAt, headMs };
}

/** Resolves at the response's head. */
export async function open(ask: Ask): Promise<IncomingMessage> {
  return (await begin(ask, () => performance.now())).response;
}

function begin(
  ask: Ask,
  now: () => number,
): Promise<{ response: IncomingMessage; askedAt: number }> {
  return new Promise((resolve, reject) => {
    const { address, port, path, method = "GET", agent = false } = ask;
    const body = ask.parts ?? [];
    const length = body.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
    const outgoing = request({
      host: address,
      port,
      path,
      method,
      agent,
      headers: {
        host: `${ask.host}:${port}`,
        ...(ask.parts === undefined ? {} : { "content-length": length }),
        ...ask.headers,
      },
    });
    let askedAt: number | undefined;
    let heard = (): boolean => false;
    let isSilent = false;
    outgoing.setTimeout(TIMEOUT_MS, () => {
      isSilent = true;
      outgoing.destroy(new Error(`nothing was heard for ${TIMEOUT_MS} ms`));
    });
    outgoing.on("socket", (socket) => {
      const before = socket.bytesRead;
      heard = () => socket.bytesRead > before;
      if (socket.connecting) socket.once("connect", () => (askedAt = now()));
      else askedAt = now();
    });
    outgoing.on("response", (response) => resolve({ response, askedAt: askedAt ?? now() }));
    outgoing.on("error", (error) => {
      const why = `no answer: ${error.message}`;
      reject(new Unserved(why, askedAt ?? now(), !isSilent && !heard()));
    });
    void writeParts(body, ask.pauseMs ?? 0, outgoing);
  });
}

/** Ends at once when nobody takes the body any more. */
async function writeParts(
  parts: ReadonlyArray<string | Uint8Array>,
  pauseMs: number,
  outgoing: ReturnType<typeof request>,
): Promise<void> {
  for (const [at, part] of parts.entries()) {
    if (at > 0 && pauseMs > 0) await sleep(pauseMs);
    if (outgoing.destroyed) return;
    if (!outgoing.write(part) && at < parts.length - 1) await drained(outgoing);
  }
  outgoing.end();
}

function drained(outgoing: ReturnType<typeof request>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done).off("close", done);
      resolve();
    };
    outgoing.once("drain", done).once("close", done);
  });
}

function readAll(response: IncomingMessage, sink?: (piece: Buffer) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => {
      if (sink) sink(chunk);
      else chunks.push(chunk);
    });
    response.on("error", () => reject(new Error("the body was cut off")));
    response.on("end", () => {
      if (response.complete) resolve(Buffer.concat(chunks).toString("utf8"));
      else reject(new Error("the body was cut off"));
    });
  });
}
