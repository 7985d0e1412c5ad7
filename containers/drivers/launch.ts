import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

import { STATIC_COMMAND } from "../core/detect";
import { type ContainerSpec, markerOf } from "./driver";

/** Open files and sockets of one app: far above what a web server needs, far below the machine's. */
const OPEN_FILES = 8192;
/** Limits first, while still allowed to raise them; a core file would fill the app's folder. */
const LIMITS = `ulimit -c 0; ulimit -n ${OPEN_FILES} 2>/dev/null; exec "$@"`;

/** What the machine offers for starting apps. */
export interface Launcher {
  /** The apps' PATH: programs that they can really execute. */
  readonly path: string;
  /** setpriv(1), which drops privileges for good; null where there is none. */
  readonly setpriv: string | null;
  /** The script that serves the files of a static site. */
  readonly staticServer: string;
}

/** The variable by which processes of ours are found again. */
export const MARKER_VARIABLE = "STELE_CONTAINER";

/**
 * The command as the shell gets it: a plain one replaces the shell, so that its own process gets the
 * signals; dash does not do so by itself.
 */
export function shellCommand(command: string, staticServer: string): string {
  if (command === STATIC_COMMAND) return `exec node '${staticServer.replaceAll("'", `'\\''`)}'`;
  const isPlain = /^[\w@%+:,./ "'=-]+$/.test(command) && !/^\S*=/.test(command);
  return isPlain ? `exec ${command}` : command;
}

/** Everything the app's environment holds: an allow-list, never the platform's own. */
export function appEnvironment(spec: ContainerSpec, path: string): Record<string, string> {
  const { ref, directory, port } = spec;
  return {
    LANG: "C.UTF-8",
    TZ: "UTC",
    NODE_ENV: "production",
    PYTHONUNBUFFERED: "1",
    // Compiled files in the app's folder would look like data that it wrote.
    PYTHONDONTWRITEBYTECODE: "1",
    ...spec.env,
    PATH: `${directory}/node_modules/.bin:${path}`,
    HOME: directory,
    PORT: String(port),
    HOST: "127.0.0.1",
    STELE_REPL: ref.replId,
    STELE_CLUSTER: ref.clusterId,
    STELE_GENERATION: String(ref.generation),
    [MARKER_VARIABLE]: markerOf(ref),
  };
}

/**
 * Starts the app's processes in a session of their own. Output goes to a file, not to a pipe: whoever
 * writes to a pipe dies with the platform that read it.
 */
export function launch(spec: ContainerSpec, launcher: Launcher): ChildProcess {
  const { uid, directory, command } = spec;
  const user = uid === null ? [] : ["--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups"];
  const drop = launcher.setpriv ? [launcher.setpriv, "--no-new-privs", ...user, "--"] : [];
  const shell = ["/bin/sh", "-c", shellCommand(command, launcher.staticServer)];
  const log = openSync(spec.logFile, "a", 0o600);
  try {
    return spawn("/bin/sh", ["-c", LIMITS, "sh", ...drop, ...shell], {
      cwd: directory,
      env: appEnvironment(spec, launcher.path),
      detached: true,
      stdio: ["ignore", log, log],
      ...(uid !== null && !launcher.setpriv ? { uid, gid: uid } : {}),
    });
  } finally {
    closeSync(log);
  }
}
