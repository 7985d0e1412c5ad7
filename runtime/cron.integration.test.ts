import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import type { AppModel, CronModel } from "./app-model";
import { Crons } from "./cron";
import { startTestPostgres, type TestPostgres } from "./postgres/test-postgres";

let server: TestPostgres;
const running: Crons[] = [];

beforeAll(async () => {
  server = await startTestPostgres();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((crons) => crons.drain()));
});
afterAll(() => server.stop());

/** A clock that stands just before a full minute: each job is due once, in a moment. */
const STANDING = Date.UTC(2026, 0, 1, 0, 0, 59, 900);

const cron = (service: string): CronModel => ({
  name: `${service}-sweep`,
  at: { file: "api.ts", line: 1 },
  everyMinutes: 1,
  schedule: null,
  service,
  endpoint: "sweep",
});

const model = { crons: [cron("a"), cron("b")] } as unknown as AppModel;

/** A process that hosts these services; resolves when it has decided on each of their jobs. */
async function runDue(process: string, hosted: readonly string[], runs: string[]): Promise<void> {
  const infra = server.infra(["stele_pubsub"], { hosted_services: hosted });
  const crons = new Crons({
    model,
    infra,
    call: async (service) => void runs.push(`${service} in ${process}`),
    log: (_level, message) => void runs.push(message),
    now: () => STANDING,
  });
  running.push(crons);
  await crons.start();
}

it("runs each job in one of the processes that host its service", async () => {
  const runs: string[] = [];
  await runDue("first", ["a"], runs);
  await expect.poll(() => runs).toEqual(["a in first"]);
  await runDue("second", ["a", "b"], runs);
  await runDue("third", ["b"], runs);
  await expect.poll(() => runs.length).toBe(2);
  expect(runs[1]).toMatch(/^b in (second|third)$/);
});

it("hands a job on when its process ends", async () => {
  const runs: string[] = [];
  await runDue("first", ["a"], runs);
  await expect.poll(() => runs).toEqual(["a in first"]);
  await Promise.all(running.splice(0).map((crons) => crons.drain()));
  await runDue("second", ["a"], runs);
  await expect.poll(() => runs).toEqual(["a in first", "a in second"]);
});
