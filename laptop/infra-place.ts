import { serverEntry } from "../runtime/boot-config";
import type { PostgresServer } from "../runtime/postgres/postgres";

/** As much of an infra config as the place it runs at decides. */
export interface InfraFile {
  readonly metadata?: object;
  readonly service_discovery?: Readonly<Record<string, { readonly base_url: string }>>;
  readonly sql_servers?: readonly SqlServer[];
  readonly hosted_services?: readonly string[];
}

interface SqlServer {
  readonly host: string;
  readonly databases: Readonly<Record<string, { readonly name: string }>>;
}

/** Where on this machine things are that a config names as a network of machines would. */
export interface Machine {
  readonly serverOf: (host: string) => PostgresServer["address"];
  /** Physical names of databases get this before. */
  readonly databasePrefix: string;
  /** Base URLs of the deployments, by name. */
  readonly apis: ReadonlyMap<string, string>;
  readonly shutdownSeconds: number;
}

/**
 * The config with the addresses of this machine: its database server for each server, and for each
 * URL whose host is a deployment's name that deployment's. All else is as in the file.
 */
export function placeConfig<Config extends InfraFile>(
  config: Config,
  name: string,
  machine: Machine,
): Config {
  const { serverOf, databasePrefix, apis, shutdownSeconds } = machine;
  const services = Object.entries(config.service_discovery ?? {});
  return {
    ...config,
    metadata: { ...config.metadata, base_url: apis.get(name) },
    graceful_shutdown: { total: shutdownSeconds },
    service_discovery: Object.fromEntries(
      services.map(([service, entry]) => {
        const url = apis.get(new URL(entry.base_url).hostname) ?? entry.base_url;
        return [service, { ...entry, base_url: url }];
      }),
    ),
    sql_servers: (config.sql_servers ?? []).map((one) => {
      const server = serverOf(one.host);
      return {
        ...one,
        ...serverEntry(server),
        databases: Object.fromEntries(
          Object.entries(one.databases).map(([logical, database]) => {
            const physical = databasePrefix + database.name;
            return [logical, { ...database, name: physical, username: server.username }];
          }),
        ),
      };
    }),
  };
}

/** The cluster that a deployment serves; a further proxy of one calls the `containers` of that one. */
export function clusterOf({ hosted_services, service_discovery }: InfraFile, name: string): string {
  if (hosted_services?.includes("containers")) return name;
  const containers = service_discovery?.["containers"];
  const isProxy = hosted_services?.includes("proxy") === true;
  return isProxy && containers ? new URL(containers.base_url).hostname : "";
}
