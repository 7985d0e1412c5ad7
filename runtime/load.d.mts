/** Ends the process with one line when Node.js is too old. */
export function requireNode(): void;

/**
 * Imports `entry`, a TypeScript file given relative to the repository, from a bundle in `outDir`,
 * which is made anew when it is out of date.
 */
export function load(entry: string, outDir: string): Promise<Record<string, unknown>>;

export interface BundleOptions {
  /** Relative to the repository. */
  readonly entry: string;
  readonly outfile: string;
  /** `esm` refers to its packages; `cjs` has them inside. */
  readonly format?: "esm" | "cjs";
}

/** Bundles `entry` unless it is up to date, and gives the bundle's absolute path. */
export function bundle(options: BundleOptions): Promise<string>;
