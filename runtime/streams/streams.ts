import { isStream, type AppModel, type EndpointModel } from "../app-model";
import { localInvocation, outgoingCall, type Call, type OutgoingCall } from "../calls";
import { isolated, type Handlers, type HandlerResult } from "../handlers";
import { Failure, failureOf, internalFailure } from "../http/errors";
import type { CodecContext } from "../http/payload";
import type { Request } from "../http/request";
import { metaHeaders } from "../remote/call-meta";
import { parameterHeaders } from "../remote/remote-calls";
import type { ServiceDirectory } from "../remote/service-directory";
import { admit, type Invocation, type Runner } from "../runner";
import { channelPair, type Channel } from "./channel";
import { farewell, reasonText, sayGoodbye } from "./farewell";
import { Sink, Socket, Stream, WebSocketClient } from "./handles";
import { streamError } from "./inbox";
import { MessageCodec } from "./message-codec";
import { MessageStream } from "./message-stream";
import { relay } from "./relay";
import { openRemoteStream } from "./remote-stream";

/** An error of this side, among the close codes of RFC 6455, section 7.4.1. */
const INTERNAL_ERROR = 1011;

export interface StreamsOptions {
  readonly model: AppModel;
  readonly runner: Runner;
  readonly handlers: Handlers;
  readonly decimal: CodecContext["decimal"];
  readonly isHosted: (service: string) => boolean;
  readonly directory: ServiceDirectory;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** A stream whose handler runs. */
interface Served {
  readonly stream: MessageStream;
  /** Resolves when the handler has ended. */
  readonly handled: Promise<void>;
}

/**
 * Starts a stream's handler on a channel.
 *
 * @param awaited whether the process waits at its end until the handler has ended, as for a request
 */
type Start = (channel: Channel, awaited: boolean) => Served;

type Handler = (request: Request, handle: Sink | Stream) => unknown;

/** Runs the application's stream endpoints, whoever calls them. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #endpoints: ReadonlyMap<string, EndpointModel>;
  /** What ends each stream that nothing else would end when the process does. */
  readonly #farewells = new Set<() => Promise<void>>();
  #draining = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    const streams = options.model.endpoints.filter(isStream);
    this.#endpoints = new Map(streams.map((one) => [`${one.service}.${one.name}`, one]));
  }

  /**
   * The parameters of a handshake, null where none are declared.
   *
   * @throws Failure `invalid_argument`
   */
  handshake({ endpoint, wire }: Invocation): Record<string, unknown> | null {
    const payload = this.#options.runner.codec(endpoint).request.decode(wire);
    return endpoint.handshake === null ? null : payload;
  }

  /**
   * Checks whether there is to be a stream.
   *
   * @throws Failure what the caller must be told
   */
  prepare(invocation: Invocation, payload: Record<string, unknown> | null): Start {
    const { endpoint, wire } = invocation;
    const { runner, handlers } = this.#options;
    admit(invocation);
    const handler = handlers.find(endpoint.service, endpoint.name)?.handler;
    if (typeof handler !== "function") throw internalFailure("endpoint has no handler");
    // As in Encore, a stream's request shows neither method nor headers.
    const shown = { ...invocation, wire: { ...wire, method: "" }, headers: () => ({}) };
    const request = runner.request(shown, payload);
    return (channel, awaited) => {
      const stream = this.#serverSide(endpoint, channel);
      const work = (): Promise<unknown> =>
        isolated(() => (handler as Handler)(request, handleOf(endpoint, stream)));
      const result = awaited ? runner.track(request, work) : runner.log(request, work);
      return { stream, handled: this.#finish(endpoint, stream, result) };
    };
  }

  /** Serves a stream from outside the process until its channel ends. */
  serve(start: Start, channel: Channel): void {
    const { stream, handled } = start(channel, false);
    this.#endWithProcess(stream.closed, () => farewell(stream, handled));
  }

  /** Joins a client's stream with that of another process. */
  relay(near: Channel, far: Channel): void {
    const closed = relay(near, far);
    this.#endWithProcess(closed, () => sayGoodbye([near, far], closed));
  }

  /**
   * A stream to a service, for the SDK's clients.
   *
   * @throws Error as Encore's native library does
   */
  async open(call: Call): Promise<WebSocketClient> {
    try {
      return await this.#open(call);
    } catch (error) {
      const { code, message } = failureOf(error);
      throw streamError(`failed to make api call: ${code}: ${message}`, "GenericFailure");
    }
  }

  /** Ends every stream that would outlive the requests in flight. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#farewells].map((end) => end()));
  }

  async #open(call: Call): Promise<WebSocketClient> {
    const endpoint = this.#endpoints.get(`${call.service}.${call.endpoint}`);
    if (endpoint === undefined) throw new Failure("not_found", "endpoint not found");
    const outgoing = outgoingCall(endpoint, call, this.#options.runner.codec(endpoint).request);
    const channel = this.#options.isHosted(endpoint.service)
      ? this.#openHere(outgoing)
      : await this.#openElsewhere(outgoing);
    return new WebSocketClient(this.#clientSide(endpoint, channel));
  }

  #openHere(outgoing: OutgoingCall): Channel {
    const invocation = localInvocation(outgoing);
    const start = this.prepare(invocation, this.handshake(invocation));
    const [near, far] = channelPair();
    // A request's own streams end with it: draining waits for the request.
    if (outgoing.meta.trace === null) this.serve(start, far);
    else start(far, true);
    return near;
  }

  #openElsewhere({ endpoint, wire, pathAndQuery, meta }: OutgoingCall): Promise<Channel> {
    const location = this.#options.directory.find(endpoint.service);
    if (location === null) throw new Failure("not_found", "service not found");
    return openRemoteStream(location, pathAndQuery, {
      ...parameterHeaders(wire),
      ...metaHeaders(meta, location.auth, Date.now()),
    });
  }

  #endWithProcess(closed: Promise<void>, end: () => Promise<void>): void {
    this.#farewells.add(end);
    void closed.then(() => this.#farewells.delete(end));
    if (this.#draining) void end();
  }

  async #finish(
    endpoint: EndpointModel,
    stream: MessageStream,
    result: Promise<unknown>,
  ): Promise<void> {
    try {
      const answer = (await result) as HandlerResult;
      if (endpoint.kind === "streamIn") this.#answer(endpoint, stream, answer);
    } catch (error) {
      const { code, message } = failureOf(error);
      stream.close(INTERNAL_ERROR, reasonText(`${code}: ${message}`));
    }
  }

  /** What a handler that received gives at the end is the stream's last message. */
  #answer(endpoint: EndpointModel, stream: MessageStream, result: HandlerResult): void {
    const { payload } = result ?? {};
    if (endpoint.response !== null && stream.isOpen) void stream.send(payload);
    stream.close();
  }

  #serverSide(endpoint: EndpointModel, channel: Channel): MessageStream {
    return new MessageStream(channel, {
      incoming: this.#codec(endpoint.request),
      outgoing: this.#codec(endpoint.response),
      endedMessage: "socket receive channel closed",
      readsOn: false,
      undecodable: (error) => {
        const { service, name } = endpoint;
        const fields = { service, endpoint: name, reason: error.message };
        this.#options.warn("failed to parse incoming message", fields);
        return null;
      },
    });
  }

  #clientSide(endpoint: EndpointModel, channel: Channel): MessageStream {
    return new MessageStream(channel, {
      incoming: this.#codec(endpoint.response),
      outgoing: this.#codec(endpoint.request),
      endedMessage: "websocket client receive channel closed",
      readsOn: true,
      undecodable: () =>
        streamError("unable to parse incoming message according to schema", "GenericFailure"),
    });
  }

  #codec(schema: EndpointModel["request"]): MessageCodec | null {
    const { model, decimal } = this.#options;
    return schema === null ? null : new MessageCodec(schema, { types: model.types, decimal });
  }
}

function handleOf({ kind }: EndpointModel, stream: MessageStream): Sink | Stream {
  if (kind === "streamIn") return new Stream(stream);
  return kind === "streamOut" ? new Sink(stream) : new Socket(stream);
}
