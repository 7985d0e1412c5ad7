/** Ends the process with one line when Node.js is too old. */
export function requireNode(): void;

/**
 * Imports `entry`, a TypeScript file given relative to the repository, from a bundle in `outDir`,
 * which is made anew when it is out of date.
 */
export function load(entry: string, outDir: string): Promise<Record<string, unknown>>;
