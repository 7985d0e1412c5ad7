import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type Answer, ask, CASES, SETS } from "../__tests__/split-cases";
import { freePort } from "../../shared/__tests__/free-port";
import { build, type Built, Part } from "../__tests__/split-processes";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { migrate } from "../sql/migrate";

const golden = JSON.parse(
  readFileSync(fileURLToPath(new URL("../__tests__/split-golden.json", import.meta.url)), "utf8"),
) as Record<string, Record<string, Answer>>;

const UNAVAILABLE = { code: "unavailable", message: "the service is currently unavailable" };

/**
 * Where we answer better than Encore: a process that is gone is `unavailable`, which a caller may try
 * again, and neither `internal` nor a 502 without a word.
 */
const BETTER: Record<string, Partial<Answer>> = {
  "call: parameters and results": { status: 503, body: { ...UNAVAILABLE, details: null } },
  "call: APIError with details": {
    status: 200,
    body: { ...UNAVAILABLE, details: "{}", isAPIError: true },
  },
  "gateway: typed": { status: 503, body: { ...UNAVAILABLE, details: null } },
  "gateway: body": { status: 503, body: { ...UNAVAILABLE, details: null } },
  "gateway: raw": { status: 503, body: { ...UNAVAILABLE, details: null } },
};

let built: Built;
let postgres: TestPostgres;
const running: Part[] = [];

beforeAll(async () => {
  [built, postgres] = await Promise.all([build(), startTestPostgres()]);
  const { databases } = postgres.infra(["back"]);
  await migrate({
    root: built.root,
    databases: built.model.databases,
    configs: databases,
    maintenanceDatabase: "postgres",
  });
});

afterAll(async () => {
  await postgres.stop();
  rmSync(built.root, { recursive: true, force: true });
});

function start(port: number, infra: object, env?: Record<string, string>): Promise<Part> {
  const part = new Part(built, port, infra, env);
  running.push(part);
  return part.ready();
}

async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((part) => part.stop()));
}

interface Ports {
  readonly front: number;
  readonly back: number;
}

const address = (port: number): object => ({ base_url: `http://127.0.0.1:${port}` });

const frontConfig = ({ back }: Ports, auth: unknown = null): object => ({
  hosted_services: ["front"],
  hosted_gateways: ["api-gateway"],
  cors: {},
  service_discovery: { back: address(back), side: address(back) },
  auth,
});

const backConfig = ({ front }: Ports, auth: unknown = null): object => ({
  hosted_services: ["back", "side"],
  hosted_gateways: [],
  service_discovery: { front: address(front) },
  auth,
});

describe.each(Object.keys(SETS))("as the real runtime answered: %s", (set) => {
  const bases = { front: "", back: "" };

  beforeAll(async () => {
    const { front, back } = SETS[set] as (typeof SETS)[string];
    const ports = { front: await freePort(), back: await freePort() };
    const parts = [start(ports.front, frontConfig(ports, front))];
    if (back !== false) parts.push(start(ports.back, backConfig(ports, back)));
    await Promise.all(parts);
    Object.assign(bases, {
      front: `http://127.0.0.1:${ports.front}`,
      back: `http://127.0.0.1:${ports.back}`,
    });
  });
  afterAll(stopAll);

  test.each(Object.entries(CASES[set] ?? {}))("%s", async (name, question) => {
    const answer = await ask(bases, question);
    const better = SETS[set]?.back === false ? BETTER[name] : undefined;
    if (better === undefined) expect(answer).toEqual(golden[set]?.[name]);
    else expect(answer).toMatchObject(better);
  });
});
