import { type Api, openApi } from "../cli/api-client";
import type { Cluster, Items, Repl } from "../cli/api-types";
import { urlOf } from "../cli/apps";
import { columns, table } from "../cli/format";
import { config as dnsConfig } from "../dns/settings";
import type { Address } from "../shared/settings";
import type { NewCluster } from "./clusters";
import { ensureExample, HELLO, OTHERS, untilAnswers } from "./examples";
import { show } from "./ports";

/** What a platform that has just started is given, and what is said of it. */
export interface Furnishing {
  readonly root: string;
  readonly stateDir: string;
  readonly apiListen: Address;
  readonly tokenFile: string;
  /** The clusters of a first start. */
  readonly clusters: readonly NewCluster[];
  readonly examples: boolean;
  /** More that listens: its address, and what it is. */
  readonly also: readonly (readonly [address: string, what: string])[];
  /** Where the log is. */
  readonly log: string;
  /** What stands before the commands that are proposed. */
  readonly prefix: string;
}

/** Two clusters and the examples, where they are not there yet; then the table. */
export async function furnish(furnishing: Furnishing): Promise<void> {
  const { root, apiListen, tokenFile } = furnishing;
  const address = `http://${show(apiListen)}`;
  const api = openApi({ address, tokenFile, signal: new AbortController().signal });
  const clusters = await ensureClusters(api, furnishing.clusters);
  const faults: string[] = [];
  let readyMs: number | undefined;
  if (furnishing.examples) {
    const [home] = clusters;
    const example = { ...HELLO, cluster: home?.id ?? HELLO.cluster };
    const hello = await ensureExample(api, root, example);
    await untilAnswers(hello, clusters.find(({ id }) => id === hello.clusterId) ?? homeless(hello));
    readyMs = sinceStart();
    const others = OTHERS.map((other) =>
      ensureExample(api, root, other).catch((error: Error) => {
        faults.push(`Cannot deploy the example ${other.name}: ${error.message}`);
      }),
    );
    await Promise.all(others);
  }
  const apps = await api.get<Items<Repl>>("/v1/repls");
  console.log(summary(furnishing, clusters, apps.items));
  for (const fault of faults) console.error(fault);
  console.log(
    `\nready in ${((readyMs ?? sinceStart()) / 1000).toFixed(1)} s; Ctrl-C stops everything`,
  );
}

function homeless({ host, clusterId }: Repl): never {
  throw new Error(`${host} lives in "${clusterId}": there is no such cluster`);
}

/** From the process's start. */
function sinceStart(): number {
  return performance.now();
}

/** At the first start east and west; afterwards whatever there is. */
async function ensureClusters(api: Api, first: readonly NewCluster[]): Promise<readonly Cluster[]> {
  const { items } = await api.get<Items<Cluster>>("/v1/clusters");
  if (items.length > 0) return items;
  return Promise.all(first.map((cluster) => api.post<Cluster>("/v1/clusters", cluster)));
}

function summary(
  { stateDir, apiListen, tokenFile, also, log, prefix }: Furnishing,
  clusters: readonly Cluster[],
  apps: readonly Repl[],
): string {
  const { zone, listen } = dnsConfig();
  const port = (id: string): number => clusters.find((one) => one.id === id)?.httpPort ?? 80;
  const listening = [
    [show(apiListen), `API, for whoever has ${tokenFile}`],
    [listen.map(show).join(" "), `name server, UDP and TCP, of the zone ${zone}`],
    ...clusters.map(({ id, listen: at }) => [at[0] ?? "nowhere", `proxy of ${id}${others(at)}`]),
    ...also,
  ];
  const rows = apps.map(({ name, owner, clusterId, host }) => [
    `${name}.${owner}`,
    clusterId,
    urlOf(host, port(clusterId)),
  ]);
  const next = [
    ["move hello west", "move an app and watch each phase"],
    ["where hello", "its cluster, its names, what DNS answers"],
    ["demo", "hundreds of requests a second while apps move"],
  ].map(([command, what]) => [`  ${prefix}npx stele ${command}`, what ?? ""]);
  return [
    `Stele runs here; its data is in ${stateDir}, its log is ${log}`,
    columns(listening.map((row) => [`  ${row[0]}`, row[1] ?? ""])),
    indent(table(["APP", "CLUSTER", "URL"], rows)),
    `Try next, in another terminal:\n${columns(next)}`,
  ].join("\n\n");
}

function others([, ...rest]: readonly string[]): string {
  return rest.length === 0 ? "" : `, also ${rest.join(" and ")} for browsers`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
