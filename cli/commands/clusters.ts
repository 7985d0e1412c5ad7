import { path } from "../api-client";
import type { Cluster, Items } from "../api-types";
import type { Command } from "../command";
import type { Context } from "../context";
import { usage } from "../failure";
import { table } from "../format";
import { splitAddress } from "../resolve";

const CLUSTER = { name: "cluster", doc: "its id, such as north" };
const DEFAULT_PORT = 8080;
const LAST_LOOPBACK = 254;

const ls: Command = {
  name: "clusters ls",
  doc: "List the clusters",
  run: async (_input, context) => {
    const { items } = await context.api.get<Items<Cluster>>("/v1/clusters");
    context.result({ items }, () => render(context, items));
  },
};

function render({ paint }: Context, items: readonly Cluster[]): string {
  const rows = items.map(({ id, state, ingress, listen, apiUrl, repls }) => [
    paint.bold(id),
    state === "active" ? paint.green(state) : paint.yellow(state),
    String(repls),
    ingress.join(" "),
    listen.join(" "),
    apiUrl ?? "here",
  ]);
  return table(["CLUSTER", "STATE", ">APPS", "DNS ANSWERS", "PROXY LISTENS", "API"], rows);
}

const add: Command = {
  name: "clusters add",
  doc: "Add a cluster, also while all runs",
  args: [CLUSTER],
  options: {
    ingress: { value: "addresses", doc: "what DNS answers; the next free 127.0.N.1 when left out" },
    listen: { value: "addresses", doc: "what its proxy binds; the ingress when left out" },
    port: { value: "port", default: String(DEFAULT_PORT), doc: "the visitors' port" },
    api: { value: "url", doc: "its API, when another process serves the cluster" },
    key: { value: "key", doc: "with --api: its public key, what is in its deployment-key.pub" },
  },
  more: "  stele clusters add north --ingress 127.0.3.1 --listen 127.0.3.1:8080",
  run: async (input, context) => {
    const { items } = await context.api.get<Items<Cluster>>("/v1/clusters");
    const httpPort = input.number("port");
    const ingress = parts(input.text("ingress")) ?? nextIngress(items);
    const listen = parts(input.text("listen")) ?? ingress.map((at) => join(at, httpPort));
    for (const address of listen) checkAddress(address);
    const remote = { apiUrl: input.text("api"), publicKey: input.text("key") };
    const body = { id: input.arg("cluster"), ingress, httpPort, listen, ...remote };
    const cluster = await context.api.post<Cluster>("/v1/clusters", body);
    context.result(cluster, () => render(context, [cluster]));
  },
};

const set: Command = {
  name: "clusters set",
  doc: "Change a cluster",
  args: [CLUSTER],
  options: {
    state: { value: "state", doc: "active, or cordoned: no app is placed there any more" },
    ingress: { value: "addresses", doc: "what DNS answers, separated by commas" },
    listen: { value: "addresses", doc: "what its proxy binds, separated by commas" },
    key: { value: "key", doc: "its public key, when it has a new one" },
  },
  run: async (input, context) => {
    const state = input.text("state");
    if (state !== undefined && state !== "active" && state !== "cordoned") {
      throw usage(`--state "${state}": active and cordoned are the states`);
    }
    const body = {
      state,
      ingress: parts(input.text("ingress")),
      listen: parts(input.text("listen")),
      publicKey: input.text("key"),
    };
    if (Object.values(body).every((value) => value === undefined)) {
      throw usage("nothing to change: give --state, --ingress, --listen or --key");
    }
    const route = path`/v1/clusters/${input.arg("cluster")}`;
    const cluster = await context.api.patch<Cluster>(route, body);
    context.result(cluster, () => render(context, [cluster]));
  },
};

const rm: Command = {
  name: "clusters rm",
  doc: "Remove a cluster that has no apps",
  args: [CLUSTER],
  run: async (input, context) => {
    const id = input.arg("cluster");
    await context.api.delete(path`/v1/clusters/${id}`);
    context.result({ removed: id }, () => `cluster ${id} is removed`);
  },
};

function parts(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  return text.split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]));
}

function join(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function checkAddress(address: string): void {
  try {
    splitAddress(address);
  } catch {
    throw usage(`--listen "${address}": expected an address and a port, such as 127.0.3.1:8080`);
  }
}

/** On a laptop clusters are told apart by loopback addresses: 127.0.1.1, 127.0.2.1, and so on. */
export function nextIngress(clusters: readonly Cluster[]): readonly string[] {
  const taken = new Set(clusters.flatMap(({ ingress }) => ingress));
  if (![...taken].every((address) => address.startsWith("127."))) {
    throw usage("--ingress is missing: the addresses that DNS answers for the new cluster");
  }
  for (let n = 1; n <= LAST_LOOPBACK; n++) {
    const address = `127.0.${n}.1`;
    if (!taken.has(address)) return [address];
  }
  throw usage("--ingress is missing: every 127.0.N.1 is taken");
}

export const clusterCommands: readonly Command[] = [ls, add, set, rm];
