import { createRequire } from "node:module";
import type * as TS from "typescript";

/**
 * TypeScript's own parser. It is required, not imported: to import a CommonJS module of nine
 * megabytes, Node first reads it whole for the names that it exports, which takes half a second.
 */
export const ts = createRequire(import.meta.url)("typescript") as typeof TS;
