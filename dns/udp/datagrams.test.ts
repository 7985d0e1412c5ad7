import { describe, expect, it } from "vitest";

import { Datagrams, MAX_DATAGRAMS } from "./datagrams";
import type { Kernel } from "./kernel";
import { ERRNO, MMSGHDR, MSG } from "./layout";

/** A kernel that says what it is told to, and keeps what it was asked. */
function fakeKernel(script: {
  readonly receive?: number;
  readonly errno?: number;
  /** Of each call: how many of the datagrams it takes; below 0 an error's number. */
  readonly sends?: readonly number[];
}) {
  const sends = [...(script.sends ?? [])];
  const sent: { first: number; count: number }[] = [];
  const flags: number[] = [];
  let errno = script.errno ?? 0;
  let headers = 0;
  const unused = (): never => expect.fail("called");
  const kernel: Kernel = {
    socket: unused,
    setsockopt: unused,
    bind: unused,
    getsockname: unused,
    close: unused,
    sendto: unused,
    errno: () => errno,
    addressOf: ({ byteLength }) => byteLength * 1_000,
    recvmmsg: (_fd, messages, count, asked) => {
      headers = messages;
      flags.push(asked);
      expect(count).toBe(MAX_DATAGRAMS);
      return script.receive ?? -1;
    },
    sendmmsg: (_fd, messages, count) => {
      const first = (messages - headers) / MMSGHDR.OCTETS;
      expect(first + count).toBeLessThanOrEqual(MAX_DATAGRAMS);
      sent.push({ first, count });
      const taken = sends.shift() ?? count;
      if (taken < 0) errno = -taken;
      return taken < 0 ? -1 : taken;
    },
  };
  return { kernel, sent, flags };
}

function answer(kernel: Kernel, lengths: readonly number[]): void {
  const datagrams = new Datagrams(kernel, 5, false);
  const count = datagrams.receive(true);
  expect(count).toBe(lengths.length);
  for (const [index, length] of lengths.entries()) datagrams.setAnswer(index, length);
  datagrams.send(count);
}

describe("datagrams", () => {
  it("are sent in one call, or in one for each run between those without an answer", () => {
    const all = fakeKernel({ receive: 4 });
    answer(all.kernel, [40, 50, 60, 70]);
    expect(all.sent).toEqual([{ first: 0, count: 4 }]);

    const some = fakeKernel({ receive: 6 });
    answer(some.kernel, [0, 40, 50, 0, 0, 60]);
    expect(some.sent).toEqual([
      { first: 1, count: 2 },
      { first: 5, count: 1 },
    ]);

    const none = fakeKernel({ receive: 2 });
    answer(none.kernel, [0, 0]);
    expect(none.sent).toEqual([]);
  });

  it("are sent on where the kernel took fewer, or was interrupted", () => {
    const { kernel, sent } = fakeKernel({ receive: 5, sends: [2, -ERRNO.EINTR, 1] });
    answer(kernel, [1, 2, 3, 4, 5]);
    expect(sent).toEqual([
      { first: 0, count: 5 },
      { first: 2, count: 3 },
      { first: 2, count: 3 },
      { first: 3, count: 2 },
    ]);
  });

  it("leave out the one that cannot be sent, and no other", () => {
    const EPERM = 1;
    const { kernel, sent } = fakeKernel({ receive: 3, sends: [1, -EPERM] });
    answer(kernel, [1, 2, 3]);
    expect(sent.at(-1)).toEqual({ first: 2, count: 1 });
    const blocked = fakeKernel({ receive: 2, sends: [-ERRNO.EAGAIN, -ERRNO.EAGAIN] });
    answer(blocked.kernel, [1, 2]);
    expect(blocked.sent).toHaveLength(2);
  });

  it("that do not come are none; other errors are told", () => {
    for (const errno of [ERRNO.EAGAIN, ERRNO.EINTR]) {
      expect(new Datagrams(fakeKernel({ errno }).kernel, 5, true).receive(true)).toBe(0);
    }
    const EBADF = 9;
    const broken = new Datagrams(fakeKernel({ errno: EBADF }).kernel, 5, true);
    expect(() => broken.receive(true)).toThrow("Cannot receive over UDP: EBADF");
  });

  it("are waited for, or not", () => {
    const { kernel, flags } = fakeKernel({ receive: 0 });
    const datagrams = new Datagrams(kernel, 5, false);
    datagrams.receive(true);
    datagrams.receive(false);
    expect(flags).toEqual([MSG.WAITFORONE, MSG.DONTWAIT]);
  });
});
