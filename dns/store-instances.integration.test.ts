import { afterAll, describe, expect, it } from "vitest";

import { db } from "./db";
import * as stored from "./store-instances";

const row = (id: string, revision: number) => ({
  id,
  revision,
  seq: 7,
  state: `{"n":${revision}}`,
});
const peersOf = async (id: string) => (await stored.readRegistry(id)).peers;

afterAll(async () => {
  await stored.deleteInstance("one");
  await stored.deleteInstance("other");
});

describe("the registry", () => {
  it("holds a row for each instance, and shows it to the others", async () => {
    await stored.writeInstance(row("one", 1));
    await stored.writeInstance(row("one", 2));
    await stored.writeInstance(row("other", 3));
    expect((await peersOf("one")).filter(({ id }) => id === "one")).toEqual([]);
    const [one] = (await peersOf("other")).filter(({ id }) => id === "one");
    expect(one).toMatchObject({ revision: 2, seq: 7, isAlive: true });
    expect(JSON.parse(one!.state)).toEqual({ n: 2 });
    expect(one!.seenSecondsAgo).toBeLessThan(10);
    const clock = await db.queryRow<{ revision: number }>`SELECT revision FROM zone_clock`;
    expect((await stored.readRegistry("one")).revision).toBe(clock!.revision);
  });

  it("tells who died, and forgets it later", async () => {
    const age = (seconds: number) => db.exec`
      UPDATE instance SET seen_at = now() - make_interval(secs => ${seconds}) WHERE id = 'one'`;
    const find = async () => (await peersOf("other")).find(({ id }) => id === "one");
    await age(11);
    expect(await find()).toMatchObject({ isAlive: false });
    await stored.writeInstance(row("other", 3));
    expect(await find()).toBeDefined();
    await age(601);
    await stored.writeInstance(row("other", 3));
    expect(await find()).toBeUndefined();
  });
});
