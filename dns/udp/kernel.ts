/**
 * Calls of the C library that Node has no way to, through koffi, an optional dependency. A wrong
 * address given to them ends the process, so nobody calls them but the two files beside this one.
 */
import { createRequire } from "node:module";
import { endianness } from "node:os";
import { resolve } from "node:path";
import { getSystemErrorName } from "node:util";

/** What of koffi is used. Its own types are not there when it is not. */
interface Koffi {
  load(library: null): { func(declaration: string): (...args: readonly unknown[]) => number };
  address(memory: ArrayBuffer | ArrayBufferView): bigint;
  errno(): number;
}

export interface Kernel {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    octets: number,
  ) => number;
  readonly bind: (fd: number, address: Uint8Array, octets: number) => number;
  readonly getsockname: (fd: number, address: Uint8Array, octets: Uint32Array) => number;
  readonly close: (fd: number) => number;
  /** `messages` is where they lie, `timeout` none: the socket has one. */
  readonly recvmmsg: (
    fd: number,
    messages: number,
    count: number,
    flags: number,
    timeout: 0,
  ) => number;
  readonly sendmmsg: (fd: number, messages: number, count: number, flags: number) => number;
  readonly sendto: (
    fd: number,
    octets: Uint8Array,
    length: number,
    flags: number,
    to: Uint8Array,
    toOctets: number,
  ) => number;
  /** Of the call before. */
  readonly errno: () => number;
  readonly addressOf: (memory: ArrayBuffer) => number;
}

/** Where structures and constants are as in `layout.ts`; elsewhere numbers of options differ. */
const ARCHITECTURES = ["x64", "arm64", "riscv64", "loong64"];

/** Throws where it cannot be used, and says why. */
export function loadKernel(): Kernel {
  const isKnown = process.platform === "linux" && ARCHITECTURES.includes(process.arch);
  if (!isKnown || endianness() !== "LE") {
    const here = `${process.platform} ${process.arch}`;
    throw new Error(`this is ${here}: needs Linux on ${ARCHITECTURES.join(", ")}`);
  }
  // From the application's root: a worker's bundle may lie anywhere.
  const koffi = createRequire(resolve("package.json"))("koffi") as Koffi;
  const libc = koffi.load(null);
  return {
    socket: libc.func("int socket(int, int, int)"),
    setsockopt: libc.func("int setsockopt(int, int, int, void *, uint32_t)"),
    bind: libc.func("int bind(int, void *, uint32_t)"),
    getsockname: libc.func("int getsockname(int, void *, void *)"),
    close: libc.func("int close(int)"),
    recvmmsg: libc.func("int recvmmsg(int, uint64_t, uint32_t, int, uint64_t)"),
    sendmmsg: libc.func("int sendmmsg(int, uint64_t, uint32_t, int)"),
    sendto: libc.func("int64_t sendto(int, void *, uint64_t, int, void *, uint32_t)"),
    errno: () => koffi.errno(),
    // Addresses of a process have 47 bits, or 52 at most.
    addressOf: (memory) => Number(koffi.address(memory)),
  };
}

/** What could not be done, by the name of the last call's error. */
export function fault(kernel: Kernel, what: string): Error & { readonly code: string } {
  const code = getSystemErrorName(-kernel.errno());
  return Object.assign(new Error(`Cannot ${what}: ${code}`), { code });
}
