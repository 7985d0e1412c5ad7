import { execFile } from "node:child_process";
import { chown, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { commandOf, environment, lastLine } from "./pg-command";
import type { Identity } from "./pg-identity";

const run = promisify(execFile);

export const SUPERUSER = "stele";

/** Creates the database cluster when there is none, and refuses one of another version. */
export async function ensureCluster(identity: Identity, password: string): Promise<void> {
  if (!(await exists(join(identity.dataDir, "PG_VERSION")))) await initialise(identity, password);
  await checkVersion(identity);
}

/** Into a folder beside, renamed when it is whole: a crash in between leaves nothing half-made. */
async function initialise(identity: Identity, password: string): Promise<void> {
  const target = identity.dataDir;
  const fresh = `${target}.new`;
  const passwordFile = `${target}.password`;
  await rm(fresh, { recursive: true, force: true });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (identity.uid !== undefined) await chown(passwordFile, identity.uid, identity.gid ?? 0);
  try {
    const [command, args] = commandOf(identity, "initdb", [
      `--pgdata=${fresh}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      // The password is random and long: more rounds would only make connecting slow.
      "--set=scram_iterations=1",
      "--no-instructions",
    ]);
    await run(command, args, { uid: identity.uid, gid: identity.gid, env: environment() });
    await rename(fresh, target);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`Cannot create the database in "${target}": ${lastLine(stderr) || error}`);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
}

async function checkVersion({ binDir, dataDir }: Identity): Promise<void> {
  const data = (await readFile(join(dataDir, "PG_VERSION"), "utf8")).trim();
  const marker = join(dirname(binDir), "share", "postgresql", "postgres.bki");
  const [line = ""] = (await readFile(marker, "utf8")).split("\n", 1);
  const [, programs] = /PostgreSQL (\d+)/.exec(line) ?? [];
  if (programs !== undefined && programs !== data) {
    throw new Error(
      `Cannot open the data in "${dataDir}": it is of PostgreSQL ${data}, not ${programs}; ` +
        "move it away to begin anew",
    );
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
