import {
  type Address,
  address,
  addresses,
  integer,
  milliseconds,
  readSettings,
  type Settings,
  type SettingsTable,
  text,
} from "../shared/settings";

const MAX_DRAIN_MS = 600_000;

export const settings = {
  stateDir: {
    name: "STELE_DIR",
    default: ".stele",
    parse: text,
    doc: "Where the platform keeps its data",
  },
  apiListen: {
    name: "STELE_API_LISTEN",
    default: "127.0.0.1:4000",
    parse: (value): Address => address(value),
    doc: "Where the API listens",
  },
  clusterApis: {
    name: "STELE_CLUSTER_API_LISTEN",
    default: "127.0.0.1:4001,127.0.0.1:4002,127.0.0.1:4003,127.0.0.1:4004",
    parse: addresses,
    doc: "Where the clusters' own APIs listen under npm run split, in their order, separated by commas",
  },
  moreNameServers: {
    name: "STELE_DNS_LISTEN_MORE",
    default: "127.0.0.1:5301,127.0.0.1:5302",
    parse: addresses,
    doc: "Where the second name server listens under npm run split, and any further one",
  },
  moreProxies: {
    name: "STELE_PROXY_LISTEN_MORE",
    default: "127.0.1.11:8080,127.0.2.11:8080",
    parse: addresses,
    doc: "Where processes listen under npm run split that are a further proxy of a cluster, in their order",
  },
  httpPort: {
    name: "STELE_HTTP_PORT",
    default: "8080",
    parse: integer(1, 65_534),
    doc: "The visitors' port of the clusters that are made at the first start",
  },
  databaseUrl: {
    name: "DATABASE_URL",
    default: "",
    parse: postgresUrl,
    doc: "A PostgreSQL of your own, such as postgres://user:password@host/postgres; empty: one from npm",
  },
  logLevel: {
    name: "ENCORE_LOG",
    default: "warn",
    parse: text,
    doc: "From which level on the runtime logs; info has a line for each API request",
  },
  logFile: {
    name: "STELE_LOG_FILE",
    default: "",
    parse: text,
    doc: "Where the platform's log goes, as lines of JSON; empty: stele.log beside the data, -: stderr",
  },
  drainMs: {
    name: "STELE_SHUTDOWN_DRAIN_MS",
    default: "3000",
    parse: milliseconds(0, MAX_DRAIN_MS),
    doc: "How long requests under way may take to end when the platform stops",
  },
  acceptMs: {
    name: "STELE_SHUTDOWN_ACCEPT_MS",
    default: "0",
    parse: milliseconds(0, MAX_DRAIN_MS),
    doc: "Under npm run split: how long a cluster that was told to end still takes commands, so that a freeze ends first",
  },
  buildDir: {
    name: "STELE_BUILD_DIR",
    default: "build",
    parse: text,
    doc: "Where the bundles of worker threads are written",
  },
} as const satisfies SettingsTable;

function postgresUrl(value: string): string {
  if (value === "" || /^postgres(ql)?:\/\/[^/]/.test(value)) return value;
  throw new Error("postgres://user:password@host:port/database, or nothing");
}

/** The settings of this process. */
export function config(): Settings<typeof settings> {
  return readSettings(settings);
}
