/** One answer, taken off the bytes of a connection. */
export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
  /** Where the next one starts. */
  readonly end: number;
  readonly closes: boolean;
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [ -~]*$/;
const HEADER_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+: ?[\t -~\x80-\xff]*$/;

/**
 * The first answer in `bytes`, as strictly as RFC 9112 has it; null while it is not whole.
 *
 * @throws Error when it is no HTTP
 */
export function readAnswer(bytes: Buffer, isHead: boolean): Answer | null {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const head = bytes.toString("latin1", 0, headEnd);
  const [first = "", ...lines] = head.split("\r\n");
  const status = Number(STATUS_LINE.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`no status line: ${JSON.stringify(first)}`);
  const wrong = lines.find((line) => !HEADER_LINE.test(line));
  if (wrong !== undefined) throw new Error(`no header line: ${JSON.stringify(wrong)}`);
  const bodyStart = headEnd + 4;
  const values = (name: string): string[] =>
    lines
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim());
  const closes = values("connection").includes("close");
  const answer = (body: Buffer, end: number): Answer => ({ status, head, body, end, closes });
  const nothing = Buffer.alloc(0);
  if (status < 200 || status === 204 || status === 304 || isHead) return answer(nothing, bodyStart);
  const lengths = values("content-length");
  const codings = values("transfer-encoding");
  if (lengths.length + codings.length > 1) throw new Error(`two lengths: ${head}`);
  if (codings.length === 1) return readChunks(bytes, bodyStart, answer);
  if (lengths.length === 0) {
    if (!closes) throw new Error(`no length, and the connection is kept: ${head}`);
    return answer(bytes.subarray(bodyStart), bytes.length);
  }
  if (!/^\d+$/.test(lengths[0] ?? "")) throw new Error(`no length: ${lengths[0]}`);
  const end = bodyStart + Number(lengths[0]);
  return end > bytes.length ? null : answer(bytes.subarray(bodyStart, end), end);
}

function readChunks(
  bytes: Buffer,
  start: number,
  answer: (body: Buffer, end: number) => Answer,
): Answer | null {
  const chunks: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const text = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(text)) throw new Error(`no chunk size: ${JSON.stringify(text)}`);
    const size = Number.parseInt(text, 16);
    const end = lineEnd + 2 + size;
    if (end + 2 > bytes.length) return null;
    if (bytes.toString("latin1", end, end + 2) !== "\r\n") throw new Error("no end of a chunk");
    if (size === 0) return answer(Buffer.concat(chunks), end + 2);
    chunks.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}
