// A process that publishes or consumes, for tests that kill it. What it did is in a file, a line each,
// which is written before the next thing is done and so survives any death.
import { openSync, writeSync } from "node:fs";

import { load } from "../load.mjs";

const { role, name, file, infra, model, count, keys, seed } = JSON.parse(process.argv[2]);
const { PubSub } = await load("runtime/pubsub/pubsub.ts", "build/testing/pubsub");
const log = openSync(file, "a");
const note = (...words) =>
  writeSync(log, `${words.join(" ")} ${process.hrtime.bigint()}\n`);

/** Whether this attempt fails: the same in every run with the same seed. */
function fails({ id, poison }, attempt) {
  if (poison) return true;
  let hash = seed + attempt * 7919;
  for (const letter of id) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) | 0;
  return Math.abs(hash) % 100 < 15;
}

const pubsub = new PubSub(model, infra);
if (role === "publish") {
  for (let n = 0; n < count; n++) {
    const id = `${name}-${n}`;
    const key = n % 3 === 0 ? null : `${name}-${n % keys}`;
    const poison = n % 50 === 49;
    await pubsub.topic("t").publish({ id, key, poison });
    note("published", id, key, poison);
  }
  await pubsub.close();
  process.exit(0);
} else {
  const handler = async ({ payload, attempt }) => {
    note("start", payload.id, payload.key, attempt);
    if (role === "hang") await new Promise(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    if (fails(payload, attempt)) {
      note("fail", payload.id, payload.key, attempt);
      throw new Error("as the seed says");
    }
    note("done", payload.id, payload.key, attempt);
  };
  const subscription = { topicName: "t", subscriptionName: "s", handler };
  void pubsub.subscription(subscription, (delivery) => delivery).subscribe();
  await pubsub.start();
}
note("ready");
