import { expect, it } from "vitest";

import { listDeadEvents, moved, replayDeadEvent } from "./events";

it("an event of another version is kept with its error, and stays when it is replayed", async () => {
  const later = { v: 2, repl: "r1" };
  await moved.take(later);
  const { items } = await listDeadEvents();
  expect(items).toMatchObject([
    {
      subscription: "dns-repl-moved",
      payload: JSON.stringify(later),
      error: "Cannot read version 2 of repl.moved: expected 1",
      times: 1,
    },
  ]);
  const id = items[0]?.id ?? "";
  expect(await replayDeadEvent({ id })).toMatchObject({ outcome: "dead" });
  expect((await listDeadEvents()).items).toMatchObject([{ id, times: 1 }]);
});
