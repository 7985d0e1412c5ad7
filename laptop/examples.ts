import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { type Api, path } from "../cli/api-client";
import type { Cluster, Container, Items, Repl } from "../cli/api-types";
import { DEFAULT_OWNER } from "../cli/apps";

interface Example {
  readonly name: string;
  readonly cluster: string;
  readonly policy: "auto" | "handoff";
}

/** Hello is the first: that it answers is what `ready` means. */
export const HELLO: Example = { name: "hello", cluster: "east", policy: "auto" };
export const OTHERS: readonly Example[] = [
  { name: "notes", cluster: "west", policy: "handoff" },
  { name: "chat", cluster: "east", policy: "auto" },
  { name: "python", cluster: "west", policy: "auto" },
];

const DEPLOY_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 5;

/** The example as it is, or deployed where it is not there yet. */
export async function ensureExample(api: Api, root: string, example: Example): Promise<Repl> {
  const { name, cluster, policy } = example;
  const owner = DEFAULT_OWNER;
  const { items } = await api.get<Items<Repl>>("/v1/repls", { query: { owner } });
  const there = items.find((repl) => repl.name === name);
  if (there && (await isDeployed(api, there))) return there;
  const repl = there ?? (await api.post<Repl>("/v1/repls", { name, owner, cluster, policy }));
  const body = { directory: join(root, "examples", name) };
  await api.put(path`/v1/repls/${repl.id}/release`, body, { timeoutMs: DEPLOY_TIMEOUT_MS });
  return repl;
}

/** A start that was cut off may have left the name without the app. */
async function isDeployed(api: Api, repl: Repl): Promise<boolean> {
  const { items } = await api.get<Items<Container>>("/v1/containers");
  return items.some(({ replId }) => replId === repl.id);
}

/** Resolves when the app answers 200, asked by its name through its home's proxy. */
export async function untilAnswers(repl: Repl, home: Cluster): Promise<void> {
  const giveUpAt = performance.now() + READY_TIMEOUT_MS;
  let last = "nothing";
  while (performance.now() < giveUpAt) {
    last = await ask(home.ingress[0] ?? "127.0.0.1", home.httpPort, repl.host);
    if (last === "200") return;
    await sleep(POLL_MS);
  }
  throw new Error(`${repl.host} does not answer: the last that was heard is "${last}"`);
}

function ask(address: string, port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const request = get({
      host: address,
      port,
      headers: { host: `${host}:${port}` },
      agent: false,
    });
    request.on("response", (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}
