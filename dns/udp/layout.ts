/** Numbers and structures of Linux's <sys/socket.h>, on 64 bits, little-endian. */

export const AF = { INET: 2, INET6: 10 } as const;
export const SOCK = { DGRAM: 2, CLOEXEC: 0o2000000 } as const;
export const SOL_SOCKET = 1;
export const SO = { RCVBUF: 8, REUSEPORT: 15, RCVTIMEO: 20, SNDTIMEO: 21 } as const;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const MSG = { DONTWAIT: 0x40, WAITFORONE: 0x10000 } as const;
export const ERRNO = { EINTR: 4, EAGAIN: 11 } as const;

/** `struct mmsghdr`: a msghdr and the length that was received. Offsets in octets. */
export const MMSGHDR = {
  OCTETS: 64,
  NAME: 0,
  NAMELEN: 8,
  IOV: 16,
  IOVLEN: 24,
  LEN: 56,
} as const;

/** `struct iovec`. */
export const IOVEC = { OCTETS: 16, BASE: 0, LEN: 8 } as const;

/** `struct sockaddr_in` and `sockaddr_in6`: family, port in network order, address. */
export const SOCKADDR = {
  PORT: 2,
  INET_ADDRESS: 4,
  INET_OCTETS: 16,
  INET6_ADDRESS: 8,
  INET6_OCTETS: 28,
} as const;
