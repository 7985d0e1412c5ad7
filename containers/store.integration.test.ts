import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { db } from "./db";
import { type ClusterStore, clusterStore } from "./store";
import { setCursor } from "./store-registry";
import { makeAppsDir, serve } from "./test-cluster";

let store: ClusterStore;
let removeApps: () => void;
let count = 0;
let replId: string;

beforeAll(() => {
  removeApps = makeAppsDir().remove;
  serve("basel");
  store = clusterStore("basel");
});
beforeEach(() => {
  replId = `truth${++count}`;
});
afterAll(() => removeApps());

const activate = (generation: number) =>
  store.decideRoute(replId, { kind: "activate", generation }, { name: "app", owner: "demo" });

describe("the database", () => {
  it("lets no route fall, change its mind or forget", async () => {
    await activate(3);
    await expect(db.exec`
      UPDATE route SET generation = 2 WHERE repl_id = ${replId}`).rejects.toThrow("would fall");
    await expect(db.exec`
      UPDATE route SET version = 0 WHERE repl_id = ${replId}`).rejects.toThrow("would fall");
    await expect(db.exec`
      UPDATE route SET state = 'tombstone', peer_cluster = 'west'
      WHERE repl_id = ${replId}`).rejects.toThrow("cannot become tombstone");
    await expect(db.exec`
      UPDATE route SET state = 'frozen', frozen_by = 3 WHERE repl_id = ${replId}`).rejects.toThrow(
      "route_check",
    );
    await expect(db.exec`DELETE FROM route WHERE repl_id = ${replId}`).rejects.toThrow(
      "cannot be deleted",
    );
    await store.decideRoute(replId, { kind: "tombstone", generation: 4, to: "west" });
    await expect(db.exec`
      UPDATE route SET state = 'active', peer_cluster = NULL
      WHERE repl_id = ${replId}`).rejects.toThrow("cannot become active");
  });

  it("lets one container serve a repl, and none come back that is retired", async () => {
    await activate(1);
    expect(await store.starting(replId, 1, 20_001)).toBe(true);
    await expect(store.starting(replId, 2, 20_002)).rejects.toThrow("container_one_not_retired");
    await activate(2);
    expect(await store.starting(replId, 2, 20_002)).toBe(true);
    await expect(db.exec`
      UPDATE container SET retired_at = NULL
      WHERE repl_id = ${replId} AND generation = 1`).rejects.toThrow("is retired");
    expect(await store.starting(`${replId}b`, 1, 20_002)).toBe(false);
  });

  it("lets no cursor fall", async () => {
    await setCursor("basel", 7);
    await setCursor("basel", 5);
    await expect(db.exec`
      UPDATE log_cursor SET seq = 6 WHERE cluster_id = 'basel'`).rejects.toThrow("would fall");
  });
});
