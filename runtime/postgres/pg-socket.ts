import { createHash } from "node:crypto";
import { chown, mkdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Identity } from "./pg-identity";

/** `sun_path` has 108 bytes on Linux and 104 on macOS, with a closing zero. */
const SOCKET_PATH_MAX = 103;

export const SOCKET_NAME = ".s.PGSQL.5432";

/** The folder of the socket. */
export async function makeSocketDir(wanted: string, { uid, gid }: Identity): Promise<string> {
  const longest = join(wanted, SOCKET_NAME);
  const fits = Buffer.byteLength(longest) <= SOCKET_PATH_MAX && uid === undefined;
  const dir = fits ? wanted : shortDir(wanted);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { uid: owner, mode } = await stat(dir);
  const mine = process.getuid?.() ?? owner;
  if ((owner !== mine && owner !== uid) || (mode & 0o077) !== 0) {
    throw new Error(`Cannot use "${dir}" for the database's socket: it belongs to somebody else`);
  }
  if (uid !== undefined && gid !== undefined) await chown(dir, uid, gid);
  return dir;
}

/** Nothing stays in the temporary folder. */
export async function removeSocketDir(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
}

function shortDir(wanted: string): string {
  const hash = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  return join(tmpdir(), `stele-${process.getuid?.() ?? 0}-${hash}`);
}
