/** Asks itself, as an answering thread is asked, and holds it against what any thread has said. */
import { parentPort, workerData } from "node:worker_threads";

import { type FeedInput, Follower } from "../feed";

const { feed, seen, last } = workerData as {
  readonly feed: FeedInput;
  readonly seen: SharedArrayBuffer;
  readonly last: number;
};
const newest = new Int32Array(seen);
let known = -1;
let asked = 0;
let older = 0;

const follower = new Follower(feed, ({ seq }) => (known = seq));
while (known < last) {
  const before = Atomics.load(newest, 0);
  follower.catchUp();
  asked++;
  if (known < before) older++;
  for (let was = before; was < known;) was = Atomics.compareExchange(newest, 0, was, known);
}
parentPort!.postMessage({ asked, older });
