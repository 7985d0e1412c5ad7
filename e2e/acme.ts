/** A certificate authority (pebble), and the stock clients that prove names to it by DNS-01. */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { promisify } from "node:util";

import { freePort } from "../shared/__tests__/free-port";
import { until } from "./platform";

/** Daemons are not on everybody's path. */
export const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const START_MS = 20_000;
const CLIENT_MS = 120_000;
const EMAIL = "admin@example.org";

/** The first tool that is not installed, or undefined. */
export const missingOf = (tools: readonly string[]): string | undefined =>
  tools.find((tool) => spawnSync("which", [tool], { env }).status !== 0);

/** A daemon in the foreground, with what it says. */
export class Daemon {
  output = "";
  readonly #child: ChildProcess;

  constructor(
    command: string,
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ) {
    this.#child = spawn(command, args, {
      env: { ...env, ...more },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk) => (this.output += String(chunk)));
    }
  }

  stop(): void {
    this.#child.kill("SIGTERM");
  }
}

/** What a client left behind. */
export interface Certificate {
  readonly chain: string;
  readonly leaf: string;
}

export class Authority {
  readonly #folder: string;
  readonly #ports: readonly [number, number];
  #daemon: Daemon | undefined;

  private constructor(folder: string, ports: readonly [number, number]) {
    this.#folder = folder;
    this.#ports = ports;
  }

  static async make(folder: string): Promise<Authority> {
    const authority = new Authority(folder, [await freePort(), await freePort()]);
    mkdirSync(folder, { recursive: true });
    const [listen, management] = authority.#ports.map((port) => `127.0.0.1:${port}`);
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", authority.#file("key.pem"), "-out", authority.tlsFile];
    execFileSync("openssl", ["req", "-x509", "-days", "2", ...key, ...subject, ...files], {
      stdio: "pipe",
    });
    const pebble = {
      listenAddress: listen,
      managementListenAddress: management,
      certificate: authority.tlsFile,
      privateKey: authority.#file("key.pem"),
      // For challenges of other kinds, which nobody asks for here.
      httpPort: 5002,
      tlsPort: 5001,
    };
    writeFileSync(authority.#file("config.json"), JSON.stringify({ pebble }));
    return authority;
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  /** What signs the authority's own HTTPS. */
  get tlsFile(): string {
    return this.#file("tls.pem");
  }

  get directory(): string {
    return `https://127.0.0.1:${this.#ports[0]}/dir`;
  }

  get output(): string {
    return this.#daemon?.output ?? "";
  }

  /** Validates by this name server or resolver from now on; a fresh authority that knows no proofs. */
  async start(dnsServer: string): Promise<void> {
    await this.stop();
    const args = ["-config", this.#file("config.json"), "-dnsserver", dnsServer];
    this.#daemon = new Daemon("pebble", args, {
      PEBBLE_VA_NOSLEEP: "1",
      PEBBLE_WFE_NONCEREJECT: "0",
      PEBBLE_AUTHZREUSE: "0",
    });
    await until("pebble answers", () => this.#get(this.directory), START_MS);
  }

  async stop(): Promise<void> {
    this.#daemon?.stop();
    if (this.#daemon) await until("pebble has ended", () => this.#isAway(), START_MS);
    this.#daemon = undefined;
  }

  #isAway(): Promise<boolean> {
    return this.#get(this.directory).then(
      () => false,
      () => true,
    );
  }

  async #get(url: string): Promise<string> {
    const ca = readFileSync(this.tlsFile);
    return new Promise((resolve, reject) => {
      const asked = request(url, { ca }, (response) => {
        let body = "";
        response.on("data", (chunk) => (body += String(chunk)));
        response.on("end", () => resolve(body));
      });
      asked.on("error", reject);
      asked.end();
    });
  }

  /** Checks a certificate as a visitor's browser would, and gives the names that it is for. */
  async namesOf({ chain, leaf }: Certificate): Promise<string[]> {
    const root = this.#file("root.pem");
    const management = `https://127.0.0.1:${this.#ports[1]}`;
    writeFileSync(root, await this.#get(`${management}/roots/0`));
    execFileSync("openssl", ["verify", "-CAfile", root, "-untrusted", chain, leaf], {
      stdio: "pipe",
    });
    const names = ["-noout", "-ext", "subjectAltName"];
    const text = execFileSync("openssl", ["x509", "-in", leaf, ...names], { encoding: "utf8" });
    return [...text.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name!).toSorted();
  }
}

async function run(command: string, args: readonly string[], more: Record<string, string>) {
  try {
    await promisify(execFile)(command, args, { env: { ...env, ...more }, timeout: CLIENT_MS });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} failed: ${stdout}\n${stderr}`, { cause: error });
  }
}

export interface Order {
  readonly authority: Authority;
  /** The client's own, made by it. */
  readonly folder: string;
  readonly names: readonly string[];
}

/** Certbot 2 with the options of an authenticator. */
export async function certbot(
  { authority, folder, names }: Order,
  authenticator: readonly string[],
  around: Readonly<Record<string, string>> = {},
): Promise<Certificate> {
  const own = ["config", "work", "logs"].flatMap((name) => [`--${name}-dir`, join(folder, name)]);
  const account = ["--agree-tos", "--no-eff-email", "-m", EMAIL, "--non-interactive"];
  const args = ["certonly", "--server", authority.directory, ...own, ...account];
  const domains = names.flatMap((name) => ["-d", name]);
  await run("certbot", [...args, "--cert-name", "one", ...authenticator, ...domains], {
    ...around,
    REQUESTS_CA_BUNDLE: authority.tlsFile,
  });
  const live = join(folder, "config", "live", "one");
  return { chain: join(live, "chain.pem"), leaf: join(live, "cert.pem") };
}

/** Lego 4 with a DNS provider and its settings; it asks `resolver` what leads where. */
export async function lego(
  { authority, folder, names }: Order,
  provider: {
    readonly name: string;
    readonly resolver: string;
    readonly env: Record<string, string>;
  },
): Promise<Certificate> {
  const account = ["--accept-tos", "--email", EMAIL, "--path", folder];
  const dns = ["--dns", provider.name, "--dns.disable-cp", "--dns.resolvers", provider.resolver];
  const domains = names.flatMap((name) => ["--domains", name]);
  const args = ["--server", authority.directory, ...account, ...dns, ...domains, "run"];
  await run("lego", args, { ...provider.env, LEGO_CA_CERTIFICATES: authority.tlsFile });
  const base = join(folder, "certificates", names[0]!.replace("*", "_"));
  return { chain: `${base}.issuer.crt`, leaf: `${base}.crt` };
}
