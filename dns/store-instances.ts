/** The registry of instances, and the channel on which they tell each other what they answer. */
import type { Mark, PeerRow } from "./core/peers";
import { db } from "./db";

/** Instances say here what they answer. */
export const SHOWN_CHANNEL = "dns_shown";

/** Five heartbeats: a pause of the process, or of the database, is not a death. */
const ALIVE_SECONDS = 10;
/** A row of one that died says for so long that it was there. */
const FORGOTTEN_SECONDS = 600;

export interface InstanceRow extends Mark {
  readonly id: string;
  /** JSON. */
  readonly state: string;
}

/** The registry as of one moment. */
export interface RegistryView {
  /** The revision of the zones that is committed. */
  readonly revision: number;
  /** All but the one that asks. */
  readonly peers: PeerRow[];
}

/** Write an instance's row, and forget those that died long ago. */
export async function writeInstance({ id, revision, seq, state }: InstanceRow): Promise<void> {
  await db.exec`
    INSERT INTO instance (id, revision, seq, state)
    VALUES (${id}, ${revision}, ${seq}, ${state}::text::jsonb)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, seq = excluded.seq,
      state = excluded.state, seen_at = clock_timestamp()`;
  await db.exec`
    DELETE FROM instance WHERE seen_at < now() - make_interval(secs => ${FORGOTTEN_SECONDS})`;
}

/** The other instances, by the database's clock, and the revision of the zones. */
export async function readRegistry(ownId: string): Promise<RegistryView> {
  const view = await db.queryRow<RegistryView>`
    SELECT revision, (
      SELECT COALESCE(jsonb_agg(jsonb_build_object(
        'id', id, 'revision', revision, 'seq', seq, 'state', state::text,
        'isAlive', seen_at > now() - make_interval(secs => ${ALIVE_SECONDS}),
        'seenSecondsAgo', GREATEST(0, extract(epoch FROM now() - seen_at))::float
      ) ORDER BY id), '[]') FROM instance WHERE id <> ${ownId}) AS peers
    FROM zone_clock`;
  return view!;
}

/** Say something to all instances. */
export async function tellInstances(message: string): Promise<void> {
  await db.exec`SELECT pg_notify(${SHOWN_CHANNEL}, ${message})::text AS notified`;
}

/** Delete an instance's row: it answers no more. */
export async function deleteInstance(id: string): Promise<void> {
  await db.exec`DELETE FROM instance WHERE id = ${id}`;
}
