import { createServer } from "node:net";

import { expect, it } from "vitest";

import { holderPid, listeningSockets, parseListening } from "./detect-port";

it("reads the kernel's tables", () => {
  const header =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode";
  const rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0";
  const v6 = "00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0";
  const text = [
    header,
    `   0: 0100007F:0BB8 ${rest} 123 1 0000000000000000 100 0 0 10 0`,
    `   1: 00000000:1F90 ${rest} 124 1`,
    `   2: 0100007F:0BB9 ${rest.replace(" 0A ", " 01 ")} 125 1`,
    `   3: 00000000000000000000000001000000:0BBA ${v6} 126 1`,
    `   4: 00000000000000000000000000000000:0BBB ${v6} 127 1`,
    `   5: 0000000000000000FFFF00000100007F:0BBC ${v6} 128 1`,
    "",
  ].join("\n");
  expect(parseListening(text)).toEqual([
    { address: "127.0.0.1", port: 3000, inode: "123" },
    { address: "0.0.0.0", port: 8080, inode: "124" },
    { address: "::1", port: 3002, inode: "126" },
    { address: "::", port: 3003, inode: "127" },
    { address: "127.0.0.1", port: 3004, inode: "128" },
  ]);
});

it.runIf(process.platform === "linux")("tells who holds a socket", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const ours = await listeningSockets([process.pid]);
  const theirs = await listeningSockets([]);
  expect(ours?.find((socket) => socket.port === port)).toMatchObject({ own: true });
  expect(theirs?.find((socket) => socket.port === port)).toMatchObject({ own: false });
  expect(await holderPid([1, process.pid], port)).toBe(process.pid);
  expect(await holderPid([], port)).toBeNull();
  await new Promise((resolve) => server.close(resolve));
});
