import { resolve } from "node:path";

import { type Api, openApi } from "./api-client";
import { type Palette, palette } from "./format";

/** What a command works with: the API, the name server, and where its words go. */
export interface Context {
  readonly api: Api;
  /** The name server, `host:port`. */
  readonly dnsServer: string;
  /** The repository's root: where `npm start` is. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly json: boolean;
  readonly isTty: boolean;
  /** The terminal's width; asked for, since it changes. */
  readonly columns: () => number;
  readonly paint: Palette;
  readonly now: () => number;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Lines for people, as they come; silent with --json. */
  readonly say: (text: string) => void;
  /** The command's result: as JSON, or as `render` shows it. */
  readonly result: (value: unknown, render: () => string) => void;
  readonly write: (text: string) => void;
}

export interface Surroundings {
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
  readonly columns: () => number;
  readonly write: (text: string) => void;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

export function openContext(around: Surroundings, json: boolean): Context {
  const { env, root, isTty, write } = around;
  const print = (text: string): void => write(text.endsWith("\n") ? text : `${text}\n`);
  return {
    ...around,
    json,
    api: openApi({
      address: env.STELE_API ?? `http://${env.STELE_API_LISTEN ?? "127.0.0.1:4000"}`,
      signal: around.signal,
      tokenFile: resolve(root, env.STELE_TOKEN_FILE ?? `${env.STELE_DIR ?? ".stele"}/token`),
    }),
    dnsServer: env.STELE_DNS ?? env.STELE_DNS_LISTEN ?? "127.0.0.1:5300",
    paint: palette(isTty && !json && env.NO_COLOR === undefined),
    say: (text) => {
      if (!json) print(text);
    },
    result: (value, render) => print(json ? JSON.stringify(value, null, 2) : render()),
  };
}
