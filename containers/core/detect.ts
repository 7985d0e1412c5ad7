/** The files of an app's root that say how it starts. */
export interface AppFiles {
  /** Names in the root folder. */
  readonly names: readonly string[];
  /** Their text; "" where there is no such file. */
  readonly procfile: string;
  readonly packageJson: string;
  readonly requirements: string;
}

export interface Recognised {
  /** A shell command, run in the app's folder. */
  readonly command: string;
  /** For people: what it was recognised as. */
  readonly framework: string;
}

/** Starts the platform's own file server; the driver knows what to run for it. */
export const STATIC_COMMAND = "stele:static";

/** Said to the owner when nothing was recognised. */
export const LOOKED_FOR: readonly string[] = [
  "a web: line in Procfile",
  "scripts.start or main in package.json",
  "index.js, index.mjs, server.js, server.mjs, app.js, main.js",
  "main.py, app.py, server.py",
  "index.html",
];

const NODE_ENTRIES = [
  "index.js",
  "index.mjs",
  "server.js",
  "server.mjs",
  "app.js",
  "main.js",
] as const;
const PYTHON_ENTRIES = ["main.py", "app.py", "server.py"] as const;

interface PackageJson {
  readonly main?: unknown;
  readonly scripts?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, unknown>>;
}

/** In the order in which they are asked: the more particular first. */
const NODE_FRAMEWORKS: readonly (readonly [string, string])[] = [
  ["next", "Next.js"],
  ["nuxt", "Nuxt"],
  ["fastify", "Fastify"],
  ["express", "Express"],
  ["koa", "Koa"],
  ["hono", "Hono"],
];
const PYTHON_FRAMEWORKS: readonly (readonly [string, string])[] = [
  ["fastapi", "FastAPI"],
  ["django", "Django"],
  ["flask", "Flask"],
];

/** How the app starts, or null: then `LOOKED_FOR` says what was looked for. */
export function detect(files: AppFiles): Recognised | null {
  const pkg = parsePackage(files.packageJson);
  const framework = frameworkOf(files, pkg);
  const procfile = /^web:[ \t]*(\S.*)$/m.exec(files.procfile)?.[1]?.trim();
  if (procfile) return { command: procfile, framework: framework || "Procfile" };
  const start = startScript(pkg);
  if (start) return { command: start, framework: framework || "Node.js" };
  const entry = nodeEntry(files.names, pkg);
  if (entry) return { command: `node ${quote(entry)}`, framework: framework || "Node.js" };
  const python = PYTHON_ENTRIES.find((name) => files.names.includes(name));
  if (python) return { command: `python3 ${python}`, framework: framework || "Python" };
  if (files.names.includes("index.html")) return { command: STATIC_COMMAND, framework: "static" };
  return null;
}

/** A broken package.json is the owner's to see when npm reads it; here it only tells nothing. */
function parsePackage(text: string): PackageJson {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** npm itself is left out: it takes a third of a second, and writes its logs into the app's folder. */
function startScript({ scripts }: PackageJson): string {
  const start = scripts?.["start"];
  if (typeof start !== "string" || start.trim() === "") return "";
  const prestart = scripts?.["prestart"];
  return typeof prestart === "string" && prestart.trim() !== "" ? `${prestart} && ${start}` : start;
}

function nodeEntry(names: readonly string[], { main }: PackageJson): string | undefined {
  if (typeof main === "string" && names.includes(main)) return main;
  return NODE_ENTRIES.find((name) => names.includes(name));
}

function frameworkOf(files: AppFiles, { dependencies }: PackageJson): string {
  const node = NODE_FRAMEWORKS.find(([name]) => dependencies && name in dependencies);
  if (node) return node[1];
  const python = PYTHON_FRAMEWORKS.find(([name]) =>
    new RegExp(`^${name}\\b`, "im").test(files.requirements),
  );
  return python?.[1] ?? "";
}

function quote(name: string): string {
  return /^[\w./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
}
