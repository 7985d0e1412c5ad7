// The servers beside which ours is measured: each gets one thread for its answers, and no limit of rate.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  COREDNS,
  installCoredns,
  installFloor,
  installHandler,
  installPackage,
} from "./install.mjs";
import { ZONE } from "./names.mjs";

/** Write a configuration; the folder is the server's own. */
const write = (folder, name, text) => writeFileSync(join(folder, name), text);

function nsd({ folder, port, zoneFile }) {
  const command = installPackage("nsd", "nsd");
  write(
    folder,
    "nsd.conf",
    `server:
  ip-address: 127.0.0.1@${port}
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/pid"
  xfrdfile: "${folder}/xfrd.state"
  xfrdir: "${folder}"
  zonelistfile: "${folder}/zone.list"
  username: ""
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: ${zoneFile}
`,
  );
  return [command, "-d", "-c", join(folder, "nsd.conf")];
}

function knot({ folder, port, zoneFile }) {
  const command = installPackage("knotd", "knot");
  write(
    folder,
    "knot.conf",
    `server:
    rundir: "${folder}"
    listen: 127.0.0.1@${port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "${folder}"
template:
  - id: default
    journal-content: none
    zonefile-sync: -1
    semantic-checks: off
zone:
  - domain: ${ZONE}
    file: "${zoneFile}"
`,
  );
  return [command, "-c", join(folder, "knot.conf")];
}

function gdnsd({ folder, port, zoneFile }) {
  const command = installPackage("gdnsd", "gdnsd");
  mkdirSync(join(folder, "zones"));
  copyFileSync(zoneFile, join(folder, "zones", ZONE));
  write(
    folder,
    "config",
    `options => {
  listen => { 127.0.0.1:${port} => { udp_threads = 1, tcp_threads = 1 } },
  run_dir => "${folder}/run",
  state_dir => "${folder}/state",
}
`,
  );
  return [command, "-c", folder, "start"];
}

const coredns =
  (cache) =>
  ({ folder, port, zoneFile }) => {
    const command = installCoredns();
    write(
      folder,
      "Corefile",
      `${ZONE}:${port} {
  bind 127.0.0.1
  ${cache}
  file ${zoneFile} {
    reload 0
  }
}
`,
    );
    return [command, "-conf", join(folder, "Corefile")];
  };

const handler = ({ port, namesFile }) => [installHandler(), `127.0.0.1:${port}`, namesFile];
const floor = ({ port }) => [installFloor(), String(port)];

const ONE_THREAD = { GOMAXPROCS: "1" };
/** All names fit, so that none is looked up twice. */
const CACHE = "cache 3600 {\n    success 1200000\n  }";

/** `command` writes what the server needs, installs it when it can, and says how it is started. */
export const PEERS = [
  { name: "NSD", command: nsd },
  { name: "Knot DNS", command: knot },
  { name: "gdnsd", command: gdnsd },
  { name: `CoreDNS ${COREDNS}`, command: coredns(""), env: ONE_THREAD },
  { name: `CoreDNS ${COREDNS}, cache`, command: coredns(CACHE), env: ONE_THREAD },
  { name: "miekg/dns handler", command: handler, env: ONE_THREAD },
  { name: "C echo", command: floor, isFloor: true },
];
