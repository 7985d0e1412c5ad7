import { readdirSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";

import type { ListeningSocket } from "./core/ports";

/** `0A` is TCP_LISTEN in the kernel's table. */
const LISTEN = "0A";

interface KernelSocket {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** An IPv4 address as /proc/net/tcp has it: one little-endian word in hexadecimal. */
function ipv4(hex: string): string {
  const bytes = hex.match(/../g) ?? [];
  return bytes
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");
}

/** Four little-endian words. Only what loopback reaches matters, so the rest stays hexadecimal. */
function ipv6(hex: string): string {
  if (/^0{32}$/.test(hex)) return "::";
  if (hex === "00000000000000000000000001000000") return "::1";
  if (hex.startsWith("0000000000000000FFFF0000")) return ipv4(hex.slice(24));
  return `v6:${hex}`;
}

/** The listening sockets in the text of /proc/net/tcp or tcp6 (proc(5)). */
export function parseListening(text: string): KernelSocket[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address = "", port = ""] = (fields[1] ?? "").split(":");
      if (fields[3] !== LISTEN) return [];
      return {
        address: address.length > 8 ? ipv6(address) : ipv4(address),
        port: Number.parseInt(port, 16),
        inode: fields[9] ?? "",
      };
    });
}

function socketInodes(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
      return /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
    });
  } catch {
    return []; // It ended meanwhile, or is not ours to look at.
  }
}

/** "" for a file that was closed since the folder was read. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/**
 * Every socket that listens on this machine, and whether one of `pids` holds it. Null where the system
 * does not say (macOS): then only a probe can tell.
 */
export async function listeningSockets(
  pids: readonly number[],
): Promise<readonly ListeningSocket[] | null> {
  const read = (file: string): Promise<string> => readFile(file, "latin1").catch(() => "");
  const [tcp, tcp6] = await Promise.all([read("/proc/net/tcp"), read("/proc/net/tcp6")]);
  if (tcp === "") return null;
  const own = new Set(pids.flatMap(socketInodes));
  return [...parseListening(tcp), ...parseListening(tcp6)].map(({ address, port, inode }) => ({
    address,
    port,
    own: own.has(inode),
  }));
}

/** The pid of `pids` that holds the listening socket of that port, or null. */
export async function holderPid(pids: readonly number[], port: number): Promise<number | null> {
  const read = (file: string): Promise<string> => readFile(file, "latin1").catch(() => "");
  const texts = await Promise.all([read("/proc/net/tcp"), read("/proc/net/tcp6")]);
  const inodes = texts
    .flatMap(parseListening)
    .filter((socket) => socket.port === port)
    .map(({ inode }) => inode);
  for (const pid of pids) {
    const held = socketInodes(pid);
    if (held.some((inode) => inodes.includes(inode))) return pid;
  }
  return null;
}
