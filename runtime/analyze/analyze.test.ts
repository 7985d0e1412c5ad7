import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { AppModel, ObjectSchema } from "../app-model";
import { analyze } from "./analyze";
import { AppModelError, formatFault } from "./faults";

const PACKAGES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Service `one` with these files beside its declaration; a path with a slash is from the root. */
function app(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "stele-analyze-"));
  folders.push(root);
  symlinkSync(PACKAGES, join(root, "node_modules"));
  const service = (name: string): string =>
    `import { Service } from "encore.dev/service";\nexport default new Service("${name}");\n`;
  const all: Record<string, string> = {
    "one/encore.service.ts": service("one"),
    "two/encore.service.ts": service("two"),
    "tsconfig.json": '{ "compilerOptions": { "paths": { "~encore/*": ["./encore.gen/*"] } } }',
  };
  for (const [path, text] of Object.entries(files)) {
    all[path.includes("/") ? path : `one/${path}`] = text;
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function model(files: Record<string, string>): Promise<AppModel> {
  return analyze(app(files));
}

/** The faults, one line each. */
async function faults(files: Record<string, string>): Promise<string[]> {
  try {
    await analyze(app(files));
  } catch (error) {
    if (error instanceof AppModelError) return error.faults.map(formatFault);
    throw error;
  }
  return [];
}

const API = 'import { api, Header, Query } from "encore.dev/api";\n';

/** An endpoint whose request is `type`, after these declarations. */
function taking(type: string, declarations = ""): Record<string, string> {
  const options = '{ expose: true, method: "POST", path: "/v1/x" }';
  return {
    "api.ts": `${API}${declarations}\nexport const x = api(${options}, async (p: ${type}): Promise<void> => {});\n`,
  };
}

async function requestOf(files: Record<string, string>): Promise<ObjectSchema | null | undefined> {
  return (await model(files)).endpoints[0]?.request;
}

async function fieldsOf(files: Record<string, string>): Promise<string[]> {
  return ((await requestOf(files))?.fields ?? []).map(
    ({ name, optional, schema }) => `${name}${optional ? "?" : ""}: ${schema.kind}`,
  );
}

describe("what is found", () => {
  test("an endpoint with its places in the request", async () => {
    const { endpoints, services } = await model({
      "api.ts": `${API}
interface Get { id: string; limit?: Query<number>; key: Header<"X-Key"> }
export const get = api({ expose: true, method: "GET", path: "/v1/things/:id", tags: ["a"] },
  async ({ id }: Get): Promise<{ id: string }> => ({ id }));
`,
    });
    expect(services.map(({ name, dir }) => [name, dir])).toEqual([
      ["one", "one"],
      ["two", "two"],
    ]);
    expect(endpoints).toHaveLength(1);
    expect(endpoints[0]).toMatchObject({
      service: "one",
      name: "get",
      kind: "typed",
      at: { file: "one/api.ts", line: 4 },
      methods: ["GET"],
      path: "/v1/things/:id",
      tags: ["a"],
      bodyLimit: 2 * 1024 * 1024,
      request: {
        typeName: "Get",
        fields: [
          { name: "id", location: "auto", optional: false, schema: { kind: "string" } },
          { name: "limit", location: "query", optional: true, schema: { kind: "number" } },
          { name: "key", location: "header", wireName: "X-Key" },
        ],
      },
    });
  });

  test("a database, by its own name and by another service's", async () => {
    const { databases, services } = await model({
      "db.ts": `import { SQLDatabase } from "encore.dev/storage/sqldb";
export const db = new SQLDatabase("one", { migrations: "./schema" });
export const all = () => db.queryAll\`select 1\`;\n`,
      "one/schema/1_init.up.sql": "select 1;",
      "two/db.ts": `import { SQLDatabase } from "encore.dev/storage/sqldb";
const theirs = SQLDatabase.named("one");
export const some = () => theirs.queryRow\`select 1\`;\n`,
    });
    expect(databases).toMatchObject([{ name: "one", service: "one", migrationsDir: "one/schema" }]);
    expect(services.map((service) => service.databases)).toEqual([["one"], ["one"]]);
  });

  test("a topic, its publishers and its subscription in another service", async () => {
    const { topics, subscriptions } = await model({
      "topics.ts": `import { Topic } from "encore.dev/pubsub";
export interface Moved { id: string }
export const moved = new Topic<Moved>("repl.moved", { deliveryGuarantee: "at-least-once" });
export const tell = () => moved.publish({ id: "a" });\n`,
      "two/subscriptions.ts": `import { Subscription } from "encore.dev/pubsub";
import { moved as theirs } from "../one/topics";
const _ = new Subscription(theirs, "two-moved", {
  handler: async () => {}, retryPolicy: { minBackoff: "1s", maxRetries: 3 },
});\n`,
    });
    expect(topics).toMatchObject([{ name: "repl.moved", publishers: ["one"] }]);
    expect(subscriptions).toMatchObject([
      {
        topic: "repl.moved",
        service: "two",
        minBackoffMs: 1000,
        maxRetries: 3,
        ackDeadlineMs: 30_000,
      },
    ]);
  });

  test("a gateway with its auth handler, a secret and a cron job", async () => {
    const found = await model({
      "auth.ts": `import { Gateway, Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";
interface P { authorization: Header<"Authorization"> }
export const auth = authHandler<P, { userID: string }>(async () => ({ userID: "a" }));
export const gateway = new Gateway({ authHandler: auth });\n`,
      "more.ts": `${API}import { secret } from "encore.dev/config";
import { CronJob } from "encore.dev/cron";
const key = secret("Key");
export const sweep = api({}, async (): Promise<void> => { key(); });
const _ = new CronJob("sweep", { every: "5m", endpoint: sweep });\n`,
    });
    expect(found.gateways).toMatchObject([{ name: "api-gateway", variable: "gateway" }]);
    expect(found.authHandler).toMatchObject({ name: "auth", service: "one" });
    expect(found.secrets).toEqual([{ name: "Key", services: ["one"] }]);
    expect(found.crons).toMatchObject([{ everyMinutes: 5, service: "one", endpoint: "sweep" }]);
    expect(found.endpoints[0]).toMatchObject({ path: "/one.sweep", methods: ["POST"] });
  });
});

describe("a type", () => {
  const Full = "interface Full { id: string; a?: number; b: string | null }";

  test.each([
    [
      "extends another",
      "C",
      "interface C extends Full { c: Date }",
      ["c: date", "id: string", "a?: number", "b: union"],
    ],
    ["picks", "A", 'type A = Pick<Full, "id" | "a">', ["id: string", "a?: number"]],
    ["omits", "A", 'type A = Omit<Full, "id">', ["a?: number", "b: union"]],
    ["is partial", "A", "type A = Partial<Full>", ["id?: string", "a?: number", "b?: union"]],
    ["is required", "A", "type A = Required<Full>", ["id: string", "a: number", "b: union"]],
    ["intersects", "A", "type A = { x: string } & { y: boolean }", ["x: string", "y: boolean"]],
    ["is generic", "G<number>", "interface G<T> { v: T; w: T[] }", ["v: number", "w: array"]],
    ["has a default", "G", "interface G<T = Full> { v: T }", ["v: named"]],
    [
      "is mapped",
      "A",
      "type A = { [K in keyof Full]?: string }",
      ["id?: string", "a?: string", "b?: string"],
    ],
    [
      "is looked up",
      "A",
      'interface A { m: Full["b"]; u?: "x" | undefined }',
      ["m: union", "u?: literal"],
    ],
    ["is an enum", "A", 'enum E { X = "x" } interface A { e: E }', ["e: named"]],
    [
      "has keys",
      "A",
      "const O = { a: 1 } as const; interface A { k: keyof typeof O }",
      ["k: union"],
    ],
    ["recurs", "T", "interface T { kids: T[]; next?: T }", ["kids: array", "next?: named"]],
    [
      "is conditional",
      "A",
      "type If<T> = T extends string ? number : boolean; interface A { v: If<string> }",
      ["v: number"],
    ],
  ])("%s", async (_what, type, declarations, fields) => {
    expect(await fieldsOf(taking(type, `${Full}\n${declarations}`))).toEqual(fields);
  });

  test("comes from another folder, renamed and re-exported", async () => {
    const files = {
      ...taking("Mine", 'import type { Theirs as Mine } from "../shared/all";'),
      "shared/all.ts": 'export * from "./deep.js";',
      "shared/deep.ts": "export interface Theirs { n: number }",
    };
    expect(await fieldsOf(files)).toEqual(["n: number"]);
  });

  test("is validated, also behind a name", async () => {
    const declarations = `import { MinLen, MaxLen, IsEmail } from "encore.dev/validate";
type Name = string & (MinLen<2> & MaxLen<5>);`;
    const files = taking("{ n: Name; e?: string & IsEmail }", declarations);
    expect((await model(files)).types).toEqual({
      "one/api.ts#Name": {
        kind: "validated",
        base: { kind: "string" },
        rule: {
          rule: "and",
          rules: [
            { rule: "minLen", value: 2 },
            { rule: "maxLen", value: 5 },
          ],
        },
      },
    });
  });
});

describe("a schema is refused", () => {
  test.each([
    ["a tuple", "{ a: [string, number] }", /a tuple has no schema/],
    ["a map", "{ a: Map<string, string> }", /does not know the type Map/],
    ["a function", "{ f(): void }", /functions do not travel/],
    ["a template", "{ t: `a${string}` }", /template literal/],
    ["a brand", "{ b: string & { __brand: 1 } }", /branded string/],
    ["object", "{ o: object }", /type object has no schema/],
    ["an index at the top", "{ [k: string]: string }", /index signature/],
    ["a union at the top", "{ a: 1 } | { b: 1 }", /expected an interface or void, found union/],
    ["a utility type without a name", "Partial<{ a: string }>", /must have a name/],
    ["an imported type expression", '{ a: import("./y").Y }', /does not know the type import/],
    ["an unknown name", "{ b: boolean & Nope }", /does not know the type Nope/],
  ])("%s", async (_what, type, message) => {
    expect(await faults(taking(type))).toEqual([expect.stringMatching(message)]);
  });

  test("with the line of the field that is at fault", async () => {
    const files = taking("P", "interface P {\n  a: string;\n  b: Uint8Array;\n}");
    expect(await faults(files)).toEqual([
      expect.stringMatching(/^one\/api\.ts:4: Encore does not know the type Uint8Array/),
    ]);
  });
});

/** An endpoint written out, for what its declaration may look like. */
function written(statement: string): Record<string, string> {
  return { "api.ts": `${API}${statement}\n` };
}

const OPTIONS = '{ expose: true, method: "POST", path: "/v1/x" }';

describe("an endpoint is refused", () => {
  test.each([
    ["not exported", `const a = api(${OPTIONS}, async (): Promise<void> => {});`, /not exported/],
    ["wrapped", `export const a = api(${OPTIONS}, wrap(async () => {}));`, /written here/],
    ["without a return type", `export const a = api(${OPTIONS}, async () => 1);`, /return type/],
    [
      "with a default",
      `export const a = api(${OPTIONS}, async (p: {} = {}): Promise<void> => {});`,
      /default value/,
    ],
    [
      "in a function",
      `function f() { return api(${OPTIONS}, async (): Promise<void> => {}); }`,
      /exported variable/,
    ],
    [
      "with options elsewhere",
      `const o = ${OPTIONS}; export const a = api(o, async (): Promise<void> => {});`,
      /object literal/,
    ],
    [
      "with a slash at the end",
      'export const a = api({ path: "/a/" }, async (): Promise<void> => {});',
      /empty path segment/,
    ],
    [
      "with an unknown parameter",
      'export const a = api({ path: "/a/:id" }, async (p: { x: string }): Promise<void> => {});',
      /path parameter id is no field/,
    ],
    [
      "with a nested query",
      'export const a = api({ method: "GET", path: "/a" }, async (p: { x: { y: 1 } }): Promise<void> => {});',
      /travels in the query/,
    ],
  ])("%s", async (_what, statement, message) => {
    expect(await faults(written(statement))).toEqual([expect.stringMatching(message)]);
  });

  test("beside another of the same path and method, with the other's place", async () => {
    const of = (name: string, param: string): string =>
      `export const ${name} = api({ path: "/a/:${param}" }, async (p: { ${param}: string }): Promise<void> => {});`;
    expect(await faults(written(`${of("a", "x")}\n${of("b", "y")}`))).toEqual([
      "one/api.ts:3: path /a/:y is taken: two endpoints cannot answer POST on it; the other is /a/:x in one/api.ts:2",
    ]);
  });

  test("outside a service", async () => {
    const { "api.ts": text = "" } = written(
      `export const a = api(${OPTIONS}, async (): Promise<void> => {});`,
    );
    expect(await faults({ "shared/api.ts": text })).toEqual([
      expect.stringMatching(/^shared\/api\.ts:2: endpoint outside a service/),
    ]);
  });
});

describe("a use is refused", () => {
  const db = {
    "db.ts":
      'import { SQLDatabase } from "encore.dev/storage/sqldb";\nexport const db = new SQLDatabase("one");',
  };

  test.each([
    ["an alias", "export const alias = db;"],
    ["a field", "export const o = { db };"],
    ["a default", "export const f = (x = db) => x;"],
    ["a choice", "export const f = (tx: any) => tx ?? db;"],
  ])("%s of a database", async (_what, statement) => {
    const files = { ...db, "store.ts": `import { db } from "./db";\n${statement}` };
    expect(await faults(files)).toEqual([
      expect.stringMatching(/^one\/store\.ts:2: a database may be called or passed/),
    ]);
  });

  test("but not a parameter of the same name, nor an argument", async () => {
    const text = 'import { db } from "./db";\nexport const f = (db: any) => ({ db });\nf(db);';
    expect(await faults({ ...db, "store.ts": text })).toEqual([]);
  });

  test.each([
    ["kept", "export const c = two;", "a client may only be called"],
    ["taken apart", "export const p = two.ping;", "a client's endpoint may only be called"],
  ])("a client that is %s", async (_what, statement, message) => {
    const files = { "c.ts": `import { two } from "~encore/clients";\n${statement}` };
    expect(await faults(files)).toEqual([expect.stringContaining(`one/c.ts:2: ${message}`)]);
  });

  test("a client outside every service", async () => {
    const files = { "cli/c.ts": 'import { two } from "~encore/clients";\nvoid two.ping();' };
    expect(await faults(files)).toEqual([
      expect.stringContaining("cli/c.ts:2: a call outside every service"),
    ]);
  });
});

test("every fault is reported, each with its place", async () => {
  const files = {
    "a.ts": "export const = 1;",
    "b.ts": 'import "./nowhere";\nimport "no-such-package";',
    "c.ts": 'import type { X } from "no-such-package";',
    "one/d.test.ts": "anything at all (",
  };
  expect(await faults(files)).toEqual([
    expect.stringMatching(/^one\/a\.ts:1: /),
    expect.stringContaining('one/b.ts:1: module "./nowhere" not found'),
    expect.stringContaining('one/b.ts:2: module "no-such-package" not found'),
  ]);
});

test("a service file declares one service, as its default export", async () => {
  const bound =
    'import { Service } from "encore.dev/service";\nconst s = new Service("x");\nexport default s;';
  expect(await faults({ "three/encore.service.ts": bound })).toEqual([
    expect.stringContaining("three/encore.service.ts:2: a service is not a variable"),
  ]);
});
