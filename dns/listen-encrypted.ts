/** DNS over TLS and HTTPS, for as long as there is a certificate; a new one takes effect by itself. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type HttpsEvents, listenHttps } from "./listen-https";
import { type AnswerStream, type Certificate, listenTls, type TlsListener } from "./listen-tcp";
import type { EncryptedOptions, EncryptedState } from "./protocol";

/** Certificates are renewed weeks before their end. */
const LOOK_EVERY_MS = 60_000;

export interface EncryptedEvents extends HttpsEvents {
  readonly answerTls: AnswerStream;
  readonly onState: (state: EncryptedState) => void;
}

export class Encrypted {
  readonly #options: EncryptedOptions;
  readonly #events: EncryptedEvents;
  readonly #lookEveryMs: number;
  #tls: TlsListener[] = [];
  #https: TlsListener[] = [];
  #certificate: Certificate | undefined;
  #fault: string | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: EncryptedOptions, events: EncryptedEvents, lookEveryMs = LOOK_EVERY_MS) {
    this.#options = options;
    this.#events = events;
    this.#lookEveryMs = lookEveryMs;
  }

  /** Answer, where there is something to answer on. What cannot be done is said, and tried again. */
  async open(): Promise<void> {
    const { certificate, tls, https } = this.#options;
    if (tls.length + https.length === 0) return;
    if (certificate === "") return this.#say("STELE_DNS_TLS_CERTIFICATE is not set");
    await this.#look();
    this.#timer = setInterval(() => void this.#look(), this.#lookEveryMs);
  }

  async close(graceMs: number): Promise<void> {
    clearInterval(this.#timer);
    const listeners = this.#listeners();
    this.#tls = [];
    this.#https = [];
    await Promise.all(listeners.map((listener) => listener.close(graceMs)));
  }

  #listeners(): TlsListener[] {
    return [...this.#tls, ...this.#https];
  }

  async #look(): Promise<void> {
    try {
      const found = await readCertificate(this.#options.certificate);
      const known = this.#certificate;
      if (found.cert === known?.cert && found.key === known.key) return;
      if (this.#listeners().length > 0) for (const one of this.#listeners()) one.renew(found);
      else await this.#listen(found);
      this.#certificate = found;
      this.#say(null);
    } catch (error) {
      // What is answered already goes on with the certificate that it has.
      const { message } = error as Error;
      if (message !== this.#fault) this.#say(message);
    }
  }

  async #listen(certificate: Certificate): Promise<void> {
    const { answerTls, counter } = this.#events;
    try {
      for (const address of this.#options.tls) {
        const events = { answerTo: answerTls, counter };
        this.#tls.push(await listenTls(address, certificate, events));
      }
      for (const address of this.#options.https) {
        this.#https.push(await listenHttps(address, certificate, this.#events));
      }
    } catch (error) {
      for (const listener of this.#listeners()) await listener.close(0);
      this.#tls = [];
      this.#https = [];
      throw error;
    }
  }

  #say(fault: string | null): void {
    this.#fault = fault;
    const addressOf = ({ address }: TlsListener) => address;
    this.#events.onState({
      tls: this.#tls.map(addressOf),
      https: this.#https.map(addressOf),
      fault,
    });
  }
}

async function readCertificate(directory: string): Promise<Certificate> {
  const [cert, key] = await Promise.all(
    ["cert.pem", "key.pem"].map((file) => readFile(join(directory, file), "utf8")),
  );
  return { cert: cert!, key: key! };
}
