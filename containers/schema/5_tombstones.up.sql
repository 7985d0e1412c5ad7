-- How often a tombstone was used, and when last. Written by the proxies, in batches.
CREATE TABLE tombstone_hit (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  hits bigint NOT NULL CHECK (hits >= 0),
  last_hit timestamptz NOT NULL,
  PRIMARY KEY (cluster_id, repl_id)
);
CREATE INDEX route_tombstone ON route (cluster_id, changed_at) WHERE state = 'tombstone';

-- Files of a repl that has moved away: an undo copies only what has changed since. Nothing serves them,
-- and the generation of their folder is never given again.
CREATE TABLE kept_files (
  cluster_id text NOT NULL,
  repl_id text NOT NULL,
  generation bigint NOT NULL,
  bytes bigint NOT NULL CHECK (bytes >= 0),
  kept_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cluster_id, repl_id)
);
