import type { Socket } from "node:net";

/** What a client of PostgreSQL says first (its protocol's "Start-up" and "Cancel requests"). */
export type Opening =
  | { readonly kind: "startup"; readonly parameters: ReadonlyMap<string, string> }
  | { readonly kind: "cancel"; readonly packet: Buffer };

const PROTOCOL_3_0 = 0x00030000;
const CANCEL = 80_877_102;
const SSL = 80_877_103;
const GSS = 80_877_104;

/** As PostgreSQL has it. */
const MAX_PACKET_BYTES = 10_000;

const HEAD_BYTES = 8;

/** Asks a server for TLS; its answer is one byte, `S` or `N`. */
export const SSL_REQUEST = packetOf(SSL, Buffer.alloc(0));

/** Either byte declines encryption: the connection does not leave the machine. */
const NO_ENCRYPTION = "N";

/**
 * Reads a connection up to the end of its opening; what follows is still to be read.
 *
 * @throws Error when it is no client of PostgreSQL
 */
export function readOpening(client: Socket): Promise<Opening> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const done = (): void => {
      client.pause();
      client.off("data", read);
    };
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
        const isTooLong = bytes.length > MAX_PACKET_BYTES || length > MAX_PACKET_BYTES;
        if (isTooLong || (bytes.length >= 4 && length < HEAD_BYTES)) {
          done();
          return reject(new Error("not an opening of PostgreSQL's protocol"));
        }
        if (bytes.length < HEAD_BYTES || bytes.length < length) return;
        const packet = bytes.subarray(0, length);
        bytes = bytes.subarray(length);
        const code = packet.readUInt32BE(4);
        if (code === SSL || code === GSS) {
          client.write(NO_ENCRYPTION);
          continue;
        }
        done();
        if (bytes.length > 0) client.unshift(bytes);
        if (code === CANCEL) return resolve({ kind: "cancel", packet });
        return resolve({ kind: "startup", parameters: parametersOf(packet) });
      }
    };
    client.on("data", read);
    client.once("close", () => reject(new Error("the connection is gone")));
  });
}

function parametersOf(packet: Buffer): Map<string, string> {
  const texts = packet.subarray(HEAD_BYTES).toString("utf8").split("\0");
  const parameters = new Map<string, string>();
  for (let at = 0; at + 1 < texts.length && texts[at] !== ""; at += 2) {
    parameters.set(texts[at] as string, texts[at + 1] as string);
  }
  return parameters;
}

export function startupPacket(parameters: ReadonlyMap<string, string>): Buffer {
  const texts = [...parameters].map(([name, value]) => `${name}\0${value}\0`).join("");
  return packetOf(PROTOCOL_3_0, Buffer.from(`${texts}\0`));
}

function packetOf(code: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(HEAD_BYTES + body.length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

/** What a server says when it does not let a client in. */
export function errorResponse(sqlState: string, message: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`;
  const body = Buffer.from(fields);
  const head = Buffer.alloc(5);
  head.write("E", 0, "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
