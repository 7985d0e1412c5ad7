import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { FaultList } from "./faults";

const TSCONFIG = "tsconfig.json";

interface PathAlias {
  readonly prefix: string;
  readonly suffix: string;
  /** Relative to the root. */
  readonly targets: readonly string[];
}

/** The longest prefix first, as TypeScript asks. */
export type PathAliases = readonly PathAlias[];

interface TsConfig {
  readonly compilerOptions?: {
    readonly baseUrl?: string;
    readonly paths?: Readonly<Record<string, readonly string[]>>;
  };
}

/** Encore reads only the root's own `paths`; `extends` and `exclude` do not count. */
export function readAliases(root: string, faults: FaultList): PathAliases {
  const path = join(root, TSCONFIG);
  if (!existsSync(path)) return [];
  const config = parseConfig(readFileSync(path, "utf8"), faults);
  const { baseUrl = ".", paths = {} } = config?.compilerOptions ?? {};
  const aliases = Object.entries(paths).map(([pattern, targets]) => {
    const star = pattern.indexOf("*");
    const [prefix, suffix] =
      star < 0 ? [pattern, ""] : [pattern.slice(0, star), pattern.slice(star + 1)];
    return { prefix, suffix, targets: targets.map((target) => join(baseUrl, target)) };
  });
  return aliases.sort((a, b) => b.prefix.length - a.prefix.length);
}

/** What a specifier may stand for, in the order to try; relative to the root. */
export function aliasTargets(aliases: PathAliases, specifier: string): string[] {
  return aliases.flatMap(({ prefix, suffix, targets }) => {
    const fits = specifier.startsWith(prefix) && specifier.endsWith(suffix);
    if (!fits || specifier.length < prefix.length + suffix.length) return [];
    const star = specifier.slice(prefix.length, specifier.length - suffix.length);
    return targets.map((target) => target.replace("*", star));
  });
}

/** Encore takes comments, and no trailing commas. */
function parseConfig(text: string, faults: FaultList): TsConfig | null {
  const json = withoutComments(text);
  const trailing = /,(?=\s*[}\]])/.exec(withoutStrings(json));
  if (trailing !== null) {
    const line = lineAt(json, trailing.index);
    const message = "trailing comma: Encore reads tsconfig.json without them; remove it";
    faults.add({ file: TSCONFIG, line }, message);
    return null;
  }
  try {
    const config: unknown = JSON.parse(json);
    if (isConfig(config)) return config;
    const message = "compilerOptions.paths must name lists of texts, and baseUrl a text";
    faults.add({ file: TSCONFIG, line: 1 }, message);
    return null;
  } catch (error) {
    const position = /position (\d+)/.exec((error as Error).message)?.[1] ?? 0;
    const line = lineAt(json, Number(position));
    faults.add({ file: TSCONFIG, line }, `not JSON: ${(error as Error).message}`);
    return null;
  }
}

function isConfig(config: unknown): config is TsConfig {
  if (!isRecord(config)) return false;
  const { compilerOptions = {} } = config;
  if (!isRecord(compilerOptions)) return false;
  const { baseUrl = "", paths = {} } = compilerOptions;
  const isList = (list: unknown): boolean =>
    Array.isArray(list) && list.every((one) => typeof one === "string");
  return typeof baseUrl === "string" && isRecord(paths) && Object.values(paths).every(isList);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** Comments become blanks, so that lines and positions stay. */
function withoutComments(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (match) =>
    match.startsWith('"') ? match : blank(match),
  );
}

function withoutStrings(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, (match) => `"${blank(match.slice(2))}"`);
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}
