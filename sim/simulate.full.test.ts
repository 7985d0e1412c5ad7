import { expect, it } from "vitest";

import { PRODUCTION } from "./rules";
import { firstFailure } from "./simulate";

const SEEDS = 1_000;

it(`the simulation holds for ${SEEDS} seeds`, () => {
  expect(firstFailure(1_001, SEEDS, PRODUCTION)).toBeUndefined();
});
