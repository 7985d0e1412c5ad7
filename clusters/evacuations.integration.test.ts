import { randomUUID } from "node:crypto";

import { beforeAll, beforeEach, describe, expect, it } from "vitest";

import { addCluster, listClusters, setCluster } from "./api";
import { openMigration } from "./commands";
import { chooseHomes, cordon, residents } from "./evacuations";
import { readLog } from "./store";
import * as repls from "./store-repls";

const [FROM, NEAR, FAR] = ["leave-from", "leave-near", "leave-far"] as const;
const ALL = [FROM, NEAR, FAR];

let count = 0;

async function create(cluster: string, owner = "demo"): Promise<string> {
  const name = `leaving${++count}`;
  const created = await repls.createRepl({ name, owner, cluster, policy: "auto" });
  if (created.outcome !== "created") throw new Error(`not created: ${created.outcome}`);
  return created.repl.id;
}

function open(replId: string, toCluster: string, fromCluster?: string) {
  const migrationId = randomUUID();
  const request = { migrationId, replId, toCluster, traceparent: "" };
  return openMigration({ ...request, ...(fromCluster !== undefined && { fromCluster }) });
}

beforeAll(async () => {
  for (const id of ALL) {
    await addCluster({ id, ingress: ["192.0.2.1"], httpPort: 80, listen: [] });
  }
});
beforeEach(async () => {
  for (const id of ALL) await setCluster({ id, state: "active" });
});

describe("what an evacuation asks of the authority", () => {
  it("is who lives there, and who moves", async () => {
    const [staying, moving] = [await create(FROM), await create(FROM)];
    await open(moving, NEAR, FROM);
    const { found, state, items } = await residents({ clusterId: FROM });
    expect([found, state]).toEqual([true, "active"]);
    expect(items.find(({ replId }) => replId === staying)).toMatchObject({ isMoving: false });
    expect(items.find(({ replId }) => replId === moving)).toMatchObject({ isMoving: true });
    expect(await residents({ clusterId: "leave-none" })).toMatchObject({ found: false, items: [] });
  });

  it("is a cordon, which is told to all once", async () => {
    await cordon({ clusterId: FROM });
    const [last] = (await readLog(0, 100_000)).toReversed();
    expect(last).toMatchObject({
      kind: "cluster",
      clusterId: FROM,
      cluster: { state: "cordoned" },
    });
    await cordon({ clusterId: FROM });
    expect((await readLog(last?.seq ?? 0, 10)).length).toBe(0);
    expect(await residents({ clusterId: FROM })).toMatchObject({ state: "cordoned" });
    await expect(cordon({ clusterId: "leave-none" })).rejects.toMatchObject({ code: "not_found" });
  });

  it("is a home for each that still lives there and does not move", async () => {
    const leaving = [await create(FROM), await create(FROM)];
    const [elsewhere, moving] = [await create(NEAR), await create(FROM)];
    await open(moving, NEAR, FROM);
    const replIds = [...leaving, elsewhere, moving];
    const { chosen, reason } = await chooseHomes({ from: FROM, to: FAR, replIds });
    expect(reason).toBe("");
    expect(chosen).toEqual(leaving.map((replId) => ({ replId, clusterId: FAR })));
    const any = await chooseHomes({ from: FROM, replIds: leaving });
    expect(any.chosen.map(({ clusterId }) => clusterId)).not.toContain(FROM);
  });

  it("counts what is on its way there already", async () => {
    const others = (await listClusters()).items.filter(({ id }) => id !== NEAR && id !== FAR);
    const leaving = await Promise.all(Array.from({ length: 20 }, () => create(FROM)));
    for (const { id } of others) await setCluster({ id, state: "cordoned" });
    const homes: string[] = [];
    for (const replId of leaving) {
      const { chosen } = await chooseHomes({ from: FROM, replIds: [replId] });
      const [{ clusterId } = { clusterId: "" }] = chosen;
      homes.push(clusterId);
      await open(replId, clusterId, FROM);
    }
    for (const { id } of others) await setCluster({ id, state: "active" });
    expect(homes.slice(-2).toSorted()).toEqual([FAR, NEAR]);
  });

  it("is why nothing can be taken", async () => {
    const replId = await create(FROM);
    await setCluster({ id: FAR, state: "cordoned" });
    const to = (id: string) => chooseHomes({ from: FROM, to: id, replIds: [replId] });
    expect(await to(FAR)).toEqual({ chosen: [], reason: `"${FAR}" is cordoned` });
    expect(await to("leave-none")).toEqual({
      chosen: [],
      reason: 'there is no cluster "leave-none"',
    });
  });

  it("is a migration only from there", async () => {
    const replId = await create(NEAR);
    await expect(open(replId, FAR, FROM)).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining(`it lives in "${NEAR}" by now`),
    });
    await expect(open(replId, FAR, NEAR)).resolves.toMatchObject({ fromCluster: NEAR });
  });
});
