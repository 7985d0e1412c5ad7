import { chooseForEach, type ChosenHome, type Place } from "./core/choose";
import type { ClusterState } from "./core/cluster";
import { type DataMode, type Policy, policyOf } from "./core/placement";
import { db } from "./db";
import { changeCluster, findCluster } from "./store-clusters";

export interface Resident {
  replId: string;
  name: string;
  owner: string;
  policy: Policy;
  /** A migration of it is open. */
  isMoving: boolean;
}

/** Everything that lives in a cluster. No limit: an evacuation that sees a part would end too early. */
export async function listResidents(clusterId: string): Promise<Resident[]> {
  const rows = await db.queryAll<Resident & { dataMode: DataMode }>`
    SELECT repl.id AS "replId", name, owner, policy, data_mode AS "dataMode", EXISTS (
      SELECT 1 FROM migration_decision AS open
      WHERE open.repl_id = repl.id AND open.status = 'open') AS "isMoving"
    FROM placement JOIN repl ON repl.id = placement.repl_id
    WHERE placement.cluster_id = ${clusterId}
    ORDER BY repl.id`;
  return rows.map(({ dataMode, ...row }) => ({ ...row, policy: policyOf({ ...row, dataMode }) }));
}

/** From now on nothing is placed there. False when there is no such cluster. */
export async function cordon(clusterId: string): Promise<boolean> {
  const cluster = await findCluster(clusterId);
  if (cluster?.state === "cordoned") return true;
  const fault = await changeCluster(clusterId, (record) => ({
    changed: { ...record, state: "cordoned" },
    fault: undefined,
  }));
  return fault === undefined;
}

interface ChooseHomes {
  readonly from: string;
  /** The only place to go to; null for any. */
  readonly to: string | null;
  readonly replIds: readonly string[];
}

interface Chosen {
  readonly chosen: readonly ChosenHome[];
  /** Why nothing is chosen. */
  readonly reasons: readonly string[];
}

/** A new home for each of these repls that still lives in `from` and does not move. */
export async function chooseHomes({ from, to, replIds }: ChooseHomes): Promise<Chosen> {
  const residents = await listResidents(from);
  const wanted = new Map(residents.map((resident) => [resident.replId, resident]));
  const leaving = replIds.flatMap((replId) => {
    const resident = wanted.get(replId);
    return resident && !resident.isMoving ? [resident] : [];
  });
  const owners = [...new Set(leaving.map(({ owner }) => owner))];
  const places = (await listPlaces(owners)).filter(
    ({ clusterId }) => clusterId !== from && (to === null || clusterId === to),
  );
  const { chosen, reasons } = chooseForEach(places, leaving);
  if (places.length > 0) return { chosen, reasons };
  return { chosen, reasons: [to === null ? "there is no other" : `there is no cluster "${to}"`] };
}

interface PlaceRow {
  clusterId: string;
  state: ClusterState;
  repls: number;
  owners: Record<string, number>;
}

/** Every cluster, with what lives there and what is on its way there. */
async function listPlaces(owners: readonly string[]): Promise<Place[]> {
  const rows = await db.queryAll<PlaceRow>`
    WITH here AS (
      SELECT cluster_id, owner FROM placement JOIN repl ON repl.id = repl_id
      UNION ALL
      SELECT to_cluster, owner FROM migration_decision WHERE status = 'open'
    )
    SELECT cluster.id AS "clusterId", cluster.state,
      (SELECT count(*) FROM here WHERE cluster_id = cluster.id) AS repls,
      COALESCE((SELECT jsonb_object_agg(owner, n) FROM (
        SELECT owner, count(*) AS n FROM here
        WHERE cluster_id = cluster.id AND owner = ANY(${[...owners]}::text[])
        GROUP BY owner) AS counted), '{}') AS owners
    FROM cluster`;
  return rows.map((row) => ({ ...row, owners: new Map(Object.entries(row.owners)) }));
}
