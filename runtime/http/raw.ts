import type { IncomingMessage, ServerResponse } from "node:http";

type Push = (chunk: Buffer | null) => boolean;
type Destroy = (error: Error) => void;
type Done = (error?: Error | null) => void;

/** The body of a raw request, as the SDK's RawRequest pulls it. */
export class BodyReader {
  readonly #source: IncomingMessage;
  readonly #limit: number | null;
  #push: Push | null = null;
  #destroy: Destroy | null = null;
  #wanted = false;
  #ended = false;
  #read = 0;

  constructor(source: IncomingMessage, limit: number | null) {
    this.#source = source;
    this.#limit = limit;
  }

  /** Called by the RawRequest's constructor: nothing may be pushed yet. */
  start(push: Push, destroy: Destroy): void {
    this.#push = push;
    this.#destroy = destroy;
    this.#source.on("readable", () => this.#pump());
    this.#source.on("end", () => this.#end());
    this.#source.on("aborted", () => this.#fail(new Error("request body was cut off")));
    this.#source.on("error", (error) => this.#fail(error));
  }

  read(): void {
    this.#wanted = true;
    // Not inside the stream's own _read: it expects data to come later.
    setImmediate(() => this.#pump());
  }

  #pump(): void {
    while (this.#wanted && !this.#ended) {
      const chunk = this.#source.read() as Buffer | null;
      if (chunk === null) {
        if (this.#source.readableEnded) this.#end();
        return;
      }
      this.#read += chunk.length;
      if (this.#limit !== null && this.#read > this.#limit) {
        this.#fail(new Error("length limit exceeded"));
        return;
      }
      this.#wanted = this.#push?.(chunk) ?? false;
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#push?.(null);
  }

  /** Only a body that is still awaited can fail: a client may leave after it was read. */
  #fail(error: Error): void {
    if (this.#ended || this.#source.complete) return;
    this.#ended = true;
    this.#destroy?.(error);
  }
}

const VISIBLE_ASCII = /^[\t\x20-\x7e\x80-\xff]*$/;

type HeadHeaders = readonly string[] | Readonly<Record<string, string | number | string[]>>;

/** The answer of a raw endpoint, as the SDK's RawResponse writes it. */
export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #decorate: () => void;
  readonly #ended: Promise<void>;
  #settle: () => void = () => {};
  #status = 200;
  #headers: readonly (readonly [string, string | readonly string[]])[] = [];
  #sent = false;

  /** @param decorate adds the gateway's own headers just before the head is sent */
  constructor(response: ServerResponse, decorate: () => void) {
    this.#response = response;
    this.#decorate = decorate;
    this.#ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    response.once("close", this.#settle);
  }

  /** Resolves when the answer has been sent, or can no longer be. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  get headSent(): boolean {
    return this.#sent;
  }

  writeHead(status: number, headers: HeadHeaders): void {
    if (this.#sent) return;
    const entries = Array.isArray(headers) ? pairs(headers) : Object.entries(headers);
    this.#headers = entries.map(([name, value]) => [name, checkedValue(name, value)] as const);
    this.#status = status;
  }

  writeBody(chunk: Buffer, done?: Done | null): void {
    this.#sendHead();
    this.#write(chunk, done);
  }

  writeBodyMulti(chunks: readonly Buffer[], done?: Done | null): void {
    this.#sendHead();
    this.#write(Buffer.concat(chunks), done);
  }

  close(chunk?: Buffer | null, done?: Done | null): void {
    const wasSent = this.#sent;
    this.#sendHead();
    this.#response.end(chunk ?? undefined, () => this.#settle());
    // Encore calls back only when the head had gone out before.
    if (wasSent) done?.();
  }

  #write(chunk: Buffer, done?: Done | null): void {
    if (this.#response.destroyed || this.#response.writableEnded) {
      // A visitor who has gone is no error to the handler.
      done?.();
      return;
    }
    this.#response.write(chunk, () => done?.());
  }

  #sendHead(): void {
    if (this.#sent || this.#response.headersSent) return;
    this.#sent = true;
    for (const [name, value] of this.#headers) this.#response.setHeader(name, value);
    this.#decorate();
    this.#response.writeHead(this.#status);
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    result.push([flat[index] as string, flat[index + 1] as string]);
  }
  return result;
}

function checkedValue(name: string, value: unknown): string | readonly string[] {
  if (Array.isArray(value)) return value.map((one) => checkedValue(name, one) as string);
  if (typeof value === "number" && Number.isInteger(value)) return String(value);
  if (typeof value === "string" && VISIBLE_ASCII.test(value)) return value;
  throw new Error(`Cannot send header "${name}": "${String(value)}" is not a header value`);
}
