import { afterAll, beforeAll, expect, it } from "vitest";

import type { Failpoint } from "../shared/failpoint";
import { type Cell, CELLS } from "./crash-matrix";
import { CrashStage } from "./crash-stage";

/** One inside of each phase; the rest of the matrix is in `npm run test:full`. */
const POINTS: ReadonlyArray<readonly [Failpoint, Cell["mode"], Cell["way"]]> = [
  ["migrations.requested", "handoff", "forward"],
  ["clusters.open.written", "handoff", "forward"],
  ["containers.stage.row", "handoff", "forward"],
  ["containers.copy_files.copied", "handoff", "forward"],
  ["containers.freeze.quiet", "handoff", "forward"],
  ["containers.copy_delta.copied", "handoff", "forward"],
  ["containers.start.spawned", "handoff", "forward"],
  ["clusters.commit.written", "handoff", "forward"],
  ["containers.activate.row", "handoff", "forward"],
  ["containers.drain_old.quiet", "overlap", "forward"],
  ["containers.cleanup.kept", "handoff", "forward"],
  ["containers.unstage.row", "handoff", "abort"],
];

let stage: CrashStage;
beforeAll(async () => {
  stage = await CrashStage.open({ notes: 6, hello: 1 });
});
afterAll(() => stage.close());

it("kill -9 of all in each phase of a move: it ends, and nothing is lost or left behind", async () => {
  const cells = POINTS.flatMap(([point, mode, way]) =>
    CELLS.filter(
      (cell) =>
        cell.victim === "whole" && cell.point === point && cell.mode === mode && cell.way === way,
    ),
  );
  expect(cells).toHaveLength(POINTS.length);
  await stage.expectSound("whole", cells);
});
