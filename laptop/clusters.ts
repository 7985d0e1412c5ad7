import { bindFault, show } from "./ports";

/** What the API is asked to register. */
export interface NewCluster {
  readonly id: string;
  readonly ingress: readonly string[];
  readonly httpPort: number;
  readonly listen: readonly string[];
  /** Where its own deployment takes commands, and the key that it signs its answers with. */
  readonly apiUrl?: string;
  readonly publicKey?: string;
}

const IPV6_LOOPBACK = "::1";

/**
 * East and west, true to life where the system has addresses for it: each has its own, and DNS decides
 * where a request goes. Browsers ask nobody about `*.localhost`, so east listens where they go, too.
 * macOS has no 127.0.x.1 without further ado: there the ports tell the clusters apart.
 */
export async function laptopClusters(
  platform: string,
  port: number,
): Promise<readonly NewCluster[]> {
  if (platform !== "linux") {
    return ["east", "west"].map((id, at) => cluster(id, "127.0.0.1", port + at + 1));
  }
  const east = cluster("east", "127.0.1.1", port);
  const browsers = [{ host: "127.0.0.1", port }];
  if (await hasIpv6()) browsers.push({ host: IPV6_LOOPBACK, port });
  return [
    { ...east, listen: [...east.listen, ...browsers.map(show)] },
    cluster("west", "127.0.2.1", port),
  ];
}

function cluster(id: string, address: string, port: number): NewCluster {
  return { id, ingress: [address], httpPort: port, listen: [show({ host: address, port })] };
}

/** Containers often have none; then nobody reaches `[::1]` anyway. */
async function hasIpv6(): Promise<boolean> {
  const probe = { host: IPV6_LOOPBACK, port: 0, what: "", transports: ["tcp"] as const };
  return (await bindFault(probe)) === undefined;
}
