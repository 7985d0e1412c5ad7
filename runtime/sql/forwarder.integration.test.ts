import { once } from "node:events";
import { connect, type Socket } from "node:net";

import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { Forwarder } from "./forwarder";
import { openClient } from "./sql-client";

const PHYSICAL = "physical name";

let server: TestPostgres;
let forwarder: Forwarder;
let url: URL;

beforeAll(async () => {
  server = await startTestPostgres();
  const sql = openClient(server.config("postgres"), 1);
  await sql.unsafe(`create database "${PHYSICAL}"`);
  await sql.end();
}, 60_000);
afterAll(() => server.stop());

beforeEach(() => {
  const config = server.config(PHYSICAL);
  const gone = { ...config, socketDir: "/nowhere" };
  forwarder = new Forwarder({ logical: config, gone });
  url = new URL(forwarder.url("logical", config));
});
afterEach(() => forwarder.close());

async function using<T>(target: URL | string, run: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(String(target), { max: 2, connect_timeout: 5, onnotice: () => {} });
  try {
    return await run(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const on = (database: string): URL => Object.assign(new URL(url), { pathname: `/${database}` });

/** What a connection that says this gets before it is closed. */
async function say(bytes: Buffer): Promise<Buffer> {
  const socket: Socket = connect(Number(url.port), url.hostname);
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part));
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return Buffer.concat(parts);
}

describe("Forwarder", () => {
  it("has a URL in Encore's form, at once", () => {
    expect(String(url)).toMatch(
      /^postgresql:\/\/\S+:\S+@127\.0\.0\.1:\d+\/logical\?sslmode=disable$/,
    );
  });

  it("leads to the database by its logical name", async () => {
    const rows = await using(url, (sql) => sql`select current_database() as name, 1 + ${2} as sum`);
    expect(rows).toEqual([{ name: PHYSICAL, sum: 3 }]);
  });

  it("carries LISTEN beside queries, and large results", async () => {
    await using(url, async (sql) => {
      const heard = new Promise((resolve) => void sql.listen("news", resolve));
      await sql.listen("other", () => {}); // After the first, on the same connection.
      await sql.notify("news", "it works");
      expect(await heard).toBe("it works");
      const [row] = await sql<{ v: string }[]>`select repeat('x', 20000000) as v`;
      expect(row?.v === "x".repeat(20_000_000)).toBe(true);
    });
  });

  it("carries the cancelling of a statement", async () => {
    await using(url, async (sql) => {
      const slow = sql`select pg_sleep(60)`.execute();
      await expect
        .poll(async () => sql`select 1 from pg_stat_activity where query like '%pg_sleep(60)'`)
        .toHaveLength(1);
      slow.cancel();
      await expect(slow).rejects.toMatchObject({ code: "57014" });
    });
  });

  it("leaves the password to the server", async () => {
    const wrong = Object.assign(new URL(url), { password: "guess" });
    await expect(using(wrong, (sql) => sql`select 1`)).rejects.toMatchObject({ code: "28P01" });
  });

  it("says which database is not there", async () => {
    await expect(using(on("other"), (sql) => sql`select 1`)).rejects.toMatchObject({
      code: "3D000",
      message: 'database "other" is not configured for use by this process',
    });
    await expect(using(on("gone"), (sql) => sql`select 1`)).rejects.toMatchObject({
      code: "57P03",
      message: expect.stringMatching(/^cannot reach the server of database "gone": .*ENOENT/),
    });
    await expect(using(on("__proto__"), (sql) => sql`select 1`)).rejects.toMatchObject({
      code: "3D000",
    });
  });

  it("declines encryption, and reads an opening in pieces", async () => {
    const ssl = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
    const socket = connect(Number(url.port), url.hostname);
    for (const byte of [...ssl, ...ssl]) socket.write(Buffer.from([byte]));
    let answer = "";
    while (answer.length < 2) answer += String((await once(socket, "data"))[0]);
    expect(answer).toBe("NN");
    socket.destroy();
  });

  it.each([
    ["a web request", Buffer.from("GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    ["a packet that is too short", Buffer.from([0, 0, 0, 7, 0, 0, 0])],
    ["a packet that is too long", Buffer.from([0, 0, 255, 255, 0, 3, 0, 0])],
  ])("hangs up on %s", async (_, bytes) => {
    expect(await say(bytes)).toEqual(Buffer.alloc(0));
  });

  it("closes with what it carries", async () => {
    await using(url, async (sql) => {
      await sql`select 1`;
      forwarder.close();
      await expect(sql`select 1`).rejects.toThrow();
    });
  });
});
