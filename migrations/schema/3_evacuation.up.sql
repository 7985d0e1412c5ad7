-- Everything shall move out of a cluster. What is left to do is never written down: it is what still
-- lives there.

CREATE TABLE evacuation (
    id uuid PRIMARY KEY,
    cluster_id text NOT NULL,
    -- Where to; null: chosen for each repl.
    to_cluster text,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'stopped',
        'cancelled', 'done', 'incomplete')),
    -- Why it stopped or ended as it did, or what it waits for.
    reason text,
    max_concurrent integer NOT NULL CHECK (max_concurrent >= 1),
    per_minute integer NOT NULL CHECK (per_minute >= 1),
    error_budget integer NOT NULL CHECK (error_budget BETWEEN 0 AND 100),
    -- When it was started or resumed: failures from before do not count.
    resumed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How many repls lived there when it was looked last; null before.
    remaining integer,
    lease_owner text,
    lease_until timestamptz,
    traceparent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK (cluster_id <> to_cluster),
    CHECK ((finished_at IS NOT NULL) = (state IN ('cancelled', 'done', 'incomplete')))
);
CREATE UNIQUE INDEX evacuation_one_open ON evacuation (cluster_id) WHERE finished_at IS NULL;
CREATE INDEX evacuation_newest ON evacuation (created_at DESC);

-- The moves of an evacuation are migrations; its progress is theirs.
ALTER TABLE migration ADD COLUMN evacuation_id uuid REFERENCES evacuation (id);
CREATE INDEX migration_by_evacuation ON migration (evacuation_id, created_at)
    WHERE evacuation_id IS NOT NULL;
