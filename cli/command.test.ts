import { describe, expect, it } from "vitest";

import { type Command, type Input, parse } from "./command";
import { Failure } from "./failure";
import { commands } from "./stele";

const GOLDEN = "./golden";

function run(...argv: string[]): { command: Command; input: Input; json: boolean } {
  const parsed = parse(commands, argv);
  if (parsed.kind !== "run") throw new Error(`not to be run:\n${parsed.text}`);
  return parsed;
}

function usageFault(...argv: string[]): string {
  try {
    run(...argv);
  } catch (error) {
    if (error instanceof Failure && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error("it was understood");
}

describe("parse()", () => {
  it("finds commands of one, two and three words", () => {
    expect(run("ls").command.name).toBe("ls");
    expect(run("domain", "ls").command.name).toBe("domain ls");
    expect(run("dns", "challenge", "rm", "a", "b").command.name).toBe("dns challenge rm");
    expect(run("dns", "zone", "delete", "example.org").command.name).toBe("dns zone rm");
  });

  it("reads arguments and options in any order", () => {
    const { input, json } = run("move", "--mode", "overlap", "hello", "--json", "west", "--cut");
    expect([input.arg("app"), input.arg("cluster")]).toEqual(["hello", "west"]);
    expect(input.text("mode")).toBe("overlap");
    expect([input.isOn("cut"), input.isOn("no-wait"), json]).toEqual([true, false, true]);
  });

  it("gives the defaults of the table", () => {
    const { input } = run("logs", "hello");
    expect(input.number("lines")).toBe(100);
    expect(input.text("owner")).toBeUndefined();
    expect(run("logs", "hello", "-n", "5", "-f").input.number("lines")).toBe(5);
  });

  it("collects a repeated argument", () => {
    const { input } = run("dns", "set", "www", "txt", "one", "two");
    expect([input.arg("name"), input.rest]).toEqual(["www", ["one", "two"]]);
  });

  it("takes a DNS-01 value that begins with a hyphen, as each 64th does", () => {
    const line = ["dns", "challenge", "put", "_acme-challenge.a", "-h1_xY", "--ttl", "5"];
    const { input } = run(...line);
    expect([input.arg("value"), input.number("ttl")]).toEqual(["-h1_xY", 5]);
    expect(run("dns", "challenge", "rm", "--json", "a", "--_x").input.arg("value")).toBe("--_x");
    expect(run("dns", "challenge", "rm", "a", "--", "-h").input.arg("value")).toBe("-h");
  });

  it.each([
    [["frobnicate"], 'unknown command "frobnicate": stele --help lists them'],
    [["domain"], '"domain" is a group: domain add, domain verify, domain ls, domain rm'],
    [
      ["domain", "get"],
      'unknown command "domain get": domain add, domain verify, domain ls, domain rm',
    ],
    [["dns", "challenge"], '"dns challenge" is a group: dns challenge put, dns challenge rm'],
    [
      ["dns", "challenge", "get"],
      'unknown command "dns challenge get": dns challenge put, dns challenge rm',
    ],
    [["move"], "stele move <app> [<cluster>]: <app> is missing"],
    [["where", "a", "b"], 'stele where <app>: "b" is one too many'],
    [["ls", "--bogus"], "unknown option '--bogus': see stele ls --help"],
    [["help", "frobnicate"], 'unknown command "frobnicate": stele --help lists them'],
    [["dns", "set", "www", "A"], "stele dns set <name> <type> <value>...: <value> is missing"],
  ])("%j is not understood", (argv, message) => {
    expect(usageFault(...argv)).toBe(message);
  });

  it("says which number is none", () => {
    expect(() => run("logs", "hello", "-n", "many").input.number("lines")).toThrow(
      '--lines "many": a whole number is expected',
    );
  });
});

describe("help", () => {
  const help = (...argv: string[]): string => {
    const parsed = parse(commands, argv);
    return parsed.kind === "help" ? `${parsed.text}\n` : "";
  };

  it("of everything is as it was", async () => {
    await expect(help("--help")).toMatchFileSnapshot(`${GOLDEN}/help.txt`);
    expect(help()).toBe(help("-h"));
    expect(help("help")).toBe(help());
  });

  it.each(commands.map(({ name }) => name))("of %s is as it was", async (name) => {
    const text = help(...name.split(" "), "--help");
    await expect(text).toMatchFileSnapshot(`${GOLDEN}/help-${name.replaceAll(" ", "-")}.txt`);
    expect(help("help", ...name.split(" "))).toBe(text);
  });

  it("of a group is that of its commands", () => {
    expect(help("clusters", "--help")).toContain("stele clusters add <cluster>");
    expect(help("help", "dns")).toContain("stele dns rm <name> <type>");
  });

  it("fits a terminal", () => {
    const texts = [help(), ...commands.map(({ name }) => help(...name.split(" "), "--help"))];
    const longest = Math.max(
      ...texts.flatMap((text) => text.split("\n")).map(({ length }) => length),
    );
    expect(longest).toBeLessThanOrEqual(120);
  });
});
