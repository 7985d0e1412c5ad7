import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { markOpen, setLocalClusters } from "./local";

/** For tests: a folder for apps that every user may enter, and where it is set. */
export function makeAppsDir(): { readonly root: string; readonly remove: () => void } {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "stele-apps-")));
  chmodSync(root, 0o711);
  process.env.STELE_APPS_DIR = join(root, "apps");
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** For tests: clusters that this process serves, with nothing left over from before. */
export function serve(...clusterIds: string[]): void {
  setLocalClusters(clusterIds);
  for (const clusterId of clusterIds) markOpen(clusterId);
}

/** For tests: a directory with these files in it. */
export function makeApp(root: string, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(root, "app-"));
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}
