import { checkRequests } from "./requests";
import { Violation } from "./violation";
import { at, clusterIndex, clusterName, type World } from "./world";

/** Throws a `Violation` unless every invariant of design section 4 that speaks of one state holds. */
export function checkWorld(world: World): void {
  checkWriters(world);
  checkRoutes(world);
  checkRequests(world);
}

function checkWriters({ hasFiles, clusters }: World): void {
  if (!hasFiles) return;
  const all = clusters.map(({ running }) => running);
  const bits = all.reduce((sum, running) => sum + countBits(running), 0);
  if (bits > 1) {
    const where = clusters.flatMap(({ running }, index) => (running ? [clusterName(index)] : []));
    throw new Violation(`two containers may write: in ${where.join(" and ")}`);
  }
}

function countBits(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function checkRoutes({ clusters, log }: World): void {
  clusters.forEach(({ row }, index) => {
    const isServed = row.state === "active" || row.state === "frozen";
    if (
      isServed &&
      !log.some(({ generation, to }) => generation === row.generation && to === index)
    ) {
      throw new Violation(
        `${clusterName(index)} serves generation ${row.generation}, which was never committed there`,
      );
    }
    if (row.state !== "tombstone" || row.peer === null) return;
    const home = at(clusters, clusterIndex(row.peer)).row;
    if (home.generation < row.generation) {
      throw new Violation(
        `the tombstone in ${clusterName(index)} points to ${row.peer}, which never heard of generation ${row.generation}`,
      );
    }
  });
}
