import { execFile } from "node:child_process";
import { connect } from "node:net";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type NameServer, openNameServer } from "../cli/resolve";
import { Platform, type Repl, until, ZONE } from "./platform";
import { get } from "./visitor";

let platform: Platform;
let nameServer: NameServer;
let hello: Repl;

beforeAll(async () => {
  platform = await Platform.start({ later: ["north"] });
  nameServer = openNameServer(`127.0.0.1:${platform.dnsPort}`);
  hello = await platform.deploy("examples/hello", "hello", "east");
});
afterAll(async () => {
  nameServer.close();
  await platform.stop();
});

async function ask(name: string, type: "A" | "TXT" | "CNAME" | "SOA"): Promise<string[]> {
  const { records } = await nameServer.query(name, type);
  return records.map(({ data }) => data);
}

/** `npx stele`, against the platform of this test. */
async function stele(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    ...process.env,
    NO_COLOR: "1",
    STELE_API: `http://127.0.0.1:${platform.apiPort}`,
    STELE_TOKEN_FILE: platform.tokenFile,
    STELE_DNS: `127.0.0.1:${platform.dnsPort}`,
  };
  try {
    const run = promisify(execFile);
    const { stdout, stderr } = await run(process.execPath, ["cli/stele.mjs", ...args], { env });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

const through = (cluster: string, host: string, path = "/") =>
  get(platform.ingressOf(cluster), platform.httpPort, host, path);

describe("metrics", () => {
  it("of the name server are for who has the token", async () => {
    const url = `http://127.0.0.1:${platform.apiPort}/v1/dns/metrics`;
    expect((await fetch(url)).status).toBe(401);
    const headers = { authorization: `Bearer ${platform.token}` };
    const answer = await fetch(url, { headers });
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await answer.text()).toMatch(/^stele_dns_repls [1-9]/m);
  });
});

describe("stele dig", () => {
  it("says what is answered and why", async () => {
    const { code, stdout } = await stele("dig", `hello--demo.${ZONE}`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^;; NOERROR, flags: qr aa/);
    expect(stdout).toContain(platform.ingressOf("east"));
    const { generation } = await platform.api<Repl>("GET", `/v1/repls/${hello.id}`);
    const lives = `app hello.demo, id ${hello.id}, lives in cluster east, generation ${generation}`;
    expect(stdout).toContain(lives);
    const nothing = await stele("dig", `no.such.name.${ZONE}`, "TXT", "--json");
    expect(JSON.parse(nothing.stdout)).toMatchObject({
      rcode: "NXDOMAIN",
      explained: { result: "nxdomain", steps: [{ how: "nothing", at: ZONE }] },
    });
  });
});

describe("names", () => {
  it.each([
    (repl: Repl) => repl.host,
    () => `hello--demo.${ZONE}`,
    (repl: Repl) => `${repl.id}.id.${ZONE}`,
  ])("a repl's names lead to its home (%#)", async (nameOf) => {
    expect(await ask(nameOf(hello), "A")).toEqual([platform.ingressOf("east")]);
    expect((await through("east", nameOf(hello))).status).toBe(200);
  });

  it("tells a name that is not there from a type that is not there", async () => {
    expect((await nameServer.query(`nobody.demo.${ZONE}`, "A")).rcode).toBe("NXDOMAIN");
    expect(await nameServer.query(hello.host, "TXT")).toMatchObject({
      rcode: "NOERROR",
      records: [],
    });
    expect((await nameServer.query(`demo.${ZONE}`, "A")).rcode).toBe("NOERROR");
    expect((await nameServer.query("example.org", "A")).rcode).toBe("REFUSED");
  });

  it("answers several challenge values at once, and forgets them when told", async () => {
    const name = `_acme-challenge.${hello.host}`;
    const put = await platform.api("PUT", "/v1/dns/challenges", { name, values: ["one", "two"] });
    expect(put).toMatchObject({ everywhere: true, missing: [] });
    expect((await ask(name, "TXT")).toSorted()).toEqual(["one", "two"]);
    await platform.api("DELETE", `/v1/dns/challenges?name=${name}&value=one`);
    expect(await ask(name, "TXT")).toEqual(["two"]);
  });

  it("serves a custom domain once its CNAME leads here, in every cluster", async () => {
    const domain = await platform.api<{ target: string }>("POST", "/v1/domains", {
      hostname: `www.shop.${ZONE}`,
      replId: hello.id,
    });
    expect(domain.target).toBe(`${hello.id}.id.${ZONE}`);
    const path = `/v1/dns/zones/${ZONE}/rrsets/www.shop/CNAME`;
    await platform.api("PUT", path, { ttl: 60, values: [domain.target] });
    expect(await ask(`www.shop.${ZONE}`, "A")).toContain(platform.ingressOf("east"));
    await platform.api("POST", `/v1/domains/www.shop.${ZONE}/verify`);
    for (const cluster of ["east", "west"]) {
      await until(`the domain is served through ${cluster}`, async () => {
        return (await through(cluster, `www.shop.${ZONE}`)).status === 200;
      });
    }
  });
});

describe("hosting", () => {
  it("answers 404 for a host that nobody has, as the visitor likes it", async () => {
    const address = platform.ingressOf("east");
    for (const [accept, type] of [
      ["text/html", "text/html"],
      ["application/json", "application/json"],
    ] as const) {
      const headers = { accept };
      const host = `nobody.demo.${ZONE}`;
      const answer = await get(address, platform.httpPort, host, "/", { headers });
      expect(answer.status).toBe(404);
      expect(answer.headers["content-type"]).toContain(type);
    }
  });

  it("wakes a sleeping app once, for all who ask", async () => {
    await platform.api("POST", `/v1/repls/${hello.id}/stop`);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => through("east", hello.host)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  it("logs the visitor's request id where the request had its effect", async () => {
    await platform.api("POST", `/v1/repls/${hello.id}/stop`);
    const { headers } = await through("east", hello.host);
    const requestId = String(headers["x-request-id"]);
    expect(requestId).toMatch(/^[\w.-]{8,64}$/);
    await until("the wake is logged with it", () =>
      platform.output
        .split("\n")
        .some((line) => line.includes("a request wakes a repl") && line.includes(requestId)),
    );
  });

  it("refuses a hop that no cluster has signed", async () => {
    const headers = { "stele-hop": "v=1; forged" };
    const answer = await get(platform.ingressOf("east"), platform.httpPort, hello.host, "/", {
      headers,
    });
    expect(answer.status).toBe(403);
  });

  it("survives rubbish on the wire", async () => {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(platform.httpPort, platform.ingressOf("east"), () => {
        socket.end("\u0000\u0001 rubbish\r\n\r\n");
      });
      socket.on("error", reject);
      socket.on("close", () => resolve());
      socket.resume();
    });
    expect((await through("east", hello.host)).status).toBe(200);
  });

  it("shows an app's log", async () => {
    const { items } = await platform.api<{ items: { line: string }[] }>(
      "GET",
      `/v1/repls/${hello.id}/logs?lines=50`,
    );
    expect(items.length).toBeGreaterThan(0);
  });
});

describe("the API", () => {
  const url = (path: string) => `http://127.0.0.1:${platform.apiPort}${path}`;

  it("asks for the token, and refuses a web page's requests even with it", async () => {
    expect((await fetch(url("/v1/repls"))).status).toBe(401);
    const authorization = `Bearer ${platform.token}`;
    expect((await fetch(url("/v1/repls"), { headers: { authorization } })).status).toBe(200);
    const origin = "http://evil.example";
    expect((await fetch(url("/v1/repls"), { headers: { authorization, origin } })).status).toBe(
      403,
    );
  });

  it("is ready and live without one", async () => {
    expect((await fetch(url("/v1/ready"))).status).toBe(200);
    expect((await fetch(url("/v1/live"))).status).toBe(200);
  });

  it("does not show what is private", async () => {
    // What cannot be decoded is told so before, as in Encore: this can be.
    const body = JSON.stringify({ after: 0, waitMs: 0, limit: 1 });
    const response = await fetch(url("/v1/internal/clusters/tail"), { method: "POST", body });
    expect(response.status).toBe(404);
  });
});

describe("a third cluster, added while all runs", () => {
  it("takes apps, and apps that move", async () => {
    await platform.addCluster("north");
    const migration = await platform.move(hello.id, "north");
    expect(migration.outcome).toBe("completed");
    expect(await ask(hello.host, "A")).toEqual([platform.ingressOf("north")]);
    for (const cluster of ["east", "west", "north"]) {
      const answer = await through(cluster, hello.host);
      expect([cluster, answer.status, answer.headers["served-by"]]).toEqual([
        cluster,
        200,
        "north",
      ]);
    }
  });
});

describe("npx stele", () => {
  it("deploys, shows, moves and removes an app", async () => {
    const deploy = await stele("deploy", "examples/python", "--name", "py", "--cluster", "west");
    expect(deploy).toMatchObject({ code: 0 });
    const where = await stele("where", "py", "--json");
    expect(JSON.parse(where.stdout)).toMatchObject({ app: { clusterId: "west" } });
    const move = await stele("move", "py", "east");
    expect(move.code).toBe(0);
    expect(move.stdout).toContain("completed");
    expect((await stele("logs", "py")).code).toBe(0);
    expect((await stele("ls")).stdout).toContain("py.demo");
    expect((await stele("rm", "py")).code).toBe(0);
    expect((await stele("where", "py")).code).toBe(1);
  });

  it("leaves no app behind where there is nothing to start", async () => {
    const { code, stderr } = await stele("deploy", "docs", "--name", "papers");
    expect([code, stderr]).toEqual([1, expect.stringContaining("looked for")]);
    expect((await stele("where", "papers")).code).toBe(1);
  });

  it("says what it did not understand with exit code 2", async () => {
    const { code, stderr } = await stele("move", "hello");
    expect(code).toBe(2);
    expect(stderr).not.toBe("");
  });

  it("shows the whole", async () => {
    const { code, stdout } = await stele("status", "--json");
    expect(code).toBe(0);
    expect(JSON.stringify(JSON.parse(stdout))).toContain("north");
  });
});
