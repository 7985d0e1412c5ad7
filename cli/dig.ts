/** One question to a name server, as an asker of the DNS would: over UDP, and over TCP after TC. */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

import packet, { type Answer, type DecodedPacket, type Packet } from "dns-packet";

import { Failure } from "./failure";
import { splitAddress } from "./resolve";

const TIMEOUT_MS = 2_000;
const UDP_TRIES = 2;
/** What passes everywhere without fragments; the server gives no more either. */
const UDP_OCTETS = 1232;
const NSID = 3;
const LENGTH_OCTETS = 2;

export interface DugRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  /** In presentation form. */
  readonly data: string;
}

export interface Dug {
  readonly server: string;
  readonly transport: "udp" | "tcp";
  readonly rcode: string;
  readonly flags: readonly string[];
  readonly octets: number;
  readonly ms: number;
  /** What the server calls itself (RFC 5001); null when it says nothing. */
  readonly nsid: string | null;
  readonly answers: readonly DugRecord[];
  readonly authorities: readonly DugRecord[];
  readonly additionals: readonly DugRecord[];
}

/** `127.0.0.1:5300`, or an address of which port 53 is meant. */
export function serverAddress(text: string): string {
  if (isIPv6(text)) return `[${text}]:53`;
  return /^\[.*\]$|^[^:]*$/.test(text) ? `${text}:53` : text;
}

export async function dig(
  server: string,
  name: string,
  type: string,
  timeoutMs = TIMEOUT_MS,
): Promise<Dug> {
  const query = packet.encode(queryFor(name, type));
  const startedAt = performance.now();
  let transport: Dug["transport"] = "udp";
  let octets = await overUdp(server, query, timeoutMs);
  let message = decode(server, octets);
  if (message.flag_tc) {
    transport = "tcp";
    octets = await overTcp(server, query, timeoutMs);
    message = decode(server, octets);
  }
  const ms = performance.now() - startedAt;
  return { server, transport, octets: octets.length, ms, ...shown(message) };
}

function queryFor(name: string, type: string): Packet {
  const unknown = /^TYPE(\d+)$/i.exec(type);
  return {
    type: "query",
    id: Math.floor(Math.random() * 65_536),
    questions: [{ name, type: (unknown ? `UNKNOWN_${unknown[1]}` : type) as "A" }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: UDP_OCTETS,
        flags: 0,
        options: [{ code: NSID, data: Buffer.alloc(0) }],
      } as unknown as Answer,
    ],
  };
}

function decode(server: string, octets: Buffer): DecodedPacket & { rcode?: string } {
  try {
    return packet.decode(octets);
  } catch (error) {
    throw new Failure(`${server} sent what cannot be read: ${String(error)}`);
  }
}

async function overUdp(server: string, query: Buffer, timeoutMs: number): Promise<Buffer> {
  const { host, port } = splitAddress(server);
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  try {
    const answer = new Promise<Buffer>((resolve) => {
      socket.on("message", (message) => {
        if (message.subarray(0, 2).equals(query.subarray(0, 2))) resolve(message);
      });
      socket.on("error", () => undefined); // A refused datagram: the deadline tells it.
    });
    for (let attempt = 0; attempt < UDP_TRIES; attempt++) {
      socket.send(query, port, host);
      const message = await within(timeoutMs, answer);
      if (message) return message;
    }
  } finally {
    socket.close();
  }
  throw new Failure(`${server} does not answer`);
}

async function within<T>(ms: number, wanted: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  const first = await Promise.race([wanted, deadline]);
  clearTimeout(timer);
  return first;
}

async function overTcp(server: string, query: Buffer, timeoutMs: number): Promise<Buffer> {
  const { host, port } = splitAddress(server);
  const socket = connect({ host, port });
  socket.setTimeout(timeoutMs, () => socket.destroy());
  try {
    socket.write(packet.streamEncode(packet.decode(query)));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      const end =
        received.length < LENGTH_OCTETS ? Infinity : LENGTH_OCTETS + received.readUInt16BE(0);
      if (received.length >= end) return received.subarray(LENGTH_OCTETS, end);
    }
  } catch (error) {
    throw new Failure(`${server} does not answer over TCP: ${String(error)}`);
  } finally {
    socket.destroy();
  }
  throw new Failure(`${server} does not answer over TCP`);
}

function shown(message: DecodedPacket & { rcode?: string }) {
  const { rcode = "NOERROR", answers = [], authorities = [], additionals = [] } = message;
  const opt = additionals.find(({ type }) => type === "OPT") as
    | { extendedRcode?: number; options?: readonly { code: number; data: Buffer }[] }
    | undefined;
  const nsid = opt?.options?.find(({ code }) => code === NSID)?.data;
  const flags = (["qr", "aa", "tc", "rd", "ra"] as const).filter((flag) => message[`flag_${flag}`]);
  return {
    rcode: opt?.extendedRcode ? `${rcode} (extended ${opt.extendedRcode})` : rcode,
    flags,
    nsid: nsid && nsid.length > 0 ? nsid.toString("latin1") : null,
    answers: answers.flatMap(record),
    authorities: authorities.flatMap(record),
    additionals: additionals.flatMap(record),
  };
}

function record(answer: Answer): DugRecord[] {
  if (!("data" in answer)) return [];
  const { name, ttl = 0, data } = answer as { name: string; ttl?: number; data: unknown };
  const type = answer.type.replace(/^UNKNOWN_/, "TYPE");
  return [{ name: absolute(name), ttl, type, data: present(type, data) }];
}

const absolute = (name: string): string => (name.endsWith(".") ? name : `${name}.`);

const NAMED = new Set(["NS", "CNAME", "PTR", "DNAME"]);

/** Data as zone files have it; of types that are not known here their octets (RFC 3597). */
function present(type: string, data: unknown): string {
  if (typeof data === "string") return NAMED.has(type) ? absolute(data) : data;
  if (type === "TXT")
    return [data]
      .flat()
      .map((text) => quoted(String(text)))
      .join(" ");
  if (Buffer.isBuffer(data)) return `\\# ${data.length} ${data.toString("hex")}`;
  const fields = data as Record<string, string | number>;
  if (type === "MX") return `${fields.preference} ${absolute(String(fields.exchange))}`;
  if (type === "SRV") {
    const { priority, weight, port, target } = fields;
    return `${priority} ${weight} ${port} ${absolute(String(target))}`;
  }
  if (type === "SOA") {
    const { mname, rname, serial, refresh, retry, expire, minimum } = fields;
    const names = [mname, rname].map((name) => absolute(String(name)));
    return [...names, serial, refresh, retry, expire, minimum].join(" ");
  }
  if (type === "CAA") return `${fields.flags} ${fields.tag} ${quoted(String(fields.value))}`;
  if (type === "HINFO") return `${quoted(String(fields.cpu))} ${quoted(String(fields.os))}`;
  return Object.values(fields)
    .map((value) => (Buffer.isBuffer(value) ? value.toString("hex") : String(value)))
    .join(" ");
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;
