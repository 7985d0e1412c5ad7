import { appMeta } from "encore.dev";
import { api } from "encore.dev/api";
import { CronJob } from "encore.dev/cron";
import { Subscription } from "encore.dev/pubsub";
import { front } from "~encore/clients";
import { noteAdded } from "../back/topics";

const heard: string[] = [];

new Subscription(noteAdded, "side-note-added", {
  handler: async ({ text }) => {
    heard.push(text);
  },
});

export const list = api(
  { expose: true, method: "GET", path: "/v1/side/heard" },
  async (): Promise<{ heard: string[] }> => ({ heard }),
);

/** Back into the process that hosts the gateway. */
export const round = api(
  { expose: false, method: "GET", path: "/v1/side/round" },
  async (): Promise<{ path: string[] }> => {
    const { path } = await front.end();
    return { path: ["side", ...path] };
  },
);

export const sweep = api(
  { expose: false, method: "POST", path: "/v1/side/sweep" },
  async (): Promise<void> => {},
);

new CronJob("side-sweep", { every: "1h", endpoint: sweep });

export const hosted = api(
  { expose: true, method: "GET", path: "/v1/side/hosted" },
  async (): Promise<{ services: string[] }> => ({
    services: Object.keys(appMeta().deploy.hostedServices).sort(),
  }),
);
