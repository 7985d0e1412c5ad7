/**
 * Datagrams that are received with one call, answered where they lie, and sent back with one call.
 * The kernel's structures are laid out once; after each round only the fields that it or we have
 * written are put back.
 */
import { fault, type Kernel } from "./kernel";
import { ERRNO, IOVEC, MMSGHDR, MSG, SOCKADDR } from "./layout";

/** More would wait longer for their answers, and save little. */
export const MAX_DATAGRAMS = 64;

/** As long as any datagram, so none is ever cut. What nobody writes to costs no memory. */
const SLOT_OCTETS = 65_536;
/** Slots begin in different sets of the processor's cache. */
const SLOT_STRIDE = SLOT_OCTETS + 64;
const NAME_STRIDE = 32;

const WORD = Uint32Array.BYTES_PER_ELEMENT;

export class Datagrams {
  /** All slots, side by side. */
  readonly octets: Uint8Array;
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #names = new Uint8Array(new ArrayBuffer(MAX_DATAGRAMS * NAME_STRIDE));
  readonly #headers = new Uint32Array(new ArrayBuffer(MAX_DATAGRAMS * MMSGHDR.OCTETS));
  readonly #iovecs = new Uint32Array(new ArrayBuffer(MAX_DATAGRAMS * IOVEC.OCTETS));
  readonly #headersAt: number;
  readonly #addressAt: number;
  readonly #nameOctets: number;
  /** Of a sender: one after the other, they are copied here. */
  readonly #sender: Uint8Array;

  constructor(kernel: Kernel, fd: number, isV6: boolean) {
    this.#kernel = kernel;
    this.#fd = fd;
    this.#addressAt = isV6 ? SOCKADDR.INET6_ADDRESS : SOCKADDR.INET_ADDRESS;
    this.#nameOctets = isV6 ? SOCKADDR.INET6_OCTETS : SOCKADDR.INET_OCTETS;
    this.#sender = new Uint8Array(isV6 ? 16 : 4);
    const slots = new ArrayBuffer(MAX_DATAGRAMS * SLOT_STRIDE);
    this.octets = new Uint8Array(slots);
    this.#headersAt = kernel.addressOf(this.#headers.buffer as ArrayBuffer);
    this.#layOut(slots);
  }

  #layOut(slots: ArrayBuffer): void {
    const { addressOf } = this.#kernel;
    const pointers = new BigUint64Array(this.#headers.buffer);
    const iovecs = new BigUint64Array(this.#iovecs.buffer);
    const [slotsAt, namesAt, iovecsAt] = [
      addressOf(slots),
      addressOf(this.#names.buffer as ArrayBuffer),
      addressOf(this.#iovecs.buffer as ArrayBuffer),
    ];
    for (let index = 0; index < MAX_DATAGRAMS; index++) {
      const header = (index * MMSGHDR.OCTETS) / 8;
      pointers[header + MMSGHDR.NAME / 8] = BigInt(namesAt + index * NAME_STRIDE);
      pointers[header + MMSGHDR.IOV / 8] = BigInt(iovecsAt + index * IOVEC.OCTETS);
      pointers[header + MMSGHDR.IOVLEN / 8] = 1n;
      iovecs[(index * IOVEC.OCTETS + IOVEC.BASE) / 8] = BigInt(slotsAt + index * SLOT_STRIDE);
    }
    this.#restore(MAX_DATAGRAMS);
  }

  /** Wait for a datagram, and take those that are there; 0 when none came for a while. */
  receive(mayWait: boolean): number {
    const flags = mayWait ? MSG.WAITFORONE : MSG.DONTWAIT;
    const count = this.#kernel.recvmmsg(this.#fd, this.#headersAt, MAX_DATAGRAMS, flags, 0);
    if (count >= 0) return count;
    const errno = this.#kernel.errno();
    if (errno === ERRNO.EAGAIN || errno === ERRNO.EINTR) return 0;
    throw fault(this.#kernel, "receive over UDP");
  }

  /** Where a datagram begins in `octets`. */
  startOf(index: number): number {
    return index * SLOT_STRIDE;
  }

  lengthOf(index: number): number {
    return this.#headers[(index * MMSGHDR.OCTETS + MMSGHDR.LEN) / WORD]!;
  }

  /** The sender's address, until the next is asked for. */
  senderOf(index: number): Uint8Array {
    const at = index * NAME_STRIDE + this.#addressAt;
    for (let i = 0; i < this.#sender.length; i++) this.#sender[i] = this.#names[at + i]!;
    return this.#sender;
  }

  /** To whom an answer can be sent later. */
  returnOf(index: number): Uint8Array {
    const at = index * NAME_STRIDE;
    return this.#names.slice(at, at + this.#nameOctets);
  }

  /** What goes back lies where the datagram began; of no octets when nothing does. */
  setAnswer(index: number, length: number): void {
    this.#iovecs[(index * IOVEC.OCTETS + IOVEC.LEN) / WORD] = length;
  }

  /** Send the answers to the `count` datagrams received, for each of which one was set. */
  send(count: number): void {
    for (let at = 0; at < count;) {
      let end = at;
      while (end < count && this.#answerLength(end) > 0) end++;
      if (end > at) this.#sendRun(at, end);
      at = end + 1;
    }
    this.#restore(count);
  }

  sendTo(to: Uint8Array, octets: Uint8Array): void {
    this.#kernel.sendto(this.#fd, octets, octets.length, 0, to, to.length);
  }

  #sendRun(start: number, end: number): void {
    for (let at = start; at < end;) {
      const messages = this.#headersAt + at * MMSGHDR.OCTETS;
      const sent = this.#kernel.sendmmsg(this.#fd, messages, end - at, 0);
      if (sent > 0) at += sent;
      // A sender that is gone, or never was, is no fault of ours; the others get their answers.
      else if (this.#kernel.errno() !== ERRNO.EINTR) at++;
    }
  }

  #answerLength(index: number): number {
    return this.#iovecs[(index * IOVEC.OCTETS + IOVEC.LEN) / WORD]!;
  }

  #restore(count: number): void {
    for (let index = 0; index < count; index++) {
      this.#headers[(index * MMSGHDR.OCTETS + MMSGHDR.NAMELEN) / WORD] = this.#nameOctets;
      this.#iovecs[(index * IOVEC.OCTETS + IOVEC.LEN) / WORD] = SLOT_OCTETS;
    }
  }
}
