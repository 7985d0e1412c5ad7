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
  readonly parts?: readonly string[];
  readonly pauseMs?: number;
  /** Keeps connections; without one each request has its own. */
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** From the request's start to the response's head, in milliseconds. */
  readonly headMs: number;
}

/** Longer than any hold may take, so that what ends a request is the platform and not we. */
const TIMEOUT_MS = 30_000;

/** Resolves with the whole answer; rejects when it did not come, or came in part. */
export async function exchange(ask: Ask, now: () => number): Promise<Answer> {
  const startedAt = now();
  const response = await open(ask);
  const headMs = now() - startedAt;
  const body = await readAll(response);
  return { status: response.statusCode ?? 0, headers: response.headers, body, headMs };
}

/** Resolves at the response's head. */
export function open(ask: Ask): Promise<IncomingMessage> {
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
    outgoing.setTimeout(TIMEOUT_MS, () => {
      outgoing.destroy(new Error(`nothing was heard for ${TIMEOUT_MS} ms`));
    });
    outgoing.on("response", resolve);
    outgoing.on("error", (error) => reject(new Error(`no answer: ${error.message}`)));
    void writeParts(body, ask.pauseMs ?? 0, (part) => outgoing.write(part)).then(() => {
      outgoing.end();
    });
  });
}

async function writeParts(
  parts: readonly string[],
  pauseMs: number,
  write: (part: string) => void,
): Promise<void> {
  for (const [at, part] of parts.entries()) {
    if (at > 0 && pauseMs > 0) await sleep(pauseMs);
    write(part);
  }
}

function readAll(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", () => reject(new Error("the body was cut off")));
    response.on("end", () => {
      if (response.complete) resolve(Buffer.concat(chunks).toString("utf8"));
      else reject(new Error("the body was cut off"));
    });
  });
}
