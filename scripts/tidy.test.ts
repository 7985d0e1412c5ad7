import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { describe, expect, it } from "vitest";

const SERVICES = ["clusters", "containers", "dns", "migrations", "proxy"];
const README_SECTIONS = [
  "Name",
  "Owns",
  "States",
  "API",
  "Settings",
  "When it fails",
  "Metrics",
  "Tests",
  "See also",
];
const SKIPPED_FOLDERS = ["node_modules", "encore.gen", "build"];
const MAX_SHARED_FILES = 10;

/** Every file of the repository that is not generated, relative to its root. */
function walk(folder = "."): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED_FOLDERS.includes(entry.name) || entry.name.startsWith(".")) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

const files = walk();
const sources = files.filter((file) => /\.(ts|mjs|js)$/.test(file));
const documents = files.filter((file) => file.endsWith(".md"));

describe("the repository", () => {
  it.each(SERVICES)("%s has the shape of a service", (service) => {
    const expected = ["README.md", "encore.service.ts", "api.ts", "db.ts", "store.ts", "core"];
    expect(expected.filter((file) => !existsSync(join(service, file)))).toEqual([]);
    const headings = readFileSync(join(service, "README.md"), "utf8").matchAll(/^## (.+)$/gm);
    expect([...headings].map(([, heading]) => heading)).toEqual(README_SECTIONS);
  });

  it("has a test beside every file of a core", () => {
    const cores = sources.filter((file) => /^[^/]+\/core\/[^/]+\.ts$/.test(file));
    const untested = cores
      .filter((file) => !file.endsWith(".test.ts"))
      .filter((file) => !existsSync(file.replace(/\.ts$/, ".test.ts")));
    expect(cores.length).toBeGreaterThan(20);
    expect(untested).toEqual([]);
  });

  it("keeps shared/ small", () => {
    const shared = sources.filter((file) => /^shared\/[^/]+\.ts$/.test(file));
    expect(shared.filter((file) => !file.endsWith(".test.ts")).length).toBeLessThanOrEqual(
      MAX_SHARED_FILES,
    );
  });

  it("has no marks of unfinished work", () => {
    const marks = new RegExp(["FIX" + "ME", "TO" + "DO", "\\.on" + "ly\\("].join("|"));
    expect(sources.filter((file) => marks.test(readFileSync(file, "utf8")))).toEqual([]);
  });

  it("has SQL in store files only", () => {
    const statement = /`\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s/;
    const offenders = sources
      .filter((file) => SERVICES.includes(file.split("/")[0] ?? ""))
      .filter((file) => !/\/store[^/]*\.ts$|\.test\.ts$/.test(file))
      .filter((file) => statement.test(readFileSync(file, "utf8")));
    expect(offenders).toEqual([]);
  });

  it("shows each failure by a test that there is", () => {
    const text = readFileSync("docs/failure-modes.md", "utf8");
    const named = [...text.matchAll(/`([^`\s]+\.test\.ts)`(?: › "([^"]+)")?/g)];
    const missing = named
      .filter(([, file = "", title = ""]) => {
        return !existsSync(file) || !readFileSync(file, "utf8").includes(title);
      })
      .map(([name]) => name);
    expect(named.length).toBeGreaterThan(30);
    expect(missing).toEqual([]);
  });

  it("has one title a document, and links that lead somewhere", () => {
    const faults = documents.flatMap((document) => {
      const text = readFileSync(document, "utf8").replaceAll(/```[\s\S]*?```/g, "");
      const titles = text.match(/^# .+$/gm) ?? [];
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, link]) => link);
      const broken = links.filter((link) => !existsSync(join(dirname(document), link ?? "")));
      return [
        ...(titles.length === 1 ? [] : [`${document}: ${titles.length} titles`]),
        ...broken.map((link) => `${document}: ${link} leads nowhere`),
      ];
    });
    expect(faults).toEqual([]);
  });

  it("numbers its decisions without gaps", () => {
    const numbers = readdirSync("docs/decisions").map((file) => Number(file.slice(0, 4)));
    expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
  });

  it("holds no path of the machine it was written on", () => {
    const home = relative("/", process.cwd());
    expect(statSync(".").isDirectory()).toBe(true);
    const leaks = [...sources, ...documents].filter((file) =>
      readFileSync(file, "utf8").includes(`/${home}/`),
    );
    expect(leaks).toEqual([]);
  });
});
