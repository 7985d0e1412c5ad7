import { once } from "node:events";
import { rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { KEYS } from "../__tests__/split-cases";
import { freePort } from "../../shared/__tests__/free-port";
import { build, type Built, Part, until } from "../__tests__/split-processes";
import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { ensureDatabase, migrate } from "../sql/migrate";

let built: Built;
let postgres: TestPostgres;
let pubsub = "";
let runs = 0;
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

afterEach(async () => {
  await Promise.all(running.splice(0).map((part) => part.stop()));
  pubsub = "";
});

afterAll(async () => {
  await postgres.stop();
  rmSync(built.root, { recursive: true, force: true });
});

/** A database for the messages of one test. */
async function pubsubDatabase(): Promise<string> {
  if (pubsub === "") {
    pubsub = `pubsub_${++runs}`;
    await ensureDatabase(postgres.config(pubsub), "postgres");
  }
  return pubsub;
}

const address = (port: number): object => ({ base_url: `http://127.0.0.1:${port}` });

interface PartOptions {
  readonly services: readonly string[];
  readonly gateway?: boolean;
  readonly elsewhere?: Readonly<Record<string, number>>;
  readonly database?: boolean;
  /** Physical names by logical ones; with them the process takes part in Pub/Sub. */
  readonly subscriptions?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly env?: Record<string, string>;
}

async function start(options: PartOptions): Promise<Part> {
  const { services, gateway = false, elsewhere = {}, subscriptions } = options;
  const { socketDir, username, password } = postgres.config("back");
  const login = { username, password };
  const databases = {
    ...(options.database ? { back: login } : {}),
    ...(subscriptions ? { stele_pubsub: { ...login, name: await pubsubDatabase() } } : {}),
  };
  const named = Object.entries(subscriptions ?? {}).map(([name, at]) => [name, { name: at }]);
  const topics = {
    "note.added": { name: "notes", subscriptions: Object.fromEntries(named) as object },
  };
  const part = new Part(
    built,
    options.port ?? (await freePort()),
    {
      auth: KEYS,
      hosted_services: services,
      hosted_gateways: gateway ? ["api-gateway"] : [],
      cors: {},
      service_discovery: Object.fromEntries(
        Object.entries(elsewhere).map(([service, port]) => [service, address(port)]),
      ),
      sql_servers: [{ host: socketDir, databases }],
      pubsub: subscriptions ? [{ type: "nsq", hosts: "127.0.0.1:4150", topics }] : [],
    },
    options.env,
  );
  running.push(part);
  return part.ready();
}

async function ask(part: Part, path: string, init?: RequestInit) {
  const response = await fetch(part.base + path, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
}

const publish = (part: Part, text: string): Promise<unknown> =>
  ask(part, "/v1/front/notes", { method: "POST", body: JSON.stringify({ text }) });

async function heard(part: Part): Promise<string[]> {
  const { body } = await ask(part, "/v1/side/heard");
  return (body as { heard: string[] }).heard;
}

const portOf = (part: Part): number => Number(new URL(part.base).port);

describe("Pub/Sub between processes", () => {
  test("is published anywhere, and consumed where the subscription's service is", async () => {
    const both = { "back-note-added": "b", "side-note-added": "s" };
    const back = await start({ services: ["back"], database: true, subscriptions: both });
    const side = await start({ services: ["side"], subscriptions: both });
    const front = await start({ services: ["front"], gateway: true, subscriptions: {} });
    for (const text of ["a", "b", "c"]) await publish(front, text);
    await until(async () => (await heard(side)).length === 3);
    await until(async () => {
      const { body } = await ask(back, "/v1/back/notes");
      return (body as { notes: unknown[] }).notes.length === 3;
    });
    expect((await ask(back, "/v1/back/notes")).body).toEqual({
      notes: ["a", "b", "c"].map((text) => ({ text, heard: 1 })),
    });
    expect(await heard(side)).toHaveLength(3);
    expect(side.output).toContain('subscription \\"back-note-added\\" is not consumed here');
  });

  test("goes to each physical subscription, and to one process of each", async () => {
    const shared = { "side-note-added": "shared" };
    const one = await start({ services: ["side"], subscriptions: shared });
    const two = await start({ services: ["side"], subscriptions: shared });
    const own = await start({ services: ["side"], subscriptions: { "side-note-added": "own" } });
    const front = await start({ services: ["front"], gateway: true, subscriptions: {} });
    const texts = Array.from({ length: 20 }, (_, index) => `n${index}`);
    for (const text of texts) await publish(front, text);
    await until(async () => (await heard(own)).length === texts.length);
    await until(async () => (await heard(one)).length + (await heard(two)).length >= texts.length);
    expect([...(await heard(one)), ...(await heard(two))].toSorted()).toEqual(texts.toSorted());
  });
});

test("a database that is not configured fails when it is asked, and only then", async () => {
  const env = { ENCORE_API_INCLUDE_INTERNAL_MESSAGE: "1" };
  const back = await start({ services: ["back"], env });
  expect((await ask(back, "/v1/back/open/a")).status).toBe(200);
  const { status, body } = await ask(back, "/v1/back/notes");
  expect(status).toBe(500);
  expect(body).toMatchObject({
    internal_message: expect.stringMatching(/is not configured for use by this process$/),
  });
});

describe("a process that goes and comes back", () => {
  test("is unavailable meanwhile, also to who was waiting for it", async () => {
    const port = await freePort();
    const back = await start({ services: ["back"], port });
    const front = await start({ services: ["front"], gateway: true, elsewhere: { back: port } });
    expect((await ask(front, "/v1/front/ask/a")).status).toBe(200);

    const waiting = ask(front, "/v1/front/wait", { method: "POST" });
    const listening = open(front, "/v1/back/ticks");
    const answer = await listening;
    await once(answer, "data");
    await until(async () => back.output.includes('"endpoint":"wait"'));
    await back.stop();
    const unavailable = { status: 503, body: expect.objectContaining({ code: "unavailable" }) };
    expect(await waiting).toEqual(unavailable);
    await expect(drained(answer)).rejects.toThrow(/aborted/);
    expect(await ask(front, "/v1/front/ask/a")).toEqual(unavailable);
    expect(await ask(front, "/v1/back/open/a")).toEqual(unavailable);

    await start({ services: ["back"], port });
    expect((await ask(front, "/v1/front/ask/a")).status).toBe(200);
    expect((await ask(front, "/v1/back/open/a")).status).toBe(200);
  });

  test("finishes at SIGTERM what was asked of it through others", async () => {
    const port = await freePort();
    const back = await start({ services: ["back"], port });
    const front = await start({ services: ["front"], gateway: true, elsewhere: { back: port } });
    const upload = request(`${front.base}/v1/back/raw/a`, { method: "POST" });
    upload.write("half");
    await until(async () => back.output.includes('"endpoint":"echo"'));
    back.child.kill("SIGTERM");
    upload.end(" and half");
    const [answer] = (await once(upload, "response")) as [IncomingMessage];
    expect(JSON.parse(await drained(answer))).toMatchObject({ length: "half and half".length });
    expect(await back.exited).toBe(0);
  });
});

describe("through the gateway to another process", () => {
  let front: Part;
  let back: Part;

  const both = async (): Promise<void> => {
    back = await start({ services: ["back"] });
    front = await start({ services: ["front"], gateway: true, elsewhere: { back: portOf(back) } });
  };

  test("an answer comes as it is written, until nobody listens", async () => {
    await both();
    const answer = await open(front, "/v1/back/ticks");
    for (let tick = 0; tick < 3; tick += 1) await once(answer, "data");
    expect(ended(back, "ticks")).toBe(false);
    answer.destroy();
    await until(async () => ended(back, "ticks"));
  });

  test("a long body arrives whole, and a client who leaves half-way leaves nothing behind", async () => {
    await both();
    const size = 20_000_000;
    const whole = await ask(front, "/v1/back/raw/a", { method: "POST", body: "x".repeat(size) });
    expect(whole).toMatchObject({ status: 201, body: { length: size } });
    const half = request(`${front.base}/v1/back/raw/b`, {
      method: "POST",
      headers: { "content-length": size },
    });
    half.on("error", () => {});
    half.write("x".repeat(1000));
    await until(async () => back.output.split('"starting request"').length > 2);
    half.destroy();
    // The handler's body fails, and the request ends.
    await until(async () => back.output.split('"request completed"').length > 2);
    expect((await ask(front, "/v1/back/open/a")).status).toBe(200);
  });
});

test("what a configuration says wrong is said before anything listens", async () => {
  const port = await freePort();
  const part = new Part(built, port, {
    hosted_services: ["bakc"],
    hosted_gateways: ["door"],
    cors: {},
  });
  expect(await part.exited).toBe(1);
  expect(part.output).toMatch(/hosted_services names "bakc".*hosted_gateways names "door"/);
});

/** Whether a request of the endpoint has come to its end. */
function ended({ output }: Part, endpoint: string): boolean {
  const lines = output.split("\n").filter((line) => line.includes('"request completed"'));
  return lines.some((line) => line.includes(`"endpoint":"${endpoint}"`));
}

function open(part: Part, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(part.base + path)
      .on("response", resolve)
      .on("error", reject)
      .end();
  });
}

async function drained(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = await answer.toArray();
  return Buffer.concat(chunks).toString();
}
