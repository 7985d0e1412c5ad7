/** As in Encore: an image is told its port at most. */
const DEFAULT_PORT = "8080";

const PORT_MAX = 65_535;

/** @throws Error when what the environment says is no address */
export function listenAddress(env: NodeJS.ProcessEnv): { host: string; port: number } {
  const text = env["ENCORE_LISTEN_ADDR"] ?? `0.0.0.0:${env["PORT"] ?? DEFAULT_PORT}`;
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > PORT_MAX) {
    throw new Error(`Cannot listen on "${text}": expected host:port, such as 127.0.0.1:4000`);
  }
  return { host: match[1] ?? (match[2] || "0.0.0.0"), port };
}
