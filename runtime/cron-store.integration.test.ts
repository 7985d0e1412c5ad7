import { afterAll, beforeAll, expect, it } from "vitest";

import { CronStore } from "./cron-store";
import { startTestPostgres, type TestPostgres } from "./postgres/test-postgres";

let server: TestPostgres;
let stores: CronStore[];

beforeAll(async () => {
  server = await startTestPostgres();
  const config = server.config("shared");
  stores = [await CronStore.open(config), await CronStore.open(config)];
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await server.stop();
});

it("gives each run to one process, whoever asks and how often, and none that is older", async () => {
  for (let minute = 1; minute <= 20; minute++) {
    const dueAt = new Date(Date.UTC(2026, 0, 1, 0, minute));
    const asked = stores.flatMap((store) => [
      store.take("sweep", dueAt),
      store.take("sweep", dueAt),
    ]);
    expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
  }
  const old = new Date(Date.UTC(2026, 0, 1, 0, 5));
  expect(await (stores[1] as CronStore).take("sweep", old)).toBe(false);
  expect(await (stores[1] as CronStore).take("other", old)).toBe(true);
});
