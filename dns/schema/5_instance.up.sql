-- Processes that answer. Each writes its row every two seconds and deletes it when it ends; whose row is
-- old has died, or cannot reach the database.
CREATE TABLE instance (
  id text PRIMARY KEY,
  -- What it answers, at the least: revision of the zones, sequence of the placement log.
  revision bigint NOT NULL,
  seq bigint NOT NULL,
  -- What it says of itself: addresses, ages, counters.
  state jsonb NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
