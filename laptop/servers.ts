/** The PostgreSQL servers under several processes: one for all, or one for each that their configs name. */
import { join } from "node:path";

import type { PostgresServer } from "../runtime/postgres/postgres";
import { startServer } from "../runtime/server";
import type { InfraFile } from "./infra-place";

export interface ServersOptions {
  readonly stateDir: string;
  /** A server of the user's own; "" for none. */
  readonly databaseUrl: string;
  /** Hosts with a server each; none: one server stands for all. */
  readonly hosts: readonly string[];
}

export interface Servers {
  /** Where the server is that a config calls so. */
  readonly addressOf: (host: string) => PostgresServer["address"];
  readonly password: string;
  readonly maintenanceDatabase: string;
}

/** The hosts of servers in the configs, each once. */
export function serversOf(files: readonly InfraFile[]): string[] {
  const hosts = files.flatMap(({ sql_servers = [] }) => sql_servers.map(({ host }) => host));
  return [...new Set(hosts)];
}

export async function startServers(options: ServersOptions): Promise<Servers> {
  const { stateDir, databaseUrl, hosts } = options;
  if (hosts.length > 0) return startEach(stateDir, hosts);
  const one = await startServer({ stateDir, ...(databaseUrl !== "" && { databaseUrl }) });
  const { address, maintenanceDatabase } = one;
  return { addressOf: () => address, password: address.password, maintenanceDatabase };
}

/** Each in a folder with its name. A process has one password for all servers that it uses. */
async function startEach(stateDir: string, hosts: readonly string[]): Promise<Servers> {
  const dir = join(stateDir, "servers");
  const passwordFile = join(dir, "password");
  const started = await Promise.all(
    hosts.map(async (host): Promise<[string, PostgresServer]> => {
      const name = host.replace(/:\d+$/, "");
      return [host, await startServer({ stateDir: join(dir, name), passwordFile })];
    }),
  );
  const byHost = new Map(started);
  const addressOf = (host: string): PostgresServer["address"] => {
    const server = byHost.get(host);
    if (server === undefined) throw new Error(`No server was started for "${host}"`);
    return server.address;
  };
  const { password } = addressOf(hosts[0] ?? "");
  return { addressOf, password, maintenanceDatabase: "postgres" };
}
