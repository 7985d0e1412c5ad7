import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  access,
  chown,
  constants,
  cp,
  lstat,
  mkdir,
  readFile,
  rm,
  symlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Who runs PostgreSQL, which refuses to be root. An ordinary user runs it as itself. Root runs it in
 * a user namespace, where it appears as somebody else and can still read what root can; where such
 * namespaces are refused, as the user `postgres` or `nobody`, with data and programs moved to where
 * that user can enter.
 */
export interface Identity {
  /** Put before a command. */
  readonly prefix: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
  readonly binDir: string;
  /** Where the data really is. */
  readonly dataDir: string;
}

/** Any number but 0: inside the namespace it stands for root. */
const NAMESPACE_ID = "1000";
const NAMESPACE = [
  "unshare",
  "--user",
  `--map-user=${NAMESPACE_ID}`,
  `--map-group=${NAMESPACE_ID}`,
];

export interface IdentityOptions {
  readonly dataDir: string;
  readonly native: string;
  /** For tests: what happens where user namespaces are refused. */
  readonly noNamespace?: boolean;
}

export async function chooseIdentity(options: IdentityOptions): Promise<Identity> {
  const binDir = join(options.native, "bin");
  const { dataDir } = options;
  if (process.getuid?.() !== 0) return { prefix: [], binDir, dataDir };
  if (!options.noNamespace && (await canUseNamespace())) {
    return { prefix: NAMESPACE, binDir, dataDir };
  }
  return becomeOther(options);
}

async function canUseNamespace(): Promise<boolean> {
  try {
    await run(NAMESPACE[0] as string, [...NAMESPACE.slice(1), "true"]);
    return true;
  } catch {
    return false;
  }
}

const SHARED_STATE = process.platform === "darwin" ? "/var/db" : "/var/lib";

async function becomeOther({ dataDir, native }: IdentityOptions): Promise<Identity> {
  const user = await findUser();
  const home = join(SHARED_STATE, `stele-${hash(dataDir)}`);
  await mkdir(home, { recursive: true, mode: 0o700 });
  await chown(home, user.uid, user.gid);
  const data = join(home, "data");
  await linkData(dataDir, data);
  const programs = join(home, "native");
  if (!(await exists(programs))) {
    // The clone may be under /root, which no other user can enter.
    await cp(native, programs, { recursive: true, verbatimSymlinks: true });
    await access(join(programs, "bin", "postgres"), constants.X_OK);
  }
  return { prefix: [], uid: user.uid, gid: user.gid, binDir: join(programs, "bin"), dataDir: data };
}

/** The link is what belongs to the clone: where it is gone, so is the clone whose data these were. */
async function linkData(dataDir: string, target: string): Promise<void> {
  const found = await lstat(dataDir).catch(() => null);
  if (found?.isSymbolicLink()) return;
  if (found) {
    throw new Error(
      `Cannot use "${dataDir}": it was made in a user namespace, which the system refuses now`,
    );
  }
  await rm(target, { recursive: true, force: true });
  await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 });
  await symlink(target, dataDir);
}

async function findUser(): Promise<{ uid: number; gid: number }> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n");
  for (const name of ["postgres", "_postgres", "nobody"]) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'Cannot run PostgreSQL as root: there is no user namespace and no user "postgres" or "nobody"',
  );
}

function hash(path: string): string {
  return createHash("sha256").update(path).digest("hex").slice(0, 12);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
