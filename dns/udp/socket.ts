/**
 * Sockets of UDP that the main thread opens, and that its workers use by number: a worker that dies
 * leaves its socket, with the queries that wait in it, to its successor.
 */
import { parseIpv4, parseIpv6 } from "../core/address";
import { RECEIVE_BUFFER_OCTETS } from "../listen-udp";
import { formatAddress, type ListenAddress } from "../protocol";
import { fault, type Kernel } from "./kernel";
import { AF, IPPROTO_IPV6, IPV6_V6ONLY, SO, SOCK, SOCKADDR, SOL_SOCKET } from "./layout";

/** How long a worker hears nothing from the main thread while nobody asks. */
const LOOK_EVERY_MS = 20;
/** An answer that the network takes no sooner is not worth more waiting. */
const SEND_WAIT_MS = 20;

export interface UdpSocket {
  readonly fd: number;
  readonly port: number;
}

/**
 * Bind as many sockets to an address as it has workers; among several the kernel spreads askers.
 * Throws when it cannot be done; then none is open.
 */
export function openSockets(kernel: Kernel, address: ListenAddress, count: number): UdpSocket[] {
  const opened: UdpSocket[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const port = opened[0]?.port ?? address.port;
      opened.push(open(kernel, { ...address, port }, count > 1));
    }
    return opened;
  } catch (error) {
    closeSockets(kernel, opened);
    throw error;
  }
}

export function closeSockets(kernel: Kernel, sockets: readonly UdpSocket[]): void {
  for (const { fd } of sockets) kernel.close(fd);
}

function open(kernel: Kernel, address: ListenAddress, isShared: boolean): UdpSocket {
  const what = `bind UDP ${formatAddress(address)}`;
  const name = socketAddress(address);
  const isV6 = name.length === SOCKADDR.INET6_OCTETS;
  // Not for the processes that we start.
  const fd = kernel.socket(isV6 ? AF.INET6 : AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0);
  if (fd < 0) throw fault(kernel, what);
  try {
    const must = (result: number): void => {
      if (result < 0) throw fault(kernel, what);
    };
    const set = (level: number, option: number, value: Uint8Array): void =>
      must(kernel.setsockopt(fd, level, option, value, value.length));
    set(SOL_SOCKET, SO.RCVBUF, int(RECEIVE_BUFFER_OCTETS));
    set(SOL_SOCKET, SO.RCVTIMEO, milliseconds(LOOK_EVERY_MS));
    set(SOL_SOCKET, SO.SNDTIMEO, milliseconds(SEND_WAIT_MS));
    if (isShared) set(SOL_SOCKET, SO.REUSEPORT, int(1));
    if (isV6) set(IPPROTO_IPV6, IPV6_V6ONLY, int(1));
    must(kernel.bind(fd, name, name.length));
    must(kernel.getsockname(fd, name, Uint32Array.of(name.length)));
    return { fd, port: new DataView(name.buffer).getUint16(SOCKADDR.PORT) };
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

function socketAddress({ host, port }: ListenAddress): Uint8Array<ArrayBuffer> {
  const [ipv4, ipv6] = [parseIpv4(host), parseIpv6(host)];
  const octets = ipv4 ?? ipv6;
  if (!octets) throw new Error(`Cannot bind UDP ${host}: expected an address without a zone`);
  const { INET_OCTETS, INET6_OCTETS, INET_ADDRESS, INET6_ADDRESS } = SOCKADDR;
  const name = new Uint8Array(ipv4 ? INET_OCTETS : INET6_OCTETS);
  const view = new DataView(name.buffer);
  view.setUint16(0, ipv4 ? AF.INET : AF.INET6, true);
  view.setUint16(SOCKADDR.PORT, port);
  name.set(octets, ipv4 ? INET_ADDRESS : INET6_ADDRESS);
  return name;
}

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

/** `struct timeval`. */
const milliseconds = (value: number): Uint8Array =>
  new Uint8Array(BigInt64Array.of(0n, BigInt(value * 1_000)).buffer);
