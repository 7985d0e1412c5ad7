/** The version of `encore.dev` whose native module this stands in for. */
export const SDK_VERSION = "v1.58.6";
