/** Numbers of the DNS: types, classes, opcodes and response codes (IANA, RFC 6895). */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  TLSA: 52,
  SMIMEA: 53,
  SVCB: 64,
  HTTPS: 65,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
  /** Never on the wire: a name that is answered with an app's addresses. The number is PowerDNS's. */
  ALIAS: 65401,
} as const;

export const CLASS = { IN: 1, CH: 3 } as const;

/** Options of EDNS. */
export const OPTION = { NSID: 3, COOKIE: 10, TCP_KEEPALIVE: 11 } as const;

export const OPCODE = { QUERY: 0, NOTIFY: 4, UPDATE: 5 } as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
} as const;

const NAMES = new Map<number, string>(Object.entries(TYPE).map(([name, code]) => [code, name]));
const CODES = new Map<string, number>(Object.entries(TYPE));

/** The number of a type: its mnemonic, or `TYPE123` (RFC 3597 section 5). */
export function typeCode(text: string): number | undefined {
  const upper = text.toUpperCase();
  const known = CODES.get(upper);
  if (known !== undefined) return known;
  const unknown = /^TYPE(\d{1,5})$/.exec(upper);
  const code = unknown ? Number(unknown[1]) : Number.NaN;
  return code <= 0xffff ? code : undefined;
}

/** The mnemonic of a type, or `TYPE123`. */
export const typeName = (code: number): string => NAMES.get(code) ?? `TYPE${code}`;

/** Types that are no data: they belong to messages, not to zones (RFC 6895 section 3.1). */
export const isMetaType = (code: number): boolean =>
  code === 0 || code === TYPE.OPT || (code >= 128 && code <= 255);
