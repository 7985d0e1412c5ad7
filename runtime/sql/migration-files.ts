import { readdirSync } from "node:fs";
import { join } from "node:path";

/** How the tool that wrote the migrations names them; null is Encore's own form. */
export type MigrationSource = "prisma" | "drizzle" | "drizzle/v1" | null;

export interface MigrationFile {
  readonly version: number;
  /** Relative to the folder of migrations. */
  readonly file: string;
}

interface Form {
  readonly name: RegExp;
  /** Whether each migration is a folder with a `migration.sql`. */
  readonly folders: boolean;
  readonly expected: string;
}

const FOLDERS = { name: /^(\d+)_(.*)$/, folders: true, expected: "<number>_<name>/migration.sql" };

const FORMS: Readonly<Record<string, Form>> = {
  encore: {
    name: /^(\d+)_([^.]+)\.(up|down)\.sql$/,
    folders: false,
    expected: "<number>_<name>.up.sql",
  },
  drizzle: { name: /^(\d+)_([^.]+)\.sql$/, folders: false, expected: "<number>_<name>.sql" },
  prisma: FOLDERS,
  "drizzle/v1": FOLDERS,
};

export const MIGRATION_SOURCES = ["prisma", "drizzle", "drizzle/v1"];

/**
 * The migrations in a folder, in order.
 *
 * @throws Error at a wrong name, and at a number that occurs twice: only one of them would run
 */
export function listMigrations(dir: string, source: MigrationSource): MigrationFile[] {
  const { name, folders, expected } = FORMS[source ?? "encore"] as Form;
  const found = new Map<number, MigrationFile>();
  for (const candidate of candidates(dir, folders)) {
    const file = folders ? `${candidate}/migration.sql` : candidate;
    const match = name.exec(candidate);
    const version = Number(match?.[1]);
    if (match === null || !Number.isSafeInteger(version)) {
      throw new Error(`migration ${file} has no valid name: expected ${expected}`);
    }
    if (match[3] === "down") continue;
    const other = found.get(version);
    if (other !== undefined) {
      const both = `migrations ${other.file} and ${file}`;
      throw new Error(`${both} have the same number, only one would run: renumber one`);
    }
    found.set(version, { version, file });
  }
  return [...found.values()].sort((a, b) => a.version - b.version);
}

function candidates(dir: string, folders: boolean): string[] {
  const entries = readdirSync(dir, { withFileTypes: true });
  const names = entries.flatMap((entry) => {
    if (!folders) return entry.name.endsWith(".sql") ? [entry.name] : [];
    if (!entry.isDirectory() || entry.name === "meta") return [];
    return readdirSync(join(dir, entry.name)).includes("migration.sql") ? [entry.name] : [];
  });
  return names.sort();
}
