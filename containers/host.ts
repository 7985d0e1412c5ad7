import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";

import type { ContainerRef } from "./drivers/driver";
import type { Launcher } from "./drivers/launch";
import { filesOf } from "./file-tree";
import { config } from "./settings";
import { STATIC_SERVER } from "./static-server";

/** A user that owns nothing: what it can enter, every app's user can. */
const NOBODY_UID = 65_534;
/** Others may pass through, but not look around. */
const PASS_MODE = 0o711;
/** Only the group may pass, which is the app's own. */
const OWN_PASS_MODE = 0o710;
const CLOSED_MODE = 0o700;
/** Where Linux and macOS keep programs, for those apps whose platform was started with less. */
const SYSTEM_PATH = [
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/sbin",
  "/sbin",
  "/opt/homebrew/bin",
];

/** What this machine gives apps. */
export interface Host {
  /** Absolute and without links. */
  readonly appsDir: string;
  readonly launcher: Launcher;
  /** Whether each app runs under a user of its own. */
  readonly usersApart: boolean;
}

let prepared: Host | undefined;

/** Makes the folders that apps live in, and finds out what this machine offers; once. */
export function host(): Host {
  return (prepared ??= prepare());
}

function prepare(): Host {
  const usersApart = process.platform === "linux" && process.getuid?.() === 0;
  const appsDir = makeAppsDir(usersApart);
  const platform = join(appsDir, ".platform");
  makeFolder(platform, 0o755);
  const staticServer = join(platform, "static-server.mjs");
  writeFileSync(staticServer, STATIC_SERVER, { mode: 0o644 });
  chmodSync(staticServer, 0o644);
  return {
    appsDir,
    usersApart,
    launcher: {
      staticServer,
      setpriv: process.platform === "linux" ? findProgram("setpriv") : null,
      path: appPath(usersApart, platform),
    },
  };
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
  chmodSync(path, mode); // The umask had its say at first.
}

function makeAppsDir(usersApart: boolean): string {
  const { appsDir, stateDir } = config();
  const wanted = resolve(appsDir === "" ? join(stateDir, "apps") : appsDir);
  if (!usersApart) {
    makeFolder(wanted, 0o700);
    return realpathSync(wanted);
  }
  makeFolder(wanted, PASS_MODE);
  if (nobodyCan("cd", wanted)) return realpathSync(wanted);
  if (appsDir !== "") {
    throw new Error(
      `Cannot run apps in STELE_APPS_DIR="${appsDir}": it, or a folder above it, lets no other user pass`,
    );
  }
  // The clone lies where only root may enter, such as /root: apps go where their users can.
  const name = createHash("sha256").update(resolve(stateDir)).digest("hex").slice(0, 12);
  const elsewhere = `/var/lib/stele-${name}/apps`;
  makeFolder(dirname(elsewhere), PASS_MODE);
  makeFolder(elsewhere, PASS_MODE);
  if (readdirSync(wanted).length === 0) rmdirSync(wanted);
  return elsewhere;
}

/** Asked of the system itself, since modes alone do not tell (ACLs, mounts, security modules). */
function nobodyCan(verb: "cd" | "test -x", path: string): boolean {
  const { status } = spawnSync("/bin/sh", ["-c", `${verb} "$1"`, "sh", path], {
    uid: NOBODY_UID,
    gid: NOBODY_UID,
    cwd: "/",
    env: {},
    stdio: "ignore",
  });
  return status === 0;
}

function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_PATH];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** The folders that apps' users can enter, with this very Node in the first. */
function appPath(usersApart: boolean, platform: string): string {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_PATH];
  const absolute = [...new Set(folders)].filter((path) => path.startsWith("/") && existsSync(path));
  const node = dirname(process.execPath);
  if (!usersApart) return [...new Set([node, ...absolute])].join(delimiter);
  const first = nobodyCan("test -x", process.execPath) ? node : provideNode(platform);
  const open = absolute.filter((path) => isOpenToAll(path));
  return [...new Set([first, ...open])].join(delimiter);
}

/** By modes, since there are many and each real try costs milliseconds. */
function isOpenToAll(path: string): boolean {
  for (let folder = realpathSync(path); ; folder = dirname(folder)) {
    if ((lstatSync(folder).mode & 0o001) === 0) return false;
    if (folder === "/") return true;
  }
}

/** Node lies where only root may enter (a version manager's folder, often): apps get it elsewhere. */
function provideNode(platform: string): string {
  const there = join(platform, "node");
  rmSync(there, { force: true });
  try {
    linkSync(realpathSync(process.execPath), there);
  } catch {
    copyFileSync(process.execPath, there, constants.COPYFILE_FICLONE); // Another file system.
  }
  chmodSync(there, 0o755);
  return platform;
}

function clusterDir(clusterId: string): string {
  return join(host().appsDir, clusterId);
}

/**
 * One folder a generation, from staging to clean-up: an app that runs never has its folder renamed,
 * and a late copy of an old move writes where nobody looks.
 */
export function generationDir(ref: ContainerRef): string {
  return join(replFolder(ref.clusterId, ref.replId), String(ref.generation));
}

/** All that a cluster has of a repl: a folder for each generation, and its log. */
export function replFolder(clusterId: string, replId: string): string {
  return join(clusterDir(clusterId), replId);
}

export function logFile(ref: Pick<ContainerRef, "clusterId" | "replId">): string {
  return join(replFolder(ref.clusterId, ref.replId), "log.0");
}

/**
 * Makes the folders of a generation, closed to the app's user until it is started: the platform, as
 * root, never writes where a process of the app could put a link in its way.
 */
export function makeGenerationDir(ref: ContainerRef, uid: number | null): string {
  const directory = generationDir(ref);
  makeFolder(clusterDir(ref.clusterId), uid === null ? CLOSED_MODE : PASS_MODE);
  makeFolder(replFolder(ref.clusterId, ref.replId), uid === null ? CLOSED_MODE : OWN_PASS_MODE);
  mkdirSync(filesOf(directory), { recursive: true, mode: CLOSED_MODE });
  if (uid !== null) {
    chownSync(replFolder(ref.clusterId, ref.replId), 0, uid);
    chownSync(directory, 0, uid);
  }
  return directory;
}

/** From now on the app's user may pass to the generation's folder, and write only there. */
export function openGenerationDir(ref: ContainerRef, uid: number | null): void {
  if (uid === null) return;
  chownSync(filesOf(generationDir(ref)), uid, uid);
  chmodSync(generationDir(ref), OWN_PASS_MODE);
}

/** Nothing of it runs: the platform alone works on its files. */
export function closeGenerationDir(ref: ContainerRef): void {
  if (existsSync(generationDir(ref))) chmodSync(generationDir(ref), CLOSED_MODE);
}

/** Repls of which something lies here. */
export function replsOnDisk(clusterId: string): string[] {
  return existsSync(clusterDir(clusterId)) ? readdirSync(clusterDir(clusterId)) : [];
}

/** Generations of a repl of which something lies here. */
export function generationsOnDisk(clusterId: string, replId: string): number[] {
  const folder = replFolder(clusterId, replId);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}
