// The yardstick of a hold: how long the app takes by itself, from its start to its first connection.
import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";

function tryConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (accepted) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Milliseconds until `node server.js` in that folder listens. */
export async function bareStart(directory) {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["server.js"], {
    cwd: directory,
    stdio: "ignore",
    env: { PATH: process.env.PATH, PORT: String(port), HOST: "127.0.0.1" },
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  while (child.exitCode === null && !(await tryConnect(port))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const ms = performance.now() - startedAt;
  child.kill("SIGTERM");
  await ended;
  return ms;
}
