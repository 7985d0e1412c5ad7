import { readdirSync } from "node:fs";
import { join } from "node:path";

const SERVICE_FILE = "encore.service.ts";

/** Names that Encore's parser never enters or opens, at any depth. */
export function isIgnoredName(name: string): boolean {
  return (
    name === "node_modules" ||
    name === "encore.gen" ||
    name === "__tests__" ||
    name.startsWith(".") ||
    /\.(test|spec)\.(ts|js)$/.test(name)
  );
}

/**
 * Every `.ts` file that Encore's parser reads, relative to `root`, in the order in which it reads
 * them: `encore.service.ts` first in its folder, the rest by name. Links are not followed.
 */
export function listSourceFiles(root: string): string[] {
  const found: string[] = [];
  const visit = (dir: string): void => {
    const entries = readdirSync(join(root, dir), { withFileTypes: true });
    entries.sort((a, b) => rank(a.name) - rank(b.name) || compareBytes(a.name, b.name));
    for (const entry of entries) {
      if (isIgnoredName(entry.name)) continue;
      const path = dir === "" ? entry.name : `${dir}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile() && entry.name.endsWith(".ts")) found.push(path);
    }
  };
  visit("");
  return found;
}

function rank(name: string): number {
  return name === SERVICE_FILE ? 0 : 1;
}

function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
