import { generateKeyPairSync, sign as signBytes, verify as verifyBytes } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";

import type { Piece } from "./core/pieces";
import type { Answer, Ask } from "./file-draw";
import { StreamCut, type Unsealed } from "./file-frames";
import { give } from "./file-give";
import { pour } from "./file-pour";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");

export const sign = (digest: string): string =>
  signBytes(null, Buffer.from(digest), privateKey).toString("base64url");
export const isSigned = (digest: string, signature: string): boolean =>
  verifyBytes(null, Buffer.from(digest), publicKey, Buffer.from(signature, "base64url"));

/** For tests: a source that gives a generation's folder over HTTP, and what it did. */
export interface TestSource {
  readonly ask: Ask;
  readonly asked: (readonly Piece[] | null)[];
  /** Bytes of chunks that were made, and that the other side has read. */
  made: number;
  taken: number;
  /** Breaks an answer when so many more bytes were taken. */
  cutAfter: number;
  close(): Promise<void>;
}

export const RELEASE = { release: 1, command: "node index.mjs", framework: "node" };

export async function startSource(fromDir: string): Promise<TestSource> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, response) => {
    const work = async (): Promise<void> => {
      const pieces = (await bodyOf(incoming)) as readonly Piece[] | null;
      source.asked.push(pieces);
      const chunks = give({ kind: "give", fromDir, pieces, final: false, release: RELEASE });
      const next = async (): Promise<Unsealed | null> => {
        const { value } = chunks.next();
        source.made += (value as Unsealed | undefined)?.bytes.length ?? 0;
        return (value as Unsealed | undefined) ?? null;
      };
      await pour(response, { next, sign, signal: new AbortController().signal });
      response.end();
    };
    work().catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const source: TestSource = {
    asked: [],
    made: 0,
    taken: 0,
    cutAfter: Infinity,
    ask: async (pieces) => {
      const outgoing = request({ port, host: "127.0.0.1", method: "POST", agent });
      outgoing.end(JSON.stringify(pieces));
      const [response] = (await once(outgoing, "response")) as [IncomingMessage];
      response.on("error", () => undefined);
      return answerOf(source, response);
    },
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return source;
}

function answerOf(source: TestSource, response: IncomingMessage): Answer {
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      source.cutAfter -= chunk.length;
      if (source.cutAfter < 0) throw new StreamCut("cut by the test");
      source.taken += chunk.length;
      yield chunk;
    }
  }
  return { chunks: counted(), isSigned, close: () => void response.destroy() };
}

async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}
