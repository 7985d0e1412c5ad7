import { fileURLToPath } from "node:url";

/**
 * The folder of this repository. Bundles that `load.mjs` makes lie elsewhere; it gives them the
 * address of a file of `runtime/` as `import.meta.url`.
 */
export const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));
