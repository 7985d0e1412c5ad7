import { expect, it } from "vitest";

import { isSplit } from "../../e2e/platform";
import { runLoad } from "./load";
import { render } from "./load-print";

const MB = 1_000_000;

// `npm run bench -- move --only load` for a minute instead of five. On several processes, which are killed
// meanwhile, and on one, which is not.
it("visitors of every class at apps that move: no request fails", async () => {
  const result = await runLoad({
    seed: 1,
    seconds: 30,
    atMostSeconds: 300,
    smallPerSecond: 80,
    wanted: { rounds: 2, small: 1_000, large: 2 },
    uploadBytes: 10 * MB,
  });
  console.info(`figure:\n${render(result)}`);
  expect(result.failures).toEqual([]);
  expect(result.faults).toEqual([]);
  expect(result.classes.filter(({ count }) => count === 0)).toEqual([]);
  expect(result.writes).toBeGreaterThan(0);
  for (const { app, completed } of result.moves) {
    expect([app, completed >= 4]).toEqual([app, true]);
  }
  if (isSplit) expect(result.crashes.length).toBeGreaterThan(0);
});
