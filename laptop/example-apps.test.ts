import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const here = resolve("examples");
const cleanups: Array<() => void> = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface App {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  readonly dir: string;
}

/** Start the example `name` as the platform would: in a folder of its own, with a port. */
async function start(name: string, dir = copy(name)): Promise<App> {
  const [command, ...args] =
    name === "python" ? ["python3", "server.py"] : [process.execPath, "server.js"];
  const child = spawn(command as string, args, {
    cwd: dir,
    env: {
      PATH: process.env.PATH,
      PORT: "0",
      HOST: "127.0.0.1",
      STELE_CLUSTER: "east",
      STELE_GENERATION: "7",
      PYTHONDONTWRITEBYTECODE: "1",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => child.kill("SIGKILL"));
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const port = Number(/port (\d+)/.exec(String(line))?.[1]);
  return { url: `http://127.0.0.1:${port}`, port, process: child, dir };
}

function copy(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), `stele-${name}-`));
  cpSync(join(here, name), dir, { recursive: true });
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

describe.each(["hello", "notes", "chat", "python"])("%s", (name) => {
  it("shows a page that names the cluster's part in it", async () => {
    const app = await start(name);
    const answer = await fetch(app.url, { headers: { accept: "text/html" } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("text/html");
    expect(answer.headers.get("served-by")).toBe("east");
    expect(await answer.text()).toContain("<!doctype html>");
  });

  it("exits with 0 on SIGTERM although a visitor keeps a spare connection", async () => {
    const app = await start(name);
    const spare = connect(app.port, "127.0.0.1");
    cleanups.push(() => spare.destroy());
    spare.write("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
    await once(spare, "data");
    app.process.kill("SIGTERM");
    expect(await exitCode(app.process)).toBe(0);
  });

  it("is told in one line by its README", () => {
    const lines = readFileSync(join(here, name, "README.md"), "utf8")
      .trim()
      .split("\n");
    expect(lines[0]).toBe(`# ${name}`);
    expect(lines).toHaveLength(3);
  });
});

describe.each(["hello", "python"])("%s under way", (name) => {
  it("finishes a slow body after SIGTERM", async () => {
    const app = await start(name);
    const answer = await fetch(`${app.url}/slow?ms=400`);
    app.process.kill("SIGTERM");
    expect(await answer.text()).toMatch(/^east 1\/8\n(east \d\/8\n)+end\n$/);
    expect(await exitCode(app.process)).toBe(0);
  });

  it("echoes a body", async () => {
    const app = await start(name);
    const body = "x".repeat(200_000);
    const answer = await fetch(`${app.url}/echo`, { method: "POST", body });
    expect(await answer.text()).toBe(body);
  });

  it("says where it is in plain text when nobody asks for a page", async () => {
    const app = await start(name);
    expect(await (await fetch(app.url)).text()).toMatch(/^Hello from .*east \(generation 7\)\n$/);
  });
});

describe("hello's streams", () => {
  it("answers JSON when asked", async () => {
    const app = await start("hello");
    const answer = await fetch(app.url, { headers: { accept: "application/json" } });
    expect(await answer.json()).toMatchObject({ app: "hello", cluster: "east", generation: 7 });
  });

  it("ends an event stream between two events on SIGTERM", async () => {
    const app = await start("hello");
    const answer = await fetch(`${app.url}/events`);
    app.process.kill("SIGTERM");
    expect(await answer.text()).toMatch(/^(id: \d+\ndata: \{.*"cluster":"east".*\}\n\n)+$/);
    expect(await exitCode(app.process)).toBe(0);
  });

  it.each([0, 1, 125, 126, 65_535, 65_536, 500_000])("echoes %i bytes", async (size) => {
    const app = await start("hello");
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`);
    await once(socket, "open");
    const payload = Buffer.alloc(size, "é");
    socket.send(payload);
    const [echoed, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
    expect(isBinary).toBe(true);
    expect(echoed.equals(payload)).toBe(true);
    socket.close(1000);
    const [code] = (await once(socket, "close")) as [number];
    expect(code).toBe(1000);
  });

  it("joins fragments, answers a ping among them, and keeps text text", async () => {
    const app = await start("hello");
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`);
    await once(socket, "open");
    const pong = once(socket, "pong");
    const echo = once(socket, "message");
    socket.send("zwei ", { fin: false });
    socket.ping("p");
    socket.send("Teile", { fin: true });
    expect(String((await pong)[0])).toBe("p");
    expect(String((await echo)[0])).toBe("zwei Teile");
    expect((await echo)[1]).toBe(false);
    socket.terminate();
  });

  it("closes a message over 1 MiB with 1009 and a plain frame with 1002", async () => {
    const app = await start("hello");
    const big = new WebSocket(`ws://127.0.0.1:${app.port}/ws`);
    await once(big, "open");
    big.send(Buffer.alloc((1 << 20) + 1));
    expect((await once(big, "close"))[0]).toBe(1009);

    const raw = connect(app.port, "127.0.0.1");
    raw.write(
      "GET /ws HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const [head] = (await once(raw, "data")) as [Buffer];
    expect(String(head)).toContain("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455 section 1.3
    raw.write(Buffer.from([0x81, 0x01, 0x61]));
    const [close] = (await once(raw, "data")) as [Buffer];
    expect([...close]).toEqual([0x88, 0x02, 0x03, 0xea]);
    raw.destroy();
  });

  it("says 1012 to WebSockets on SIGTERM", async () => {
    const app = await start("hello");
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`);
    await once(socket, "open");
    app.process.kill("SIGTERM");
    expect((await once(socket, "close"))[0]).toBe(1012);
    expect(await exitCode(app.process)).toBe(0);
  });
});

describe("notes' file", () => {
  const post = (app: App, text: string): Promise<Response> =>
    fetch(`${app.url}/notes`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text }),
    });
  const texts = async (app: App): Promise<string[]> => {
    const { items } = (await (await fetch(`${app.url}/notes`)).json()) as {
      items: Array<{ text: string }>;
    };
    return items.map(({ text }) => text);
  };

  it("holds every acknowledged note once, after kill -9 in the middle of many", async () => {
    const app = await start("notes");
    const acknowledged: string[] = [];
    const writes = Array.from({ length: 200 }, async (_, i) => {
      const answer = await post(app, `note ${i}`).catch(() => undefined);
      if (answer?.status !== 201) return;
      acknowledged.push(`note ${i}`);
      if (acknowledged.length === 60) app.process.kill("SIGKILL");
    });
    await Promise.all(writes);
    const again = await start("notes", app.dir);
    const found = await texts(again);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(acknowledged));
    expect(acknowledged.length).toBeGreaterThanOrEqual(60);
  });

  it("answers what is being written at SIGTERM", async () => {
    const app = await start("notes");
    const socket = connect(app.port, "127.0.0.1");
    socket.write("POST /notes HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhel");
    await fetch(app.url);
    app.process.kill("SIGTERM");
    socket.write("lo");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(String(answer)).toContain("201 Created");
    expect(await exitCode(app.process)).toBe(0);
    expect(await texts(await start("notes", app.dir))).toEqual(["hello"]);
  });

  it("cuts off a last line that was never finished", async () => {
    const app = await start("notes");
    await post(app, "whole");
    app.process.kill("SIGTERM");
    await exitCode(app.process);
    appendFileSync(join(app.dir, "notes.jsonl"), '{"id":"torn');
    const again = await start("notes", app.dir);
    await post(again, "next");
    expect(await texts(again)).toEqual(["whole", "next"]);
  });

  it("takes a form, and refuses an empty and an overlong note", async () => {
    const app = await start("notes");
    const form = await fetch(`${app.url}/notes`, {
      method: "POST",
      body: new URLSearchParams({ text: "<b>from a form</b>" }),
      redirect: "manual",
    });
    expect(form.status).toBe(303);
    const page = await fetch(app.url, { headers: { accept: "text/html" } });
    expect(await page.text()).toContain("&lt;b&gt;from a form&lt;/b&gt;");
    expect((await post(app, "  ")).status).toBe(400);
    expect((await post(app, "x".repeat(70_000))).status).toBe(413);
    expect((await fetch(`${app.url}/notes/none`)).status).toBe(404);
  });
});

describe("chat", () => {
  it("tells everybody what one says, and the latecomer too", async () => {
    const app = await start("chat");
    const join = async (): Promise<{ socket: WebSocket; heard: string[] }> => {
      const socket = new WebSocket(`ws://127.0.0.1:${app.port}/ws`);
      const heard: string[] = [];
      socket.on("message", (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { kind: string; text?: string };
        if (message.kind === "message") heard.push(message.text as string);
      });
      cleanups.push(() => socket.terminate());
      await once(socket, "open");
      return { socket, heard };
    };
    const [ann, ben] = [await join(), await join()];
    ann.socket.send("not JSON");
    ann.socket.send(JSON.stringify({ id: "1", name: "Ann", text: "hello" }));
    await expect.poll(() => [ann.heard, ben.heard]).toEqual([["hello"], ["hello"]]);
    const cid = await join();
    await expect.poll(() => cid.heard).toEqual(["hello"]);
  });

  it("has hello's WebSocket file", () => {
    const read = (name: string): string => readFileSync(join(here, name, "websocket.js"), "utf8");
    expect(read("chat")).toBe(read("hello"));
  });
});
