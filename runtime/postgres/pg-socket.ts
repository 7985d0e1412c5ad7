import { createHash } from "node:crypto";
import { chown, mkdir, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import type { Identity } from "./pg-identity";
import { ALIAS_SUFFIX } from "../sql/sql-client";

/** `sun_path` has 108 bytes on Linux and 104 on macOS, with a closing zero. */
const SOCKET_PATH_MAX = 103;

export const SOCKET_NAME = ".s.PGSQL.5432";

/** The folder of the socket, with its alias for postgres.js beside it; see `connectionUrl`. */
export async function makeSocketDir(wanted: string, { uid, gid }: Identity): Promise<string> {
  const longest = join(wanted + ALIAS_SUFFIX, SOCKET_NAME);
  const fits = Buffer.byteLength(longest) <= SOCKET_PATH_MAX && uid === undefined;
  const dir = fits ? wanted : shortDir(wanted);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { uid: owner, mode } = await stat(dir);
  const mine = process.getuid?.() ?? owner;
  if ((owner !== mine && owner !== uid) || (mode & 0o077) !== 0) {
    throw new Error(`Cannot use "${dir}" for the database's socket: it belongs to somebody else`);
  }
  if (uid !== undefined && gid !== undefined) await chown(dir, uid, gid);
  const alias = dir + ALIAS_SUFFIX;
  await symlink(basename(dir), alias).catch(ignoreExisting);
  return dir;
}

/** Nothing stays in the temporary folder. */
export async function removeSocketDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await rm(dir + ALIAS_SUFFIX, { force: true });
}

function shortDir(wanted: string): string {
  const hash = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  return join(tmpdir(), `stele-${process.getuid?.() ?? 0}-${hash}`);
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
