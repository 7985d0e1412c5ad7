import { afterAll, beforeAll, expect, it } from "vitest";

import { markOpen, setLocalClusters } from "./local";
import { clusterStore } from "./store";
import { startSweep } from "./sweep";
import { makeAppsDir } from "./test-cluster";
import { until } from "./test-until";

let removeApps: () => void;
let sweep: ReturnType<typeof startSweep>;

beforeAll(() => {
  removeApps = makeAppsDir().remove;
  setLocalClusters(["known", "unknown"]);
  markOpen("known");
});
afterAll(() => {
  sweep.close();
  removeApps();
});

/** A row of a container that runs, as a process that was killed leaves it. */
async function leaveRunning(clusterId: string, replId: string): Promise<void> {
  const store = clusterStore(clusterId);
  await store.decideRoute(replId, { kind: "activate", generation: 1 });
  await store.starting(replId, 1, 30_000 + Number(replId.slice(-1)));
  await store.running(replId, 1, { host: "127.0.0.1", port: 1 });
}

const stateOf = async (clusterId: string, replId: string) =>
  (await clusterStore(clusterId).container(replId, 1))?.state;

const untilFailed = (clusterId: string, replId: string) =>
  until(`${replId} is failed`, async () => (await stateOf(clusterId, replId)) === "failed");

it("leaves containers alone until it is known what a former process has left", async () => {
  await leaveRunning("known", "swept1");
  await leaveRunning("unknown", "swept2");
  sweep = startSweep();
  await untilFailed("known", "swept1");
  // One more round at least.
  await leaveRunning("known", "swept3");
  await untilFailed("known", "swept3");
  expect(await stateOf("unknown", "swept2")).toBe("running");
  markOpen("unknown");
  await untilFailed("unknown", "swept2");
});
