import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { address } from "../../shared/settings";
import { nameOf, type Transport } from "./rule";
import { faultOf, rulesOver, type Target, TRANSPORTS } from "./run";
import { masterFiles } from "./zones";

const USAGE = `npm run wire -- --server ADDRESS:PORT [--over udp|tcp|tls|https] [--rule TEXT]
       npm run wire -- --zones DIRECTORY   (writes the zones that the server must have)`;

/** On one port; TLS and HTTPS have their own. */
const UNENCRYPTED: readonly Transport[] = ["udp", "tcp"];

interface Options {
  readonly server: Target | undefined;
  readonly zones: string | undefined;
  readonly over: readonly Transport[];
  readonly rule: string;
}

/** Holds a server against every rule; false when it breaks one. */
export async function main(
  argv: readonly string[],
  print: (line: string) => void,
): Promise<boolean> {
  const { server, zones, over, rule } = readOptions(argv);
  if (zones !== undefined) writeZones(zones, print);
  let broken = 0;
  let held = 0;
  for (const transport of server ? over : []) {
    for (const candidate of rulesOver(transport)) {
      const name = nameOf(candidate);
      if (!name.includes(rule)) continue;
      const fault = await faultOf(candidate, transport, server!);
      if (fault === undefined) held++;
      else broken++;
      if (fault !== undefined) print(`${transport} ${candidate.level} ${name}\n    ${fault}`);
    }
  }
  if (server) print(`${held} rules hold, ${broken} do not`);
  return broken === 0;
}

function writeZones(directory: string, print: (line: string) => void): void {
  mkdirSync(directory, { recursive: true });
  for (const [file, content] of Object.entries(masterFiles())) {
    writeFileSync(join(directory, file), content);
    print(join(directory, file));
  }
}

function readOptions(argv: readonly string[]): Options {
  const given: Record<string, string> = {};
  for (let index = 0; index < argv.length; index += 2) {
    const [name = "", value] = [argv[index], argv[index + 1]];
    const isKnown = ["--server", "--zones", "--over", "--rule"].includes(name);
    if (!isKnown || value === undefined) throw usageError(argv);
    given[name] = value;
  }
  const asked = given["--over"];
  const over = TRANSPORTS.filter((transport) =>
    asked === undefined ? UNENCRYPTED.includes(transport) : asked === transport,
  );
  if (over.length === 0 || (!given["--server"] && !given["--zones"])) throw usageError(argv);
  return {
    server: given["--server"] ? address(given["--server"]) : undefined,
    zones: given["--zones"],
    over,
    rule: given["--rule"] ?? "",
  };
}

const usageError = (argv: readonly string[]): Error =>
  new Error(`Cannot read "${argv.join(" ")}": expected\n       ${USAGE}`);
