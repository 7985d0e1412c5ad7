import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

import type { DatabaseConfig } from "../infra-config";
import { tlsOptions } from "./sql-client";
import { type Opening, errorResponse, readOpening, SSL_REQUEST, startupPacket } from "./startup";

/** A client that does not say what it wants in this time is no client. */
const OPENING_TIMEOUT_MS = 10_000;

/**
 * Whoever is on this machine may try to log in. However many do, most of the server's connections are
 * left to the pools of the services.
 */
const MAX_CLIENTS = 60;

const LOOPBACK = "127.0.0.1";
const IPV4 = 4;
const BACKLOG = 128;

/**
 * Where other drivers reach the databases of this process: by TCP on loopback, under their logical
 * names, wherever they really are and whatever they are called there. Encore has such a thing too.
 * What clients say goes on as it is, so they log in with the server's own user and password.
 */
export class Forwarder {
  readonly #databases: Readonly<Record<string, DatabaseConfig>>;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;

  /** @param databases by logical name */
  constructor(databases: Readonly<Record<string, DatabaseConfig>>) {
    this.#databases = databases;
  }

  /** A URL for any driver. Asked for while modules load, so it cannot wait for anything. */
  url(name: string, { username, password }: DatabaseConfig): string {
    this.#server ??= this.#listen();
    const user = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
    const path = encodeURIComponent(name);
    return `postgresql://${user}@${LOOPBACK}:${this.#port}/${path}?sslmode=disable`;
  }

  close(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #listen(): Server {
    const server = createServer((client) => this.#serve(client));
    server.maxConnections = MAX_CLIENTS;
    listenNow(server);
    const address = server.address();
    if (address === null || typeof address === "string") {
      throw new Error(`Cannot listen on ${LOOPBACK}: there is no free port`);
    }
    this.#port = address.port;
    // What uses it keeps the process; it does not.
    server.unref();
    return server;
  }

  #serve(client: Socket): void {
    this.#keep(client);
    client.setTimeout(OPENING_TIMEOUT_MS, () => client.destroy());
    readOpening(client).then(
      (opening) => {
        client.setTimeout(0);
        if (opening.kind === "cancel") this.#cancel(client, opening);
        else this.#join(client, opening);
      },
      () => client.destroy(),
    );
  }

  #join(client: Socket, { parameters }: Extract<Opening, { kind: "startup" }>): void {
    const name = parameters.get("database") ?? parameters.get("user") ?? "";
    const config = Object.hasOwn(this.#databases, name) ? this.#databases[name] : undefined;
    if (config === undefined) {
      const message = `database "${name}" is not configured for use by this process`;
      return void client.end(errorResponse("3D000", message));
    }
    const refuse = (reason: string): void => {
      const message = `cannot reach the server of database "${name}": ${reason}`;
      if (!client.destroyed) client.end(errorResponse("57P03", message));
    };
    const hello = startupPacket(new Map([...parameters, ["database", config.database]]));
    this.#open(config, refuse, (server) => {
      server.write(hello);
      client.pipe(server).pipe(client);
      client.once("close", () => server.destroy());
      server.once("close", () => client.destroy());
    });
  }

  /** The request names a connection by a secret of its own: every server but that one ignores it. */
  #cancel(client: Socket, { packet }: Extract<Opening, { kind: "cancel" }>): void {
    const servers = new Map(
      Object.values(this.#databases).map((one) => [
        `${one.socketDir ?? one.host}:${one.port}`,
        one,
      ]),
    );
    for (const config of servers.values()) {
      this.#open(
        config,
        () => {},
        (server) => server.end(packet),
      );
    }
    client.end();
  }

  #open(
    config: DatabaseConfig,
    refused: (reason: string) => void,
    opened: (server: Socket) => void,
  ): void {
    const { socketDir, host, port, tls } = config;
    const socket =
      socketDir === null
        ? connect({ host, port, noDelay: true })
        : connect({ path: join(socketDir, `.s.PGSQL.${port}`) });
    this.#keep(socket);
    socket.once("error", ({ message }) => refused(message));
    if (tls === null) {
      socket.once("connect", () => opened(socket));
      return;
    }
    socket.once("connect", () => socket.write(SSL_REQUEST));
    socket.once("data", (answer: Buffer) => {
      if (answer.toString("latin1") !== "S") {
        socket.destroy();
        return refused("it does not speak TLS");
      }
      const secure = connectTls({ socket, ...tlsOptions(tls, host) });
      this.#keep(secure);
      secure.once("error", ({ message }) => refused(message));
      secure.once("secureConnect", () => opened(secure));
    });
  }

  #keep(socket: Socket): void {
    socket.setNoDelay(true);
    socket.unref();
    socket.on("error", () => {});
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/**
 * `listen` looks the address up before it binds and so is over only later, numbers included. This is
 * what it calls in the end; Node.js keeps it for whoever used it before `listen` knew so much.
 */
function listenNow(server: Server): void {
  const internal = server as unknown as {
    readonly _listen2: (host: string, port: number, family: number, backlog: number) => void;
  };
  server.once("error", () => {}); // It also comes back without an address.
  internal._listen2(LOOPBACK, 0, IPV4, BACKLOG);
}
