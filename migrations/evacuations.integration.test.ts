import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { db } from "./db";
import {
  cancelEvacuation,
  getEvacuation,
  listEvacuations,
  pauseEvacuation,
  planEvacuation,
  resumeEvacuation,
  startEvacuation,
} from "./evacuations";

const platform = vi.hoisted(() => ({
  state: "active" as "active" | "cordoned",
  reason: "",
  repls: ["large", "small", "asleep"],
}));

vi.mock("~encore/clients", () => ({
  clusters: {
    residents: async ({ clusterId }: { clusterId: string }) => ({
      found: clusterId !== "nowhere",
      state: platform.state,
      items: platform.repls.map((replId) => {
        return { replId, name: replId, owner: "demo", policy: "auto", isMoving: false };
      }),
    }),
    cordon: async () => {
      platform.state = "cordoned";
    },
    chooseHomes: async ({ replIds }: { replIds: string[] }) => ({
      chosen: replIds.map((replId) => ({ replId, clusterId: "west" })),
      reason: platform.reason,
    }),
    clusterAddress: async ({ clusterId }: { clusterId: string }) => {
      return { clusterId, apiUrl: null, publicKey: null };
    },
  },
  containers: {
    survey: async ({ after }: { after: string }) => ({
      items: platform.repls
        .filter((replId) => replId > after)
        .toSorted()
        .map((replId) => ({
          replId,
          running: replId !== "asleep",
          filesChanged: true,
          fileBytes: replId === "large" ? 900 : 10,
        })),
    }),
  },
}));

let count = 0;
let clusterId: string;

beforeEach(() => {
  clusterId = `api-evac-${++count}`;
  Object.assign(platform, { state: "active", reason: "" });
});
afterEach(async () => {
  await db.exec`UPDATE evacuation SET state = 'cancelled', finished_at = now()
    WHERE finished_at IS NULL`;
});

describe("the API of evacuations", () => {
  it("starts one, which cordons its cluster, and steers it", async () => {
    const started = await startEvacuation({ clusterId, to: "west", maxConcurrent: 3 });
    const limits = { maxConcurrent: 3, perMinute: 1_200, errorBudget: 5 };
    expect(started).toMatchObject({ clusterId, to: "west", state: "running", ...limits });
    expect(started).toMatchObject({ moved: 0, underWay: 0, remaining: null, failed: [] });
    expect(platform.state).toBe("cordoned");
    const { id } = started;
    expect(await pauseEvacuation({ id })).toMatchObject({ state: "paused" });
    expect(await pauseEvacuation({ id })).toMatchObject({ state: "paused" });
    expect(await resumeEvacuation({ id })).toMatchObject({ state: "running" });
    expect(await listEvacuations({ clusterId, open: true })).toMatchObject({ items: [{ id }] });
    const cancelled = await cancelEvacuation({ id });
    expect(cancelled).toMatchObject({ state: "cancelled", finishedAt: expect.any(String) });
    expect(await listEvacuations({ clusterId, open: true })).toEqual({ items: [] });
    await expect(resumeEvacuation({ id })).rejects.toMatchObject({
      code: "failed_precondition",
      message: `Cannot resume the evacuation of "${clusterId}": it is cancelled`,
    });
  });

  it("plans without doing anything", async () => {
    const plan = await planEvacuation({ clusterId });
    expect(plan.items.map(({ replId, mode, bytes, to }) => [replId, mode, bytes, to])).toEqual([
      ["asleep", "asleep", 10, "west"],
      ["small", "handoff", 10, "west"],
      ["large", "handoff", 900, "west"],
    ]);
    expect(plan).toMatchObject({ clusterId, moving: 0, bytes: 920 });
    expect(platform.state).toBe("active");
    expect(await listEvacuations({ clusterId })).toEqual({ items: [] });
  });

  it("refuses what cannot be done, and says why", async () => {
    await expect(startEvacuation({ clusterId: "nowhere" })).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(startEvacuation({ clusterId, to: clusterId })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    const { id } = await startEvacuation({ clusterId });
    await expect(startEvacuation({ clusterId })).rejects.toMatchObject({
      code: "failed_precondition",
      message: `Cannot evacuate cluster "${clusterId}": evacuation ${id} is open`,
    });
    platform.reason = '"west" is cordoned';
    await expect(planEvacuation({ clusterId })).rejects.toMatchObject({
      message: expect.stringContaining('"west" is cordoned'),
    });
    for (const unknown of ["x", "00000000-0000-4000-8000-000000000000"]) {
      await expect(getEvacuation({ id: unknown })).rejects.toMatchObject({ code: "not_found" });
    }
  });
});
