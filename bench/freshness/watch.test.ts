import { describe, expect, it } from "vitest";

import { CLUSTERS, History, Watch } from "./watch.mjs";

function start(names: number) {
  const history = new History(names);
  const watch = new Watch(history);
  const answer = (name: number, count: number, at = 0, floor = watch.floorOf(name)) =>
    watch.take({ name, floor, cluster: count === 0 ? undefined : count % CLUSTERS, at });
  return { history, watch, answer };
}

describe("what an instance has answered", () => {
  it("dates each change by the first answer that shows it, or a later one", () => {
    const { history, watch, answer } = start(2);
    for (const name of [0, 1, 0]) history.begin(name);
    answer(0, 1, 10);
    expect(watch.seenAt).toEqual([]);
    answer(0, 2, 11);
    expect(watch.seenAt).toEqual([11]);
    answer(0, 3, 12);
    expect(watch.seenAt).toEqual([11, 12, 12]);
    expect(watch.pending).toBeUndefined();
  });

  it("counts an older answer after a newer one, also of another name", () => {
    const { history, watch, answer } = start(2);
    for (const name of [0, 1]) history.begin(name);
    answer(1, 2);
    answer(0, 1);
    answer(1, 1);
    answer(1, 2);
    expect(watch.older).toBe(2);
  });

  it("holds an answer against what was known when it was asked for", () => {
    const { history, watch, answer } = start(1);
    history.begin(0);
    const floor = watch.floorOf(0);
    answer(0, 2);
    answer(0, 1, 0, floor);
    expect(watch.older).toBe(0);
  });

  it("knows a name that was not there, and one that has been everywhere", () => {
    const { history, watch, answer } = start(1);
    history.begin(1);
    answer(1, 0);
    expect(watch.pending).toMatchObject({ name: 1, count: 1 });
    answer(1, 1);
    answer(1, 0);
    expect(watch.older).toBe(1);
    for (let times = 0; times < CLUSTERS + 5; times++) {
      history.begin(0);
      answer(0, times + 2);
    }
    expect([watch.pending, watch.older]).toEqual([undefined, 1]);
  });
});
