import type { ObjectSchema } from "../app-model";
import { invalidArgument } from "../http/errors";
import { JsonError, parseBody } from "../http/json-body";
import { pick, type CodecContext } from "../http/payload";
import { DecodeError, decodeValue, type DecodeContext } from "../http/payload-decode";
import { jsonText } from "../json-text";

/** How the messages of one direction of a stream travel: JSON by their schema. */
export class MessageCodec {
  readonly #schema: ObjectSchema;
  readonly #context: DecodeContext;

  constructor(schema: ObjectSchema, context: CodecContext) {
    const fields = schema.fields.filter(({ location }) => location !== "header");
    this.#schema = { kind: "object", fields };
    this.#context = { ...context, fromStrings: false };
  }

  /** @throws Error when the value has no JSON; it is not checked further, as in Encore */
  encode(value: unknown): string {
    return jsonText(pick(this.#schema, (value ?? {}) as Record<string, unknown>));
  }

  /** @throws Failure `invalid_argument` */
  decode(text: string): unknown {
    try {
      return decodeValue(this.#schema, parseBody(text), "", this.#context);
    } catch (error) {
      if (error instanceof DecodeError || error instanceof JsonError) {
        throw invalidArgument(`unable to decode request body: ${error.message}`);
      }
      throw error;
    }
  }
}
