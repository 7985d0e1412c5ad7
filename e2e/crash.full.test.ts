import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { FAILPOINTS } from "../shared/failpoint";
import { CELLS } from "./crash-matrix";
import { CrashStage, MATRIX_DEADLINE_MS } from "./crash-stage";

describe("kill -9 at every point of every move", () => {
  let stage: CrashStage;
  beforeAll(async () => {
    stage = await CrashStage.open();
  });
  afterAll(() => stage.close());

  it("has cells for every failpoint", () => {
    const points = new Set(CELLS.map(({ point }) => point));
    expect([...points].sort()).toEqual(Object.values(FAILPOINTS).flat().sort());
  });
  it("of the whole", () => stage.expectSound("whole", CELLS), MATRIX_DEADLINE_MS);
  it("of Postgres", () => stage.expectSound("postgres", CELLS), MATRIX_DEADLINE_MS);
});
