import { existsSync, readFileSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";

/** What an import's specifier leads to. */
export type Resolved =
  | { readonly kind: "source"; readonly path: string }
  | { readonly kind: "package"; readonly name: string }
  | { readonly kind: "generated"; readonly part: "clients" | "auth" }
  | { readonly kind: "asset" }
  | { readonly kind: "missing" };

const SOURCE_EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];
const TRIED_EXTENSIONS = [".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".json", ".node"];

/** Written as `.js`, meant as `.ts`: TypeScript's own rule for relative imports. */
const WRITTEN_AS: Readonly<Record<string, readonly string[]>> = {
  ".js": [".ts", ".tsx", ".d.ts"],
  ".mjs": [".mts"],
  ".cjs": [".cts"],
  ".jsx": [".tsx"],
};

interface PathAlias {
  readonly prefix: string;
  readonly suffix: string;
  readonly targets: readonly string[];
}

/** Resolves specifiers as Encore's parser does: relative, root tsconfig `paths`, node_modules. */
export class SpecifierResolver {
  readonly #root: string;
  readonly #aliases: readonly PathAlias[];
  readonly #cache = new Map<string, Resolved>();

  constructor(root: string) {
    this.#root = root;
    this.#aliases = readAliases(root);
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
    for (const target of this.#aliasTargets(specifier)) {
      const found = this.#file(resolve(this.#root, target));
      if (found.kind !== "missing") return found;
    }
    return hasPackage(dir, specifier) ? { kind: "package", name: specifier } : { kind: "missing" };
  }

  #aliasTargets(specifier: string): string[] {
    return this.#aliases.flatMap(({ prefix, suffix, targets }) => {
      const fits = specifier.startsWith(prefix) && specifier.endsWith(suffix);
      if (!fits || specifier.length < prefix.length + suffix.length) return [];
      const star = specifier.slice(prefix.length, specifier.length - suffix.length);
      return targets.map((target) => target.replace("*", star));
    });
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

/** Encore reads only the root's own `paths`; `baseUrl`, `extends` and `exclude` do not count. */
function readAliases(root: string): PathAlias[] {
  const path = join(root, "tsconfig.json");
  if (!existsSync(path)) return [];
  const text = stripComments(readFileSync(path, "utf8"));
  const config = JSON.parse(text) as { compilerOptions?: { paths?: Record<string, string[]> } };
  return Object.entries(config.compilerOptions?.paths ?? {}).map(([pattern, targets]) => {
    const star = pattern.indexOf("*");
    return star < 0
      ? { prefix: pattern, suffix: "", targets }
      : { prefix: pattern.slice(0, star), suffix: pattern.slice(star + 1), targets };
  });
}

function stripComments(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (match) =>
    match.startsWith('"') ? match : " ",
  );
}
