import {
  address,
  integer,
  list,
  readSettings,
  type Settings,
  type SettingsTable,
  text,
} from "../shared/settings";
import { LIMITS } from "./core/limits";

const MAX_BODY_BYTES = 1e12;
/** More than this many connections a proxy does not take anyway. */
const MAX_HELD = LIMITS.connections;
const MAX_HELD_BYTES = 1e12;

function listenAddresses(value: string): readonly string[] {
  const found = list(value);
  for (const one of found) address(one);
  return found;
}

export const settings = {
  zone: {
    name: "STELE_ZONE",
    default: "repl.localhost",
    parse: text,
    doc: "The zone under which repls have their names",
  },
  localClusters: {
    name: "LOCAL_CLUSTERS",
    default: "*",
    parse: list,
    doc: "The clusters that this process serves; * is every cluster registered without an API of its own",
  },
  listen: {
    name: "STELE_PROXY_LISTEN",
    default: "",
    parse: listenAddresses,
    doc: "Where this process's proxy listens, separated by commas; empty: where its cluster says",
  },
  hopSecret: {
    name: "STELE_HOP_SECRET",
    default: "",
    parse: text,
    doc: "What the keys between clusters are derived from; the same on all of them. Empty: from the file",
  },
  hopSecretFile: {
    name: "STELE_HOP_SECRET_FILE",
    default: ".stele/hop-secret",
    parse: text,
    doc: "Where that secret is kept; made when it is missing",
  },
  bodyLimit: {
    name: "STELE_PROXY_MAX_BODY",
    default: "1073741824",
    parse: integer(0, MAX_BODY_BYTES),
    doc: "The largest body of a request, in bytes; a larger one is answered 413",
  },
  heldPerRepl: {
    name: "STELE_PROXY_HELD_PER_REPL",
    default: String(LIMITS.heldPerRepl),
    parse: integer(1, MAX_HELD),
    doc: "How many requests of an app may wait for a route or a start; the next one is answered 503",
  },
  heldBytesPerRepl: {
    name: "STELE_PROXY_HELD_BYTES_PER_REPL",
    default: String(LIMITS.heldBytesPerRepl),
    parse: integer(LIMITS.heldBytesPerRequest, MAX_HELD_BYTES),
    doc: "How many bytes those requests may have together, as far as they were read",
  },
  heldPerCluster: {
    name: "STELE_PROXY_HELD_PER_CLUSTER",
    default: String(LIMITS.heldPerCluster),
    parse: integer(1, MAX_HELD),
    doc: "The same of all apps of a cluster together, in each of its proxies",
  },
  heldBytesPerCluster: {
    name: "STELE_PROXY_HELD_BYTES_PER_CLUSTER",
    default: String(LIMITS.heldBytesPerCluster),
    parse: integer(LIMITS.heldBytesPerRequest, MAX_HELD_BYTES),
    doc: "The same, in bytes",
  },
  accessLog: {
    name: "STELE_PROXY_ACCESS_LOG",
    default: "",
    parse: text,
    doc: "One JSON line for each request: a file, or - for standard output; empty: none",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;

/** The settings of this process, read at the first use. */
export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}
