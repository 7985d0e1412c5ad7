// The tables, and the goals beside them.
const TITLES = {
  udp: "UDP blast: as many queries as can be sent",
  tcp: "TCP: 20 connections, pipelined",
  latency: "UDP at 20,000 queries/s, from the time for which each was scheduled",
  workers: "UDP blast: one worker and two",
  memory: "Memory of the whole process, and its start",
};
const KILO = 1_000;
/** In microseconds. */
const MILLISECOND = 1_000;
const NAME_WIDTH = 26;
const COLUMN_WIDTH = 12;

const k = (perSecond) => `${(perSecond / KILO).toFixed(1)}k`;
const us = (value) =>
  value < MILLISECOND ? `${value.toFixed(1)} µs` : `${(value / MILLISECOND).toFixed(1)} ms`;
const percent = (share) => `${(share * 100).toFixed(1)} %`;

const CPU = [
  ["user", ({ userUs }) => us(userUs)],
  ["system", ({ systemUs }) => us(systemUs)],
  ["a query", ({ userUs, systemUs }) => us(userUs + systemUs)],
];
const COLUMNS = {
  udp: [
    ["answers/s", ({ perSecond }) => k(perSecond)],
    ["lost", ({ lost }) => percent(lost)],
    ...CPU,
  ],
  tcp: [
    ["answers/s", ({ perSecond }) => k(perSecond)],
    ["closed", ({ closed }) => String(closed)],
    ...CPU,
  ],
  latency: [
    ["p50", ({ p50 }) => us(p50)],
    ["p99", ({ p99 }) => us(p99)],
    ["p99.9", ({ p999 }) => us(p999)],
    ["lost", ({ lost }) => percent(lost)],
    ...CPU.slice(2),
  ],
};

const row = (name, cells) =>
  `  ${name.padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(COLUMN_WIDTH)).join("")}`;

/** What is asked of ours, beside whom. `of` gives the ratio from our figures and theirs. */
const faster = (ours, theirs) => ours.perSecond / theirs.perSecond;
const cheaper = (ours, theirs) => (theirs.userUs + theirs.systemUs) / (ours.userUs + ours.systemUs);
const GOALS = {
  udp: [
    { ours: "batched", theirs: "NSD", least: 1.2, of: faster, cpu: cheaper },
    { ours: "batched", theirs: "CoreDNS", least: 5, of: faster, cpu: cheaper },
    { ours: "portable", theirs: "miekg/dns", least: 1.2, of: faster, cpu: cheaper },
  ],
  tcp: [
    { ours: "batched", theirs: "gdnsd", least: 3, of: faster, cpu: cheaper },
    { ours: "batched", theirs: "NSD", least: 5, of: faster, cpu: cheaper },
  ],
  latency: [{ ours: "batched", theirs: "NSD", least: 1, of: (a, b) => b.p50 / a.p50 }],
};

function goalLines(part, figures) {
  const find = (text) => Object.entries(figures).filter(([name]) => name.includes(text));
  return GOALS[part].flatMap(({ ours, theirs, least, of, cpu }) => {
    const [mine] = find(`Stele, ${ours}`);
    if (!mine) return [];
    return find(theirs).map(([name, their]) => {
      const ratio = of(mine[1], their);
      const verdict = ratio >= least ? "reached" : "missed";
      const byCpu = cpu ? `; by processor time ${cpu(mine[1], their).toFixed(2)}` : "";
      return `  ${mine[0]} : ${name} = ${ratio.toFixed(2)} (goal ${least}: ${verdict}${byCpu})`;
    });
  });
}

export function printPart(part, figures) {
  const columns = COLUMNS[part];
  console.log(`\n${TITLES[part]}`);
  console.log(
    row(
      "",
      columns.map(([title]) => title),
    ),
  );
  for (const [name, of] of Object.entries(figures)) {
    console.log(
      row(
        name,
        columns.map(([, cell]) => cell(of)),
      ),
    );
  }
  for (const line of goalLines(part, figures)) console.log(line);
}

/** On too few cores the second worker's gain is reckoned from what a query costs with both of them. */
export function printWorkers(figures, { one, two, isMeasured }) {
  const [single, double] = [figures[one], figures[two]];
  if (!single || !double) return;
  console.log(`\n${TITLES.workers}`);
  const columns = COLUMNS.udp;
  console.log(
    row(
      "",
      columns.map(([title]) => title),
    ),
  );
  for (const name of [one, two]) {
    console.log(
      row(
        name,
        columns.map(([, cell]) => cell(figures[name])),
      ),
    );
  }
  const ratio = isMeasured ? faster(double, single) : 2 * cheaper(double, single);
  const how = isMeasured
    ? "two cores for the workers, two for the clients"
    : "on paper: twice the cores, by what a query costs; both workers had one core here";
  console.log(`  2 workers : 1 worker = ${ratio.toFixed(2)} (goal 1.7; ${how})`);
}

/** The process as the system sees it, and what names add to it. */
export function printMemory(figures, { names, emptyOctets }) {
  console.log(`\n${TITLES.memory}`);
  console.log(row("", ["MiB", "octets/name", "start"]));
  const mib = (octets) => (octets / 2 ** 20).toFixed(0);
  for (const [name, { octets, startMs }] of Object.entries(figures)) {
    const start = `${(startMs / KILO).toFixed(1)} s`;
    console.log(row(name, [mib(octets), (octets / names).toFixed(0), start]));
  }
  if (emptyOctets) console.log(row("Stele without names", [mib(emptyOctets), "", ""]));
}
