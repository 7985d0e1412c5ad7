import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, it, vi } from "vitest";

import { type Migration, Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

/** Gigabytes and tens of thousands of files, on whatever disk there is. */
const PATIENCE_MS = 600_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: PATIENCE_MS });

/** One of each thing that a folder can hold; answers with what it finds of them. */
const EVERYTHING = `
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createServer } from "node:http";
import { createServer as listen } from "node:net";
const odd = Buffer.from([0x63, 0xe9, 0xff, 0x0a]);
function make() {
  const large = fs.openSync("large", "w");
  const block = Buffer.alloc(1 << 20);
  for (let at = 0; at < 1024; at++) {
    for (let byte = 0; byte < block.length; byte += 64) block.writeUInt32LE(at * 31 + byte, byte);
    fs.writeSync(large, block);
  }
  fs.closeSync(large);
  const sparse = fs.openSync("sparse", "w");
  fs.writeSync(sparse, "far out", 900 << 20);
  fs.ftruncateSync(sparse, 2 ** 31);
  fs.closeSync(sparse);
  fs.writeFileSync("one", "several names");
  fs.linkSync("one", "two");
  fs.symlinkSync("nowhere", "dangling");
  fs.mkdirSync("empty folder");
  fs.writeFileSync(odd, "odd");
  fs.writeFileSync("tool", "x");
  fs.chmodSync("tool", 0o4750);
  execFileSync("mkfifo", ["pipe"]);
  listen().listen("sock");
  fs.writeFileSync("made", "");
}
createServer(async (request, response) => {
  if (!fs.existsSync("made")) make();
  const hash = createHash("sha256");
  for await (const chunk of fs.createReadStream("large")) hash.update(chunk);
  const stat = (path) => fs.lstatSync(path);
  response.end(JSON.stringify({
    large: hash.digest("hex"),
    sparse: [stat("sparse").size, stat("sparse").blocks < 1000],
    isOne: stat("one").ino === stat("two").ino,
    dangling: fs.readlinkSync("dangling"),
    empty: fs.readdirSync("empty folder"),
    odd: fs.readFileSync(odd, "utf8"),
    mode: stat("tool").mode & 0o7777,
  }));
}).listen(process.env.PORT, process.env.HOST);
`;

/** Dates all its files anew, again and again: each round of a copy has to look at all of them. */
const OUTRUNS = `
import * as fs from "node:fs";
import { createServer } from "node:http";
const FOLDERS = 40, EACH = 1000;
function make() {
  for (let folder = 0; folder < FOLDERS; folder++) {
    fs.mkdirSync(String(folder), { recursive: true });
    for (let file = 0; file < EACH; file++) fs.writeFileSync(folder + "/" + file, "x".repeat(2000));
  }
  fs.writeFileSync("made", "");
}
let folder = 0;
setInterval(() => {
  if (!fs.existsSync("made")) return;
  const now = Date.now() / 1000;
  for (let file = 0; file < EACH; file++) fs.utimesSync(folder + "/" + file, now, now);
  folder = (folder + 1) % FOLDERS;
}, 1);
createServer((request, response) => {
  if (!fs.existsSync("made")) make();
  const counts = fs.readdirSync(".").filter((name) => Number.isInteger(Number(name)))
    .map((name) => fs.readdirSync(name).length);
  response.end(String(counts.reduce((sum, count) => sum + count, 0)));
}).listen(process.env.PORT, process.env.HOST);
`;

interface Moved extends Migration {
  readonly mode: string;
  readonly leftOut: readonly string[];
}

let platform: Platform;
let root: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "stele-e2e-large-"));
  platform = await Platform.start();
});
afterAll(async () => {
  await platform.stop();
  rmSync(root, { recursive: true, force: true });
});

/** `npx stele`, against the platform of this test. */
async function stele(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    ...process.env,
    NO_COLOR: "1",
    STELE_API: `http://127.0.0.1:${platform.apiPort}`,
    STELE_TOKEN_FILE: platform.tokenFile,
  };
  try {
    const run = promisify(execFile);
    const { stdout, stderr } = await run(process.execPath, ["cli/stele.mjs", ...args], { env });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

async function deployed(name: string, source: string): Promise<Repl> {
  const directory = join(root, name);
  mkdirSync(directory);
  writeFileSync(join(directory, "index.mjs"), source);
  writeFileSync(join(directory, "stele.json"), '{ "data": { "mode": "files" } }');
  expect((await stele("deploy", directory, "--cluster", "east")).code).toBe(0);
  return await platform.api<Repl>("GET", `/v1/repls/by-name/demo/${name}`);
}

async function answerOf(cluster: string, { host }: Repl): Promise<string> {
  const answered = await until(
    `${host} answers`,
    async () => {
      const response = await get(platform.ingressOf(cluster), platform.httpPort, host, "/");
      return response.status === 200 && response;
    },
    PATIENCE_MS,
  );
  return answered.body.toString();
}

it("a gigabyte, holes, further names, odd names, links and modes survive; the rest is named", async () => {
  const repl = await deployed("everything", EVERYTHING);
  expect(repl).toMatchObject({ policy: "auto", data: { mode: "files" } });
  const before = await answerOf("east", repl);
  expect(JSON.parse(before)).toMatchObject({
    sparse: [2 ** 31, true],
    isOne: true,
    dangling: "nowhere",
    empty: [],
    odd: "odd",
    mode: 0o4750,
  });
  const { id } = await platform.api<Migration>("POST", "/v1/migrations", {
    replId: repl.id,
    to: "west",
  });
  const moved = (await platform.finished(id, PATIENCE_MS)) as Moved;
  console.info(`figure: 1 GB and more moved, requests held ${moved.holdMs} ms`);
  expect(moved).toMatchObject({ outcome: "completed", mode: "handoff" });
  expect([...moved.leftOut].toSorted()).toEqual(["pipe", "sock"]);
  expect(await answerOf("west", repl)).toBe(before);
});

it("an app that writes faster than is copied stays, is told why, and moves with a stop-copy", async () => {
  const repl = await deployed("outruns", OUTRUNS);
  expect(await answerOf("east", repl)).toBe("40000");
  const refused = await stele("move", "outruns", "west");
  console.info(`figure: ${refused.stdout.trim().split("\n").at(-1)}`);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(
    /rolled back: the app changes [\d.]+ MB\/s of its files and [\d.]+ MB\/s can be copied; "stele move outruns\.demo west --mode stop-copy" moves it with a pause of about \d+ s; it is in east as before/,
  );
  expect(await answerOf("east", repl)).toBe("40000");
  const moved = await stele("move", "outruns", "west", "--mode", "stop-copy");
  console.info(`figure: ${moved.stdout.trim().split("\n").at(-1)}`);
  expect(moved.stdout).toMatch(
    /completed in .*: in west, generation 3, by stop-copy; it stood still for/,
  );
  expect(await answerOf("west", repl)).toBe("40000");
});
