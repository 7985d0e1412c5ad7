import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { path } from "../api-client";
import type { Cluster, Container, Deployed, Domain, Items, LogPage, Repl } from "../api-types";
import { DEFAULT_OWNER, findApp, orNothing, urlOf } from "../apps";
import type { Command, Input } from "../command";
import type { Context } from "../context";
import { Failure, usage } from "../failure";
import { age, columns, table } from "../format";
import { dataModeOf, readManifest } from "../manifest";
import { openNameServer, type Resolved } from "../resolve";

const DEPLOY_TIMEOUT_MS = 120_000; // The files are copied and the app is started within it.
const FOLLOW_MS = 300;
const LOG_PAGE = 1_000;

const APP = { name: "app", doc: "name.owner, a name, or an id" };

const deploy: Command = {
  name: "deploy",
  doc: "Deploy a directory as an app, new or not",
  args: [{ name: "dir", doc: "the directory, with a Procfile, a package.json or a --command" }],
  options: {
    name: { value: "name", doc: "the app's name; the directory's when left out" },
    owner: { value: "owner", default: DEFAULT_OWNER, doc: "whose it is" },
    cluster: { value: "cluster", doc: "where a new app goes; chosen when left out" },
    command: { value: "command", doc: "how it is started, instead of what is found" },
    data: {
      value: "mode",
      doc: "what it keeps in its files: none, files, or auto (look each time)",
    },
    policy: { value: "policy", doc: "how it moves, whatever it keeps: auto, overlap or handoff" },
  },
  more: [
    "  stele deploy . --name shop --owner ann --cluster west",
    "",
    "  An app with data files is handed over: it stops, the last changes are copied, it starts again. One with",
    '  data none runs twice for a moment. A stele.json in the directory can say it: { "data": { "mode": "files" } }',
  ].join("\n"),
  run: async (input, context) => {
    const { api } = context;
    const directory = resolve(input.arg("dir"));
    if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Failure(`cannot deploy "${directory}": it is no directory`);
    }
    const name = input.text("name") ?? basename(directory).toLowerCase();
    const owner = input.text("owner") ?? DEFAULT_OWNER;
    const { repl, isNew } = await findOrCreate(context, {
      name,
      owner,
      cluster: input.text("cluster"),
      policy: input.text("policy"),
      dataMode: dataModeFor(input, directory),
    });
    const command = input.text("command");
    const body = { directory, ...(command === undefined ? {} : { command }) };
    const timeoutMs = DEPLOY_TIMEOUT_MS;
    const route = path`/v1/repls/${repl.id}/release`;
    const release = await api.put<Deployed>(route, body, { timeoutMs }).catch(async (error) => {
      // What cannot be deployed at all must not leave an empty app behind; one that fails to start may.
      const isRefused = error instanceof Failure && error.code === "invalid_argument";
      if (isNew && isRefused) await api.delete(path`/v1/repls/${repl.id}`);
      throw error;
    });
    const url = urlOf(repl.host, await httpPort(context, release.clusterId));
    context.result({ ...repl, ...release, url }, () =>
      [
        `${context.paint.bold(`${name}.${owner}`)} release ${release.release} in ${release.clusterId}: ${release.command} (${release.framework})`,
        url,
      ].join("\n"),
    );
  },
};

interface NewApp {
  readonly name: string;
  readonly owner: string;
  readonly cluster: string | undefined;
  readonly policy: string | undefined;
  readonly dataMode: string | undefined;
}

function dataModeFor(input: Input, directory: string): string | undefined {
  const asked = input.text("data");
  return asked ?? dataModeOf(readManifest(directory));
}

interface FoundOrMade {
  readonly repl: Repl;
  readonly isNew: boolean;
}

async function findOrCreate({ api }: Context, app: NewApp): Promise<FoundOrMade> {
  const { name, owner, cluster, policy, dataMode } = app;
  const data = dataMode === undefined ? undefined : { mode: dataMode };
  const there = await orNothing(api.get<Repl>(path`/v1/repls/by-name/${owner}/${name}`));
  if (!there) {
    const made = await api.post<Repl>("/v1/repls", { name, owner, cluster, policy, data });
    return { repl: made, isNew: true };
  }
  if (cluster !== undefined && cluster !== there.clusterId) {
    throw usage(
      `${name}.${owner} lives in ${there.clusterId}: stele move ${name}.${owner} ${cluster} moves it`,
    );
  }
  const isSame = (policy ?? there.policy) === there.policy;
  if (isSame && (dataMode ?? there.data.mode) === there.data.mode) {
    return { repl: there, isNew: false };
  }
  const changed = await api.patch<Repl>(path`/v1/repls/${there.id}`, { policy, data });
  return { repl: changed, isNew: false };
}

async function httpPort({ api }: Context, clusterId: string): Promise<number> {
  const { items } = await api.get<Items<Cluster>>("/v1/clusters");
  return items.find(({ id }) => id === clusterId)?.httpPort ?? 80;
}

const ls: Command = {
  name: "ls",
  doc: "List the apps",
  options: { owner: { value: "owner", doc: "only theirs" } },
  run: async (input, context) => {
    const { api, paint } = context;
    const [apps, containers, clusters] = await Promise.all([
      api.get<Items<Repl>>("/v1/repls", { query: { owner: input.text("owner") } }),
      api.get<Items<Container>>("/v1/containers"),
      api.get<Items<Cluster>>("/v1/clusters"),
    ]);
    const ports = new Map(clusters.items.map(({ id, httpPort: port }) => [id, port]));
    const items = apps.items.map((app) => {
      const container = current(containers.items, app);
      const url = urlOf(app.host, ports.get(app.clusterId) ?? 80);
      return { ...app, state: container?.state ?? "asleep", url };
    });
    context.result({ items }, () =>
      items.length === 0
        ? "No apps: stele deploy <dir> makes one"
        : table(
            ["APP", "CLUSTER", ">GEN", "STATE", "DATA", "MOVES BY", "AGE", "URL"],
            items.map(
              ({ name, owner, clusterId, generation, state, data, policy, createdAt, url }) => [
                paint.bold(`${name}.${owner}`),
                clusterId,
                String(generation),
                paintState(context, state),
                data.mode,
                policy,
                age(createdAt, context.now()),
                url,
              ],
            ),
          ),
    );
  },
};

function current(containers: readonly Container[], app: Repl): Container | undefined {
  const own = ({ replId, clusterId, generation }: Container): boolean =>
    replId === app.id && clusterId === app.clusterId && generation === app.generation;
  return containers.find((container) => own(container) && container.state !== "stopped");
}

function paintState({ paint }: Context, state: string): string {
  if (state === "running") return paint.green(state);
  return state === "failed" ? paint.red(state) : paint.dim(state);
}

const where: Command = {
  name: "where",
  doc: "Where an app is: its cluster, its names, and what our name server answers",
  args: [APP],
  run: async (input, context) => {
    const { api } = context;
    const app = await findApp(api, input.arg("app"));
    const query = { query: { replId: app.id } };
    const [clusters, containers, domains] = await Promise.all([
      api.get<Items<Cluster>>("/v1/clusters"),
      api.get<Items<Container>>("/v1/containers"),
      api.get<Items<Domain>>("/v1/domains", query),
    ]);
    const cluster = clusters.items.find(({ id }) => id === app.clusterId);
    const dns = await ask(context, app.host);
    const zone = app.host.slice(`${app.name}.${app.owner}.`.length);
    const names = [app.host, `${app.name}--${app.owner}.${zone}`, `${app.id}.id.${zone}`];
    const container = current(containers.items, app) ?? null;
    const url = urlOf(app.host, cluster?.httpPort ?? 80);
    const found = { app, cluster, container, names, domains: domains.items, url, dns };
    context.result(found, () => renderWhere(context, found));
  },
};

interface Found {
  readonly app: Repl;
  readonly cluster: Cluster | undefined;
  readonly container: Container | null;
  readonly names: readonly string[];
  readonly domains: readonly Domain[];
  readonly url: string;
  readonly dns: Resolved | { readonly error: string };
}

function renderWhere(context: Context, found: Found): string {
  const { app, cluster, container, names, domains, url, dns } = found;
  const rows: string[][] = [
    ["app", `${context.paint.bold(`${app.name}.${app.owner}`)}  ${context.paint.dim(app.id)}`],
    ["home", `${app.clusterId}, generation ${app.generation}`],
    ["addresses", cluster?.ingress.join(", ") ?? "none"],
    ["container", describe(context, container)],
    ...names.map((name, at) => [at === 0 ? "names" : "", name]),
    ...domains.map(({ hostname, status }) => ["", `${hostname} (${status})`]),
    ["dns", describeAnswer(context, dns)],
    ["url", url],
  ];
  return columns(rows);
}

function describe(context: Context, container: Container | null): string {
  if (!container) return context.paint.dim("asleep: the next request wakes it");
  const { state, pid, port, startedAt, reason } = container;
  const details = [
    pid === null ? "" : `pid ${pid}`,
    port === null ? "" : `port ${port}`,
    startedAt === null ? "" : `since ${age(startedAt, context.now())}`,
    reason ?? "",
  ];
  return [paintState(context, state), ...details.filter((detail) => detail !== "")].join(", ");
}

function describeAnswer(context: Context, dns: Found["dns"]): string {
  if ("error" in dns) return context.paint.red(dns.error);
  const records = dns.records.map(({ type, data, ttl }) => `${type} ${data} (TTL ${ttl})`);
  return `${context.dnsServer} answers ${records.join(", ") || dns.rcode}`;
}

async function ask(context: Context, name: string): Promise<Found["dns"]> {
  const server = openNameServer(context.dnsServer);
  try {
    return await server.query(name, "A");
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    server.close();
  }
}

const logs: Command = {
  name: "logs",
  doc: "Show what an app wrote",
  args: [APP],
  options: {
    lines: { value: "count", short: "n", default: "100", doc: "so many of the last lines" },
    follow: { short: "f", doc: "go on as more is written" },
  },
  run: async (input, context) => {
    const app = await findApp(context.api, input.arg("app"));
    const route = path`/v1/repls/${app.id}/logs`;
    let page = await context.api.get<LogPage>(route, { query: { lines: input.number("lines") } });
    print(context, page);
    if (!input.isOn("follow")) return;
    while (!context.signal.aborted) {
      await sleep(FOLLOW_MS, undefined, { signal: context.signal }).catch(() => undefined);
      if (context.signal.aborted) return;
      page = await context.api.get<LogPage>(route, {
        query: { lines: LOG_PAGE, after: page.next },
      });
      print(context, page);
    }
  },
};

/** With --json a line of JSON each, so that it can be followed by a machine too. */
function print(context: Context, { items }: LogPage): void {
  for (const item of items) {
    const at = item.at === null ? "" : `${context.paint.dim(item.at)} `;
    context.write(`${context.json ? JSON.stringify(item) : `${at}${item.line}`}\n`);
  }
}

const restart: Command = {
  name: "restart",
  doc: "Restart an app",
  args: [APP],
  run: async (input, context) => {
    const app = await findApp(context.api, input.arg("app"));
    await context.api.post(path`/v1/repls/${app.id}/restart`, {}, { timeoutMs: DEPLOY_TIMEOUT_MS });
    context.result({ restarted: app.id }, () => `${app.name}.${app.owner} was restarted`);
  },
};

const stop: Command = {
  name: "stop",
  doc: "Put an app to sleep: the next request wakes it",
  args: [APP],
  run: async (input, context) => {
    const app = await findApp(context.api, input.arg("app"));
    await context.api.post(path`/v1/repls/${app.id}/stop`, {}, { timeoutMs: DEPLOY_TIMEOUT_MS });
    context.result({ stopped: app.id }, () => `${app.name}.${app.owner} is asleep`);
  },
};

const rm: Command = {
  name: "rm",
  doc: "Remove an app, with its files",
  args: [APP],
  run: async (input, context) => {
    const app = await findApp(context.api, input.arg("app"));
    await context.api.delete(path`/v1/repls/${app.id}`);
    context.result({ removed: app.id }, () => `${app.name}.${app.owner} is removed`);
  },
};

export const appCommands: readonly Command[] = [deploy, ls, where, logs, restart, stop, rm];
