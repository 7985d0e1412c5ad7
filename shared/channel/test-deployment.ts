import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { type DeploymentKey, parsePublicKey } from "./key";
import { createNonces } from "./nonces";
import { ANSWER_SIGNATURE, CLOCK_SKEW_MS, hashBody, signAnswer, verifyRequest } from "./signature";

/** For tests: a key that no file holds. */
export function newKey(): DeploymentKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, publicKey: String(publicKey.export({ format: "jwk" }).x) };
}

export interface Served {
  readonly url: string;
  readonly close: () => void;
}

/** For tests: the API server of another deployment, on a free port. */
export async function serveHttp(
  handle: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Served> {
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a double of a cluster's `containers` does; a rejection is answered as an error of the command. */
export type CarryOut = (name: string, fields: never) => Promise<unknown>;

/** What becomes of an answer on its way: it is sent, lost, or was never given. */
export type Fate = "sent" | "lost" | "refused";

/** For tests: a deployment that takes commands to one cluster, signed by `controlKey`, and signs its answers. */
export async function serveCluster(
  clusterId: string,
  { key, controlKey }: { readonly key: DeploymentKey; readonly controlKey: string },
  carryOut: CarryOut,
  fateOf: () => Fate = () => "sent",
): Promise<Served> {
  const lifetimeMs = 2 * CLOCK_SKEW_MS;
  const nonces = createNonces({ lifetimeMs, limit: 10_000, since: Date.now() - CLOCK_SKEW_MS });
  const control = parsePublicKey(controlKey);
  const keysOf = (sender: string) => (sender === "control" && control ? [control] : []);
  return await serveHttp(async (request, response) => {
    const { method = "", url: path = "", headers } = request;
    const head = { method, path, headers };
    const verified = verifyRequest(head, { receiver: clusterId, now: Date.now(), keysOf, nonces });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const fate = fateOf();
    if ("refusal" in verified || fate === "refused") return response.writeHead(401).end("refused");
    const { claims } = verified;
    const body = Buffer.concat(chunks);
    if (hashBody(body) !== claims.bodyHash) return response.writeHead(401).end("another body");
    const name = path.split("/").at(-1) ?? "";
    const { status, value } = await carryOut(name, JSON.parse(body.toString("utf8")) as never).then(
      (result) => ({ status: 200, value: result }),
      (error: unknown) => ({ status: 422, value: error }),
    );
    if (fate === "lost") return response.destroy();
    const text = Buffer.from(JSON.stringify(value));
    const signed = { request: claims, status, bodyHash: hashBody(text) };
    response.setHeader(ANSWER_SIGNATURE, signAnswer(signed, key.privateKey));
    return response.writeHead(status, { "content-length": text.length }).end(text);
  });
}
