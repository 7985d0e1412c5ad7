import { BROKEN, NO_CODE, type Channel, type Closing } from "./channel";

/** So much may be under way to a side that is slow; then the other side is held up. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** Joins two channels: what comes from one goes to the other, its end too. Resolves when both ended. */
export async function relay(one: Channel, other: Channel): Promise<void> {
  await Promise.all([pass(one, other), pass(other, one)]);
}

function pass(from: Channel, to: Channel): Promise<void> {
  return new Promise((resolve) => {
    const text = (message: string): void => {
      to.send(message);
      if (to.unsentBytes <= HIGH_WATER_BYTES) return;
      from.pause();
      void to.drained().then(() => from.resume());
    };
    const closed = (why: Closing): void => {
      passEnd(to, why);
      resolve();
    };
    from.attach({ text, closed });
  });
}

function passEnd(to: Channel, { code, reason }: Closing): void {
  if (code === BROKEN) to.destroy();
  else if (code === NO_CODE) to.close();
  else to.close(code, reason);
}
