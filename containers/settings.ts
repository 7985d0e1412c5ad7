import {
  flag,
  integer,
  list,
  milliseconds,
  readSettings,
  type Settings,
  type SettingsTable,
  text,
} from "../shared/settings";

const HOUR_MS = 3_600_000;
const MAX_DAYS = 366;

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A smaller range leaves a cluster too few ports for two incarnations of each app. */
const MIN_PORTS = 100;

function portRange(value: string): PortRange {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(value);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (!(first >= 1024 && last <= 65_535 && last - first + 1 >= MIN_PORTS)) {
    throw new Error(
      `two ports from 1024 to 65535, at least ${MIN_PORTS} apart, such as 20000-31999`,
    );
  }
  return { first, last };
}

export const settings = {
  localClusters: {
    name: "LOCAL_CLUSTERS",
    default: "*",
    parse: list,
    doc: "The clusters that this process serves; * is every cluster registered without an API of its own",
  },
  stateDir: {
    name: "STELE_DIR",
    default: ".stele",
    parse: text,
    doc: "Where the platform keeps its data",
  },
  appsDir: {
    name: "STELE_APPS_DIR",
    default: "",
    parse: text,
    doc: "Where apps live; by default apps/ in STELE_DIR, or below /var/lib where apps cannot enter that",
  },
  ports: {
    name: "STELE_APP_PORTS",
    default: "20000-31999",
    parse: portRange,
    doc: "Ports given to apps as $PORT; clusters of one machine take disjoint parts",
  },
  portsPerCluster: {
    name: "STELE_APP_PORTS_PER_CLUSTER",
    default: "1000",
    parse: integer(50, 60_000),
    doc: "How many of these ports one cluster takes",
  },
  firstUid: {
    name: "STELE_APP_FIRST_UID",
    default: "20000",
    parse: integer(1000, 2_000_000_000),
    doc: "As root, each app runs under a user id of its own, from this one on",
  },
  startTimeoutMs: {
    name: "STELE_START_TIMEOUT",
    default: "30s",
    parse: milliseconds(100, HOUR_MS),
    doc: "How long an app may take until it listens",
  },
  stopGraceMs: {
    name: "STELE_STOP_GRACE",
    default: "2s",
    parse: milliseconds(0, 60_000),
    doc: "From SIGTERM to SIGKILL",
  },
  idleStopMs: {
    name: "STELE_IDLE_STOP",
    default: "15m",
    parse: milliseconds(1000, 24 * HOUR_MS),
    doc: "An app that nobody used for so long is stopped, until the next request",
  },
  moveDrainMs: {
    name: "STELE_MOVE_DRAIN_MS",
    default: "60000",
    parse: milliseconds(0, HOUR_MS),
    doc: "After a move, how long the old container may finish what it has in flight",
  },
  freezeDeadlineMs: {
    name: "STELE_FREEZE_DEADLINE",
    default: "5s",
    parse: milliseconds(100, 60_000),
    doc: "A route frozen for so long asks the authority to abort the move",
  },
  tombstoneMinAgeMs: {
    name: "STELE_TOMBSTONE_MIN_AGE",
    default: "24h",
    parse: milliseconds(0, MAX_DAYS * 24 * HOUR_MS),
    doc: "So long at least a cluster forwards who still comes for an app that has moved",
  },
  tombstoneQuietMs: {
    name: "STELE_TOMBSTONE_QUIET",
    default: "168h",
    parse: milliseconds(0, MAX_DAYS * 24 * HOUR_MS),
    doc: "and until nobody came for so long; then the authority is asked",
  },
  undoKeepMs: {
    name: "STELE_UNDO_KEEP",
    default: "24h",
    parse: milliseconds(0, MAX_DAYS * 24 * HOUR_MS),
    doc: "So long the files of an app that has moved stay where it was, for an undo; 0: not at all",
  },
  undoMaxMegabytes: {
    name: "STELE_UNDO_MAX_MB",
    default: "10240",
    parse: integer(0, 1_000_000_000),
    doc: "How much a cluster keeps of these; beyond it the oldest go first",
  },
  keepApps: {
    name: "STELE_KEEP_APPS",
    default: "0",
    parse: flag,
    doc: "1: apps go on when the platform stops, and are found again at its next start",
  },
  maxFiles: {
    name: "STELE_APP_MAX_FILES",
    default: "200000",
    parse: integer(1, 10_000_000),
    doc: "How many files a deployed directory may have",
  },
  maxMegabytes: {
    name: "STELE_APP_MAX_MB",
    default: "4096",
    parse: integer(1, 10_000_000),
    doc: "How large a deployed directory may be",
  },
} as const satisfies SettingsTable;

let read: Settings<typeof settings> | undefined;

/** The settings of this process, read at the first use. */
export function config(): Settings<typeof settings> {
  return (read ??= readSettings(settings));
}
