import { afterAll, beforeAll, describe, it } from "vitest";

import { CELLS } from "./crash-matrix";
import { CrashStage, MATRIX_DEADLINE_MS } from "./crash-stage";

describe("kill -9 of one of three processes, at every point of every move", () => {
  let stage: CrashStage;
  beforeAll(async () => {
    stage = await CrashStage.open();
  });
  afterAll(() => stage.close());

  it("the control plane's", () => stage.expectSound("control", CELLS), MATRIX_DEADLINE_MS);
  it(
    "the source's and the destination's",
    async () => {
      // Played as one: whoever is killed is the one's source and the other's destination.
      await stage.expectSound("source, destination", CELLS);
    },
    MATRIX_DEADLINE_MS,
  );
});
