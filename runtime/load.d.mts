/** Ends the process with one line when Node.js is too old. */
export function requireNode(): void;

/** Imports `entry`, relative to the repository, from a bundle in `outDir`. */
export function load<T = Record<string, unknown>>(entry: string, outDir: string): Promise<T>;

export interface BundleOptions {
  readonly entry: string;
  readonly outfile: string;
  readonly format?: "esm" | "cjs";
}

/** Bundles `entry` into `outfile` unless it is up to date; the absolute path of the bundle. */
export function bundle(options: BundleOptions): Promise<string>;
