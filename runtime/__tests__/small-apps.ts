import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { analyzeLeniently } from "../analyze/analyze";
import type { Fault } from "../analyze/faults";
import { foundBy } from "./notation";

/** A small application, and what Encore's own parser made of it. */
export interface RecordedApp {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly verdict: "accepted" | "rejected";
  readonly message?: string;
  /** `file:line`; absent where Encore names none. */
  readonly at?: string;
  readonly found?: Readonly<Record<string, unknown>>;
}

/** What this runtime makes of an application. */
export interface Verdict {
  readonly faults: readonly Fault[];
  readonly found: Record<string, unknown>;
}

const GOLDEN = new URL("./encore-golden/", import.meta.url);

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8")) as T;
}

/** What each recorded application stands on: the packages that are installed, and the settings. */
const BASE: Readonly<Record<string, string>> = {
  "encore.app": '{"id":"","lang":"typescript"}',
  "tsconfig.json": '{ "compilerOptions": { "paths": { "~encore/*": ["./encore.gen/*"] } } }',
  "package.json": '{ "name": "small", "type": "module" }',
};

const INSTALLED = ["encore.dev", "dns-packet", "vitest", "typescript"];
const PACKAGES = fileURLToPath(new URL("../../node_modules/", import.meta.url));

/** A folder for small applications, with packages that all of them see. */
export class SmallApps {
  readonly #dir = mkdtempSync(join(tmpdir(), "stele-small-"));
  #count = 0;

  constructor() {
    const modules = join(this.#dir, "node_modules");
    mkdirSync(join(modules, "zod"), { recursive: true });
    writeFileSync(join(modules, "zod", "package.json"), '{ "name": "zod" }');
    for (const name of INSTALLED) symlinkSync(join(PACKAGES, name), join(modules, name));
  }

  async judge(files: RecordedApp["files"]): Promise<Verdict> {
    this.#count += 1;
    const root = join(this.#dir, String(this.#count));
    for (const [path, text] of Object.entries({ ...BASE, ...files })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const { model, faults } = await analyzeLeniently(root);
    return { faults, found: foundBy(root, model) };
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
