import type {
  Cluster,
  Container,
  DnsInstance,
  Items,
  Migration,
  ProxyInstance,
  Repl,
  Unreachable,
} from "../api-types";
import type { Command } from "../command";
import type { Context } from "../context";
import { count, type Palette, table } from "../format";

interface Status {
  readonly api: string;
  readonly clusters: readonly Cluster[];
  readonly proxies: readonly ProxyInstance[];
  readonly nameServers: readonly DnsInstance[];
  readonly apps: number;
  readonly running: number;
  readonly moving: readonly Migration[];
  /** Clusters that do not answer, and why. */
  readonly unreachable: readonly Unreachable[];
}

const status: Command = {
  name: "status",
  doc: "Show what runs and how it is",
  run: async (_input, context) => {
    const now = await read(context);
    context.result(now, () => render(context, now));
  },
};

async function read({ api }: Context): Promise<Status> {
  const [clusters, proxies, nameServers, apps, containers, moving] = await Promise.all([
    api.get<Items<Cluster>>("/v1/clusters"),
    api.get<Items<ProxyInstance>>("/v1/proxies"),
    api.get<Items<DnsInstance>>("/v1/dns/instances"),
    api.get<Items<Repl>>("/v1/repls"),
    api.get<Items<Container>>("/v1/containers"),
    api.get<Items<Migration>>("/v1/migrations", { query: { open: "true" } }),
  ]);
  return {
    api: api.address,
    clusters: clusters.items,
    proxies: proxies.items,
    unreachable: proxies.unreachable ?? [],
    nameServers: nameServers.items,
    apps: apps.items.length,
    running: containers.items.filter(({ state }) => state === "running").length,
    moving: moving.items,
  };
}

function render({ paint }: Context, now: Status): string {
  const parts = [
    `${count(now.apps, "app")}, ${count(now.running, "container")} running, ${
      now.moving.length === 0 ? "nothing moves" : `${count(now.moving.length, "move")} under way`
    }`,
    table(
      ["CLUSTER", "STATE", ">APPS", "PROXY LISTENS", ">CONNS", ">HELD", ">REQUESTS", ">FORWARDED"],
      now.clusters.map((cluster) => [
        paint.bold(cluster.id),
        cluster.state === "active" ? paint.green(cluster.state) : paint.yellow(cluster.state),
        String(cluster.repls),
        ...proxyCells(now.proxies.filter(({ clusterId }) => clusterId === cluster.id)),
      ]),
    ),
    table(
      ["NAME SERVER", "LISTENS", ">QUERIES", ">LOG", ">AGE"],
      now.nameServers.map(({ instanceId, listening, queries, seq, logAgeSeconds }) => [
        instanceId,
        listening.join(" "),
        String(queries),
        String(seq),
        logAgeSeconds === null ? "unknown" : `${Math.round(logAgeSeconds)} s`,
      ]),
    ),
  ];
  parts.push(...refusedLines(paint, now.proxies), ...unreachableLines(paint, now.unreachable));
  parts.push(...silentLines(paint, now.nameServers));
  if (now.moving.length > 0) {
    const rows = now.moving.map(({ id, from, to, mode, phase }) => [
      id,
      from,
      to,
      mode ?? "",
      phase,
    ]);
    parts.push(table(["MOVE", "FROM", "TO", "MODE", "PHASE"], rows));
  }
  return parts.join("\n\n");
}

function refusedLines(paint: Palette, proxies: readonly ProxyInstance[]): string[] {
  return proxies
    .filter(({ holdsRefused }) => holdsRefused > 0)
    .map(({ clusterId, holdsRefused }) =>
      paint.yellow(
        `${clusterId} has answered 503 to ${count(holdsRefused, "request")}: too many were held`,
      ),
    );
}

function silentLines(paint: Palette, nameServers: readonly DnsInstance[]): string[] {
  return nameServers
    .filter(({ alive }) => !alive)
    .map(({ instanceId, seenSecondsAgo }) =>
      paint.yellow(
        `name server ${instanceId} has not been heard of for ${Math.round(seenSecondsAgo)} s`,
      ),
    );
}

export function unreachableLines(paint: Palette, unreachable: readonly Unreachable[]): string[] {
  return unreachable.map(({ clusterId, reason }) =>
    paint.yellow(`${clusterId} does not answer: ${reason}`),
  );
}

function proxyCells(proxies: readonly ProxyInstance[]): string[] {
  if (proxies.length === 0) return ["no proxy", "", "", "", ""];
  const sum = (of: (proxy: ProxyInstance) => number): string =>
    String(proxies.reduce((total, proxy) => total + of(proxy), 0));
  return [
    proxies.flatMap(({ listening }) => listening).join(" "),
    sum(({ connections }) => connections),
    sum(({ held }) => held),
    sum(({ requests }) => requests),
    sum(({ forwarded }) => forwarded),
  ];
}

export const statusCommands: readonly Command[] = [status];
