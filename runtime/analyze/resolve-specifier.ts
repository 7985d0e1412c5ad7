import { existsSync, readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";
import type { FaultList } from "./faults";
import { aliasTargets, readAliases, type PathAliases } from "./tsconfig-paths";

/** What an import's specifier leads to. */
export type Resolved =
  | { readonly kind: "source"; readonly path: string }
  | { readonly kind: "package"; readonly name: string }
  | { readonly kind: "generated"; readonly part: "clients" | "auth" }
  | { readonly kind: "asset" }
  | { readonly kind: "missing" };

const SOURCE_EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];
const TRIED_EXTENSIONS = [".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".json", ".node"];

/** Written as `.js`, meant as `.ts`: TypeScript's own rule for relative imports. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx", ".d.ts"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
  ".jsx": [".tsx"],
};

/** Resolves specifiers as Encore's parser does: relative, root tsconfig `paths`, node_modules. */
export class SpecifierResolver {
  readonly #root: string;
  readonly #aliases: PathAliases;
  readonly #cache = new Map<string, Resolved>();

  constructor(root: string, faults: FaultList) {
    this.#root = root;
    this.#aliases = readAliases(root, faults);
  }

  /** @param from the importing file, relative to the root */
  resolve(from: string, specifier: string): Resolved {
    const dir = dirname(from);
    const key = `${dir}\n${specifier}`;
    let found = this.#cache.get(key);
    if (found === undefined) {
      found = this.#resolve(join(this.#root, dir), specifier);
      this.#cache.set(key, found);
    }
    return found;
  }

  #resolve(dir: string, specifier: string): Resolved {
    if (specifier === "~encore/clients") return { kind: "generated", part: "clients" };
    if (specifier === "~encore/auth") return { kind: "generated", part: "auth" };
    if (specifier.startsWith("node:") || isBuiltin(specifier)) {
      return { kind: "package", name: specifier };
    }
    if (/^\.{0,2}\//.test(specifier) || specifier === "." || specifier === "..") {
      return this.#file(resolve(dir, specifier));
    }
    for (const target of aliasTargets(this.#aliases, specifier)) {
      // Encore takes the extension of a path of tsconfig.json as it is written.
      if (Object.hasOwn(WRITTEN_AS, extname(target))) continue;
      const found = this.#file(resolve(this.#root, target));
      if (found.kind !== "missing") return found;
    }
    return hasPackage(dir, specifier) ? { kind: "package", name: specifier } : { kind: "missing" };
  }

  #file(path: string): Resolved {
    const found = findFile(path);
    if (found === null) return { kind: "missing" };
    const inside = relative(this.#root, found).replaceAll("\\", "/");
    if (inside.startsWith("encore.gen/clients/")) return { kind: "generated", part: "clients" };
    if (inside.startsWith("encore.gen/auth/")) return { kind: "generated", part: "auth" };
    return SOURCE_EXTENSIONS.includes(extname(found))
      ? { kind: "source", path: inside }
      : { kind: "asset" };
  }
}

function findFile(path: string): string | null {
  if (isFile(path)) return path;
  const ext = extname(path);
  for (const other of WRITTEN_AS[ext] ?? []) {
    const candidate = path.slice(0, -ext.length) + other;
    if (isFile(candidate)) return candidate;
  }
  for (const other of TRIED_EXTENSIONS) if (isFile(path + other)) return path + other;
  for (const other of TRIED_EXTENSIONS) {
    const candidate = join(path, `index${other}`);
    if (isFile(candidate)) return candidate;
  }
  return null;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function hasPackage(fromDir: string, specifier: string): boolean {
  const parts = specifier.split("/");
  const nameLength = specifier.startsWith("@") ? 2 : 1;
  const name = parts.slice(0, nameLength).join("/");
  const subpath = parts.slice(nameLength).join("/");
  for (let dir = fromDir; ; dir = dirname(dir)) {
    const home = join(dir, "node_modules", name);
    if (existsSync(home)) return subpath === "" || hasSubpath(home, subpath);
    if (dirname(dir) === dir) return false;
  }
}

function hasSubpath(home: string, subpath: string): boolean {
  const manifest = readJson(join(home, "package.json")) as { exports?: unknown } | null;
  const exported = manifest?.exports;
  if (typeof exported !== "object" || exported === null) {
    return findFile(join(home, subpath)) !== null;
  }
  const wanted = `./${subpath}`;
  return Object.keys(exported).some((key) => {
    const star = key.indexOf("*");
    if (star < 0) return key === wanted;
    return wanted.startsWith(key.slice(0, star)) && wanted.endsWith(key.slice(star + 1));
  });
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}
