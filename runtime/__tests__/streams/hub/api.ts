import { api, type APIError } from "encore.dev/api";
import { line } from "~encore/clients";

/** What a service gets out of another's streams. */
export const use = api(
  { expose: true, method: "GET", path: "/use/:what" },
  async ({ what }: { what: string }): Promise<{ got: any[] }> => {
    const got: unknown[] = [];
    try {
      await run(what, got);
    } catch (error) {
      got.push((error as APIError).message);
    }
    return { got };
  },
);

async function run(what: string, got: unknown[]): Promise<void> {
  switch (what) {
    case "out":
      for await (const message of await line.hidden({ n: 3 })) got.push(message);
      return;
    case "in": {
      const stream = await line.sum();
      for (const n of [1, 2, 0]) await stream.send({ n });
      got.push(await stream.response());
      return;
    }
    case "both": {
      const stream = await line.echo({ room: "a b", count: 2, key: "k" });
      await stream.send({ text: "x", at: new Date(0) });
      await stream.send({ text: 5 as never });
      await stream.send({ text: "end" });
      for await (const message of stream) got.push(message);
      return;
    }
    case "wrong":
      await line.hidden({ n: "many" as never });
      return;
    case "mine":
      for await (const message of await line.mine()) got.push(message);
      return;
    case "fail": {
      const stream = await line.echo({ room: "a" });
      got.push(await stream.recv());
      await stream.send({ text: "fail" });
      got.push(await stream.recv());
    }
  }
}
