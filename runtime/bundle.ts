import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { BuildOptions, Metafile } from "esbuild";

const ENTRYPOINT = "encore.gen/internal/entrypoints/combined/main.ts";

/** Where a bundle's sources and their hashes are noted, beside it. */
const STAMP_SUFFIX = ".sources.json";

/** How Encore's bundler makes one ES module of an application: packages left outside, tests dropped. */
export function appBuild(root: string, outfile: string): BuildOptions {
  return {
    absWorkingDir: root,
    entryPoints: [join(root, ENTRYPOINT)],
    outfile,
    bundle: true,
    treeShaking: true,
    platform: "node",
    format: "esm",
    target: ["es2022", "node21"],
    charset: "utf8",
    packages: "external",
    define: { ENCORE_DROP_TESTS: "true" },
    sourcemap: "linked",
    metafile: true,
    logLevel: "silent",
  };
}

/**
 * Bundles the application as Encore does. Does nothing while no source has changed.
 *
 * @returns the bundle's path
 */
export async function bundleApp(root: string, stateDir: string): Promise<string> {
  const outfile = join(stateDir, "build", "app", "main.mjs");
  const stamp = outfile + STAMP_SUFFIX;
  linkPackages(root, stateDir);
  if (existsSync(outfile) && isUpToDate(root, stamp)) return outfile;
  const { build } = await import("esbuild");
  mkdirSync(dirname(outfile), { recursive: true, mode: 0o700 });
  const { metafile } = await build(appBuild(root, outfile));
  writeFileSync(stamp, JSON.stringify(hashSources(root, metafile as Metafile)));
  return outfile;
}

function hashSources(root: string, metafile: Metafile): Record<string, string> {
  const sources = Object.keys(metafile.inputs).filter((path) => !path.includes("node_modules/"));
  const hashes = sources.map((path) => [path, hashFile(resolve(root, path))] as const);
  return Object.fromEntries(hashes);
}

function isUpToDate(root: string, stamp: string): boolean {
  try {
    const hashes = JSON.parse(readFileSync(stamp, "utf8")) as Record<string, string>;
    return Object.entries(hashes).every(([path, hash]) => hashFile(resolve(root, path)) === hash);
  } catch {
    return false;
  }
}

function hashFile(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("base64");
}

/** The bundle imports its packages from where it lies. */
function linkPackages(root: string, stateDir: string): void {
  const inside = !relative(root, stateDir).startsWith("..");
  const link = join(stateDir, "node_modules");
  if (inside || existsSync(link)) return;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  symlinkSync(join(root, "node_modules"), link);
}
