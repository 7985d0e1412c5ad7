// The server's half of RFC 6455: as much as echo and chat need. `chat` has the same file, since an
// app is one folder and these have no dependencies.
import { createHash } from "node:crypto";

const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const MAX_MESSAGE_BYTES = 1 << 20; // Enough for an example, and no visitor fills our memory.
const CLOSE_WAIT_MS = 1_000; // How long a peer may take to answer our close frame.
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/**
 * Answer an upgrade request. Returns the connection, or undefined when the request was refused.
 * `onMessage(payload, isText)` gets whole messages; `onClose()` is called once.
 */
export function acceptWebSocket(request, socket, head, { onMessage, onClose = () => {} }) {
  const key = request.headers["sec-websocket-key"];
  const version = request.headers["sec-websocket-version"];
  if (request.headers.upgrade?.toLowerCase() !== "websocket" || !key || version !== "13") {
    socket.end(
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Connection: close\r\nContent-Length: 0\r\n\r\n",
    );
    return undefined;
  }
  const accept = createHash("sha1")
    .update(key + HANDSHAKE_GUID)
    .digest("base64");
  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  return openConnection(socket, head, onMessage, onClose);
}

function openConnection(socket, head, onMessage, onClose) {
  const state = { socket, pending: head, parts: [], partBytes: 0, isText: true, closing: false };
  const connection = {
    send: (payload) => {
      if (state.closing) return;
      const isText = typeof payload === "string";
      socket.write(encodeFrame(isText ? OPCODE.text : OPCODE.binary, Buffer.from(payload)));
    },
    close: (code, reason = "") => {
      if (state.closing) return;
      state.closing = true;
      socket.write(encodeFrame(OPCODE.close, closePayload(code, reason)));
      setTimeout(() => socket.destroy(), CLOSE_WAIT_MS).unref();
    },
  };
  const receive = (chunk) => {
    state.pending = state.pending.length === 0 ? chunk : Buffer.concat([state.pending, chunk]);
    for (;;) {
      const frame = decodeFrame(state.pending);
      if (frame === undefined) return;
      if (frame.error) return connection.close(frame.error, "");
      state.pending = state.pending.subarray(frame.bytes);
      onFrame(frame, state, connection, onMessage);
    }
  };
  socket.on("data", receive);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => onClose());
  if (head.length > 0) {
    state.pending = Buffer.alloc(0);
    receive(head);
  }
  return connection;
}

function onFrame(frame, state, connection, onMessage) {
  const { socket } = state;
  if (frame.opcode === OPCODE.ping) return socket.write(encodeFrame(OPCODE.pong, frame.payload));
  if (frame.opcode === OPCODE.pong) return undefined;
  if (frame.opcode === OPCODE.close) {
    // Answer the peer's close with the same code, or take its answer to ours (section 5.5.1).
    if (!state.closing) socket.write(encodeFrame(OPCODE.close, frame.payload.subarray(0, 2)));
    state.closing = true;
    return socket.end();
  }
  if (frame.opcode !== OPCODE.continuation) {
    state.parts = [];
    state.partBytes = 0;
    state.isText = frame.opcode === OPCODE.text;
  }
  state.partBytes += frame.payload.length;
  if (state.partBytes > MAX_MESSAGE_BYTES) return connection.close(1009, "message too big");
  state.parts.push(frame.payload);
  if (!frame.final) return undefined;
  const message = Buffer.concat(state.parts);
  state.parts = [];
  return onMessage(state.isText ? message.toString("utf8") : message, connection);
}

/** The first frame in `buffer` (section 5.2), undefined while it is incomplete. */
function decodeFrame(buffer) {
  if (buffer.length < 2) return undefined;
  const isMasked = (buffer[1] & 0x80) !== 0;
  if (!isMasked || (buffer[0] & 0x70) !== 0) return { error: 1002 };
  let length = buffer[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  if (length > MAX_MESSAGE_BYTES) return { error: 1009 };
  if (buffer.length < at + 4 + length) return undefined;
  const mask = buffer.subarray(at, at + 4);
  const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
  const final = (buffer[0] & 0x80) !== 0;
  return { opcode: buffer[0] & 0x0f, final, payload, bytes: at + 4 + length };
}

function encodeFrame(opcode, payload) {
  let header;
  if (payload.length < 126) {
    header = Buffer.from([0x80 | opcode, payload.length]);
  } else if (payload.length < 65_536) {
    header = Buffer.from([0x80 | opcode, 126, 0, 0]);
    header.writeUInt16BE(payload.length, 2);
  } else {
    header = Buffer.alloc(10);
    header[0] = 0x80 | opcode;
    header[1] = 127;
    header.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([header, payload]);
}

function closePayload(code, reason) {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return payload;
}
