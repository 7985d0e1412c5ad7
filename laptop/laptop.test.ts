import { readFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

import { describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { laptopClusters } from "./clusters";
import { helpText, readOptions } from "./options";
import { assertFree, type Wanted } from "./ports";
import { allSettings, environmentFaults, settingsMarkdown } from "./settings-table";
import { tracesUrl } from "./tracing";

describe("options", () => {
  it("are all off, and examples on", () => {
    expect(readOptions([])).toEqual({
      help: false,
      bare: false,
      examples: true,
      traceTo: undefined,
      ownServers: false,
      also: [],
    });
    expect(readOptions(["--no-examples", "--trace-to", "http://127.0.0.1:4318"])).toMatchObject({
      examples: false,
      traceTo: "http://127.0.0.1:4318",
    });
  });

  it.each([
    [["--bogus"], "Unknown option '--bogus': see npm start -- --help"],
    [["--trace-to", "nowhere"], 'Cannot trace to "nowhere": expected such as http://127'],
  ])("%j are refused in one line", (argv, message) => {
    expect(() => readOptions(argv)).toThrow(message);
    try {
      readOptions(argv);
    } catch (error) {
      expect((error as Error).message).not.toContain("\n");
    }
  });

  it("help lists every setting of every room once", () => {
    const names = allSettings().flatMap(({ settings }) => settings.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) {
      expect(helpText()).toContain(name);
      expect(settingsMarkdown()).toContain(`\`${name}\``);
    }
    expect(names).toEqual(expect.arrayContaining(["STELE_DIR", "STELE_ZONE", "LOCAL_CLUSTERS"]));
  });

  it("stand in the README as the rooms have them: npm run fix writes them there", () => {
    expect(readFileSync("README.md", "utf8")).toContain(settingsMarkdown());
  });
});

describe("the environment", () => {
  it("is fine when empty, and with what others read", () => {
    expect(environmentFaults({})).toEqual([]);
    expect(environmentFaults({ PATH: "/bin", STELE_API: "http://x", STELE_DNS: "y" })).toEqual([]);
  });

  it("is told all its faults at once", () => {
    const faults = environmentFaults({
      STELE_HTTP_PORT: "many",
      STELE_API_LISTEN: "here",
      STELE_UNHEARD_OF: "1",
      DATABASE_URL: "mysql://x",
    });
    expect(faults).toHaveLength(4);
    for (const name of [
      "STELE_HTTP_PORT",
      "STELE_API_LISTEN",
      "STELE_UNHEARD_OF",
      "DATABASE_URL",
    ]) {
      expect(faults.filter((fault) => fault.startsWith(name))).toHaveLength(1);
    }
  });
});

describe("clusters", () => {
  it("have addresses of their own on Linux, and east those of browsers, too", async () => {
    const [east, west] = await laptopClusters("linux", 8080);
    expect(east).toMatchObject({ id: "east", ingress: ["127.0.1.1"], httpPort: 8080 });
    expect(east?.listen.slice(0, 2)).toEqual(["127.0.1.1:8080", "127.0.0.1:8080"]);
    expect(west).toEqual({
      id: "west",
      ingress: ["127.0.2.1"],
      httpPort: 8080,
      listen: ["127.0.2.1:8080"],
    });
  });

  it("have ports of their own elsewhere", async () => {
    const clusters = await laptopClusters("darwin", 8080);
    expect(clusters.map(({ listen }) => listen)).toEqual([["127.0.0.1:8081"], ["127.0.0.1:8082"]]);
    expect(clusters.map(({ httpPort }) => httpPort)).toEqual([8081, 8082]);
  });
});

describe("assertFree()", () => {
  const wanted = (port: number): Wanted => ({
    host: "127.0.0.1",
    port,
    what: "the name server",
    transports: ["tcp", "udp"],
  });

  it("says which port is taken, over TCP or UDP", async () => {
    const ports = [await freePort(), await freePort()] as const;
    const tcp = createServer().listen(ports[0], "127.0.0.1");
    const udp = createSocket("udp4").bind(ports[1], "127.0.0.1");
    await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
    const lines = ports.map(
      (port) => `Cannot listen on 127.0.0.1:${port} for the name server: the port is taken`,
    );
    await expect(assertFree(ports.map(wanted))).rejects.toThrow(lines.join("\n"));
    await new Promise((resolve) => tcp.close(resolve));
    await new Promise<void>((resolve) => udp.close(resolve));
    await expect(assertFree(ports.map(wanted))).resolves.toBeUndefined();
  });
});

describe("tracesUrl()", () => {
  it("completes a collector's base, and keeps a full address", () => {
    expect(tracesUrl("http://127.0.0.1:4318")).toBe("http://127.0.0.1:4318/v1/traces");
    expect(tracesUrl("http://127.0.0.1:4318/")).toBe("http://127.0.0.1:4318/v1/traces");
    expect(tracesUrl("http://c/otlp/v1/traces")).toBe("http://c/otlp/v1/traces");
  });
});
