// What the bench needs beside Node: built or fetched into the cache once, or a reason why it cannot be.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { CACHE } from "./place.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Runs to the end; throws with the last line that it said. */
function run(command, args, options = {}) {
  const done = spawnSync(command, args, {
    encoding: "utf8",
    timeout: INSTALL_TIMEOUT_MS,
    ...options,
  });
  if (done.error) throw new Error(`${command}: ${done.error.message}`);
  if (done.status === 0) return;
  const lines = `${done.stdout}${done.stderr}`.trimEnd().split("\n");
  throw new Error(`${command} ${args.join(" ")}: ${lines.at(-1)}`);
}

function has(command) {
  const folders = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`.split(":");
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}

/** The file's place in the cache, by the content of its sources: a change builds anew. */
function built(name, folder, build) {
  const sources = readdirSync(here(folder)).toSorted();
  const digest = createHash("sha256");
  for (const source of sources) digest.update(readFileSync(join(here(folder), source)));
  const path = join(CACHE, `${name}-${digest.digest("hex").slice(0, 16)}`);
  if (!existsSync(path)) build(path, sources);
  return path;
}

function compile(name, folder) {
  return built(name, folder, (path, sources) => {
    const files = sources.filter((file) => file.endsWith(".c"));
    run("cc", ["-O2", "-o", path, ...files], { cwd: here(folder) });
  });
}

/** The open-loop client: without it nothing is measured. */
export function installClient() {
  if (!has("cc"))
    throw new Error("no C compiler (cc) to build the client of bench/dns/client with");
  return compile("client", "client");
}

export function installFloor() {
  return compile("echo", "floor");
}

/** A command of a Debian package, which root may install. */
export function installPackage(command, packageName) {
  const found = has(command);
  if (found) return found;
  if (!has("apt-get")) throw new Error(`no ${command} on the PATH, and no apt-get to install it`);
  if (process.getuid?.() !== 0) {
    throw new Error(`no ${command} on the PATH: apt-get install ${packageName}`);
  }
  // Its service must not start and take port 53.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const options = { env };
  run("apt-get", ["install", "-y", "--no-install-recommends", packageName], options);
  return has(command);
}

export const COREDNS = "v1.12.1";

export function installCoredns() {
  const folder = join(CACHE, `coredns-${COREDNS}`);
  const path = join(folder, "coredns");
  if (existsSync(path)) return path;
  requireGo();
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder };
  run("go", ["install", `github.com/coredns/coredns@${COREDNS}`], { env });
  return path;
}

export function installHandler() {
  return built("handler", "handler", (path) => {
    requireGo();
    run("go", ["build", "-o", path, "."], { cwd: here("handler") });
  });
}

function requireGo() {
  if (!has("go")) throw new Error("no Go (go) on the PATH to build it with");
}
