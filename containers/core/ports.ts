/** A socket that listens, as the kernel tells of it. */
export interface ListeningSocket {
  /** `127.0.0.1`, `0.0.0.0`, `::1`, `::`. */
  readonly address: string;
  readonly port: number;
  /** Whether a process of the container holds it. */
  readonly own: boolean;
}

/** What to dial. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Debuggers of Node, the JVM and Python: they listen, but serve no visitor. */
const DEBUGGER_PORTS: readonly number[] = [9229, 9230, 5005, 5858, 5678];
/** Linux hands out ports from here by itself (ip_local_port_range), so nobody chose one of them. */
const FIRST_EPHEMERAL_PORT = 32_768;

/** The address to dial for a socket that listens there, or null when loopback does not reach it. */
function dialled(address: string): string | null {
  if (address === "0.0.0.0" || address.startsWith("127.")) {
    return address === "0.0.0.0" ? "127.0.0.1" : address;
  }
  return address === "::" || address === "::1" ? "::1" : null;
}

/** The more exact the address, the sooner the kernel picks that socket. */
function reach(host: string, address: string): number {
  if (address === host) return 3;
  if (address === "0.0.0.0") return host.includes(":") ? 0 : 2;
  // A dual-stack socket takes IPv4 too.
  if (address === "::") return host.includes(":") ? 2 : 1;
  return 0;
}

/** Whose socket answers at that endpoint: the container's, another process's, or nobody's. */
export function holderOf(
  { host, port }: Endpoint,
  sockets: readonly ListeningSocket[],
): "own" | "foreign" | "none" {
  const ranked = sockets
    .filter((socket) => socket.port === port && reach(host, socket.address) > 0)
    .sort((a, b) => reach(host, b.address) - reach(host, a.address));
  const first = ranked[0];
  if (!first) return "none";
  return first.own ? "own" : "foreign";
}

function rank({ port }: Endpoint, wanted: number): number {
  if (port === wanted) return 0;
  return port < FIRST_EPHEMERAL_PORT ? 1 : 2;
}

/**
 * The web server among a container's sockets: on the port that it was given, else on the lowest port
 * that somebody chose, else on any. Debuggers are never one. Null when there is none.
 */
export function choosePort(sockets: readonly ListeningSocket[], wanted: number): Endpoint | null {
  const candidates = sockets.flatMap(({ address, port, own }): Endpoint[] => {
    const host = dialled(address);
    const isDebugger = DEBUGGER_PORTS.includes(port) && port !== wanted;
    return own && host !== null && !isDebugger ? [{ host, port }] : [];
  });
  candidates.sort(
    (a, b) =>
      rank(a, wanted) - rank(b, wanted) ||
      a.port - b.port ||
      Number(a.host.includes(":")) - Number(b.host.includes(":")),
  );
  return candidates[0] ?? null;
}
