import fc from "fast-check";

const DEFAULT_SEED = 20_261_121;

fc.configureGlobal({ seed: Number(process.env.SEED ?? DEFAULT_SEED) });
